from keras import Input, Model, layers


def pyramid(width=4):
    inputs = Input((16, 16, 3))
    features = {}
    x = inputs
    for level in range(3):
        x = layers.Conv2D(width * 2**level, 3, padding="same", activation="relu", name=f"conv_{level}")(x)
        features[level] = x
        x = layers.MaxPooling2D()(x)
    top = layers.UpSampling2D()(layers.Conv2D(width, 1)(features[2]))
    merged = layers.add([top, layers.Conv2D(width, 1)(features[1])])
    return Model(inputs, [merged, features[2]])
