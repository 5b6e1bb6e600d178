from keras import Input, Model, layers


def block(x, filters, stride=1):
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=stride)(x)
        shortcut = layers.BatchNormalization()(shortcut)
    x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(stride)(x) if stride > 1 else x
    return layers.add([x, shortcut])


def build_resnet(width=4):
    inputs = Input((16, 16, 4))
    x = block(inputs, width)
    x = block(x, width * 2, 2)
    x = block(x, width * 2)
    return Model(inputs, x)
