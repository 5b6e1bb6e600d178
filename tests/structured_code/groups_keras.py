from keras import Input, Model, layers


def grouped_conv(x, filters, groups=4):
    # each group sees its own channels
    width = x.shape[-1] // groups
    parts = []
    for i in range(groups):
        part = layers.Lambda(lambda z, i=i: z[:, :, :, i * width : (i + 1) * width])(x)
        parts.append(layers.Conv2D(filters // groups, 3, padding="same")(part))
    return layers.Concatenate()(parts)


def build(width=8, groups=4):
    inputs = Input((9, 10, 3))
    x = layers.Conv2D(width, 1, activation="relu")(inputs)
    return Model(inputs, grouped_conv(x, 2 * width, groups))
