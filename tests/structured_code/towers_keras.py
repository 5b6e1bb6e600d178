from functools import partial

from keras import Input, Model, layers

Conv = partial(layers.Conv2D, padding="same", activation="relu")


def towers(kernels=(1, 3, 5), width=4):
    inputs = Input((8, 8, 3))
    branches = [Conv(width, kernel)(inputs) for kernel in kernels]
    x = layers.concatenate(branches)
    x = layers.GlobalAveragePooling2D()(x)
    return Model(inputs, layers.Dense(2)(x))
