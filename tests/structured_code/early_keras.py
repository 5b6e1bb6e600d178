from keras import Input, Model, layers


def squeeze_excite(x, ratio=4):
    filters = x.shape[-1]
    y = layers.GlobalAveragePooling2D()(x)
    y = layers.Dense(filters // ratio, activation="relu")(y)
    y = layers.Dense(filters, activation="sigmoid")(y)
    return layers.multiply([x, layers.Reshape((1, 1, filters))(y)])


def block(x, filters, squeeze=True):
    x = layers.Conv2D(filters, 3, padding="same")(x)
    if not squeeze:
        return x
    return squeeze_excite(x)


def build(width=8):
    inputs = Input((8, 8, 3))
    x = block(inputs, width)
    x = block(x, width * 2, squeeze=False)
    return Model(inputs, block(x, width))
