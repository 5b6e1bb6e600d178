from tensorflow.keras import layers, Model, Input


def conv_block(x, filters, kernel=3):
    # widen, then normalise
    x = layers.Conv2D(filters, kernel, padding="same")(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation("relu")(x)


def build_unet(input_shape=(128, 128, 3), num_classes=2, depth=4):
    """U-Net."""
    inputs = Input(input_shape)
    x = inputs
    skips = []
    for i in range(depth):
        x = conv_block(x, 32 * 2**i)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = conv_block(x, 32 * 2**depth)
    for i in reversed(range(depth)):
        # back up
        x = layers.Conv2DTranspose(32 * 2**i, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skips[i]])
        x = conv_block(x, 32 * 2**i)
    outputs = layers.Conv2D(num_classes, 1, activation="softmax")(x)
    return Model(inputs, outputs)
