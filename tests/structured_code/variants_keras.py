from keras import Input, Model, layers


def conv(x, filters, activation="relu", norm=None):
    x = layers.Conv2D(filters, 3, padding="same")(x)
    if norm is None:
        return layers.Activation(activation)(x)
    # normalised blocks have no other activation
    return layers.BatchNormalization()(x)


def net(width=8, channels=3):
    image = Input((None, None, channels))
    x = conv(image, width)
    x = conv(x, 2 * width, norm="batch")
    return Model(image, conv(x, channels, activation="tanh"))
