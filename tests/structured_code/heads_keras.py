from keras import Input, Model, Sequential, layers


def mix(x, width, scale=0.5, gate=True):
    y = layers.Dense(width, activation="gelu")(x) if gate else layers.Conv2D(width, 3, padding="same")(x)
    return layers.Lambda(lambda t: t * scale + 1)(y)


def heads(width=4, depth=2):
    image = Input((6, 5, 3))
    x, features = image, []
    for i in range(depth):
        x = mix(x, width + i, scale=0.25, gate=False)
        features.append(x)
    x = mix(x, width)
    sequence = Sequential([layers.Reshape((-1, x.shape[-1])), layers.GRU(3)])
    return Model(image, [sequence(x)] + [layers.GlobalAveragePooling2D()(feature) for feature in features])
