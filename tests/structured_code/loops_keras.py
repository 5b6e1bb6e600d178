from functools import partial

from keras import Input, Model, layers

Conv = partial(layers.Conv2D, padding="same", activation="relu")


def branches(x, widths, kernels, name):
    outputs = []
    for i, (width, kernel) in enumerate(zip(widths, kernels)):
        y = Conv(width, 1, name=f"{name}_reduce{i}")(x)
        outputs.append(Conv(width, kernel, name=f"{name}_conv{i}")(y))
    return layers.concatenate(outputs, name=f"{name}_concat")


def build(widths=(4, 6), kernels=(3, 5), stages=2):
    x = inputs = Input((12, 12, 3))
    for stage in range(stages):
        x = branches(x, widths, kernels, f"stage{stage}")
        x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    features = {f"p{i}": layers.Conv2D(2, 1, name=f"head{i}")(x) for i in range(2)}
    return Model(inputs, features)
