from keras import Input, Model, layers


def bn_relu_conv(filters, kernel_size=3):
    def block(x):
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        return layers.Conv2D(filters, kernel_size, padding="same")(x)

    return block


def build(width=5):
    inputs = Input((9, 9, 2))
    x = bn_relu_conv(width)(inputs)
    x = bn_relu_conv(width * 2, kernel_size=1)(x)
    return Model(inputs, layers.GlobalMaxPooling2D()(x))
