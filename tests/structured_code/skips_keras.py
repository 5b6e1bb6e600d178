import tensorflow.keras.layers as tfl
from tensorflow.keras import Input, Model


def unet(size=16, widths=(3, 5, 7)):
    inputs = Input((size, size, 2))
    skips, x = [], inputs
    for width in widths[:-1]:
        x = tfl.Conv2D(width, 3, padding="same", activation="relu")(x)
        skips.append(x)
        x = tfl.MaxPooling2D(2)(x)
    x = tfl.Conv2D(widths[-1], 3, padding="same", activation="relu")(x)
    for width, skip in zip(reversed(widths[:-1]), reversed(skips)):
        x = tfl.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        x = tfl.concatenate([x, skip], axis=-1)
        x = tfl.Conv2D(width, 3, padding="same", activation="relu")(x)
    return Model(inputs, tfl.Conv2D(1, 1, activation="sigmoid")(x))
