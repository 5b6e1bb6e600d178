import keras
from keras import Input, Model, layers, ops


class LayerScale(layers.Layer):
    """Scales each channel by a learned factor."""

    def __init__(self, start=0.1, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.gamma = self.add_weight(
            name="gamma", shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.start)
        )
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.gamma


class Attention(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel")
        self.score = self.add_weight(shape=(self.units, 1), initializer="zeros", name="score")

    def call(self, x):
        # one score for each step
        scores = ops.matmul(ops.tanh(ops.matmul(x, self.kernel)), self.score)
        weights = ops.softmax(scores, axis=1)
        return ops.sum(weights * x, axis=1)


def classifier(features=6, units=8, num_classes=3):
    sequence = Input((10, features))
    x = layers.Dense(units, activation="tanh")(sequence)
    x = LayerScale()(x)
    x = Attention(units)(x)
    return Model(sequence, layers.Dense(num_classes)(x))
