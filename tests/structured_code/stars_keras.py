from keras import Input, Model, layers


def conv_bn(x, filters, *args, activation="relu", **kwargs):
    x = layers.Conv2D(filters, *args, padding="same", use_bias=False, **kwargs)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x)


def residual(x, filters, *args, **options):
    shortcut = layers.Conv2D(filters, 1, strides=options["strides"])(x)
    x = conv_bn(x, filters, *args, **options)
    x = conv_bn(x, filters, *args, activation="tanh")
    x += shortcut
    return x


def build(width=8, **options):
    inputs = Input((17, 16, 3))
    x = conv_bn(inputs, width, 5)
    x = residual(x, width * 2, 3, strides=2)
    x = residual(x, width * 4, 3, strides=2)
    return Model(inputs, layers.GlobalAveragePooling2D()(x), **options)
