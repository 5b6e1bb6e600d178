import keras
from keras import layers


class ConvBlock(layers.Layer):
    """Convolution, normalization, activation."""

    def __init__(self, filters, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(filters, 3, strides=stride, padding="valid", use_bias=False)
        self.norm = layers.BatchNormalization()

    def call(self, inputs, training=None):
        x = self.conv(inputs)
        # normalize what the convolution gives
        x = self.norm(x, training=training)
        return keras.ops.relu(x)


class Classifier(layers.Layer):
    def __init__(self, num_classes=4, width=6):
        super().__init__()
        self.stem = ConvBlock(width, stride=2)
        self.body = ConvBlock(width * 2)
        self.head = layers.Dense(num_classes, activation="softmax")

    def call(self, x):
        x = self.body(self.stem(x))
        x = keras.ops.mean(x, axis=[1, 2])
        return self.head(x)


def classifier(size=11, num_classes=4, width=6):
    image = keras.Input((size, size, 3))
    return keras.Model(image, Classifier(num_classes, width)(image))
