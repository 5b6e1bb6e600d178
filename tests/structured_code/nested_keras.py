from keras import Input, Model, layers


def build(width=6, depth=2):
    def conv(x, filters, stage):
        x = layers.Conv1D(filters, 3, padding="same", name=f"conv_{stage}")(x)
        x = layers.BatchNormalization(name="bn_%d" % stage)(x)
        return layers.Activation("relu", name="relu_{}".format(stage))(x)

    inputs = Input((16, 2))
    x = inputs
    for stage, filters in enumerate([width * 2**i for i in range(depth)], start=1):
        x = conv(x, filters, stage)
    return Model(inputs, layers.GlobalMaxPooling1D()(x))
