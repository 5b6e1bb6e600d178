from keras import layers, Model, Input


def conv_bn(x, filters, kernel_size, strides=1, padding="same"):
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(scale=False)(x)
    return layers.ReLU()(x)


def inception(x, f1, f3, f5, pool):
    branch1 = conv_bn(x, f1, 1)
    branch3 = conv_bn(conv_bn(x, f3[0], 1), f3[1], 3)
    branch5 = conv_bn(x, f5[0], 1)
    branch5 = conv_bn(branch5, f5[1], (5, 5))
    branch_pool = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branch_pool = conv_bn(branch_pool, pool, 1)
    return layers.concatenate([branch1, branch3, branch5, branch_pool], axis=-1)


def dense_block(x, layers_count, growth):
    for i in range(layers_count):
        y = conv_bn(x, growth, 3)
        x = layers.Concatenate()([x, y])
    return x


def build_model(shape=(64, 64, 3), classes=5, growth=8):
    img = Input(shape)
    x = conv_bn(img, 16, 7, strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = inception(x, 8, (4, 8), (2, 4), 4)
    x = dense_block(x, 3, growth)
    x = layers.GlobalAveragePooling2D()(x)
    return Model(img, layers.Dense(classes)(x))
