"""Small Keras programs, one for each construct that code in the wild has: name -> (source, entry, arguments)."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

Program = tuple[str, str, dict[str, Any]]
PROGRAMS: dict[str, Program] = {}


def program(name: str, source: str, entry: str = "model", **arguments: Any) -> None:
    """Add a program."""
    PROGRAMS[name] = (dedent(source).lstrip(), entry, arguments)


program(
    "functional code in a builder",
    """
    import keras
    from keras import layers

    def build(input_shape=(8, 8, 3), classes=4):
        inputs = keras.Input(input_shape)
        x = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
        x = layers.MaxPooling2D()(x)
        x = layers.Flatten()(x)
        outputs = layers.Dense(classes, activation="softmax")(x)
        return keras.Model(inputs, outputs, name="small")
    """,
    "build",
    classes=5,
)
program(
    "a helper, a loop and an f-string",
    """
    from keras.layers import *
    from keras.models import Model

    def block(x, filters, stage, shortcut=True):
        y = Conv2D(filters, 3, padding="same", name=f"conv_{stage}_a", use_bias=False)(x)
        y = BatchNormalization(name=f"bn_{stage}_a")(y)
        y = Activation("relu", name="act_%d" % stage)(y)
        if shortcut and x.shape[-1] == filters:
            y = Add(name="add_{}".format(stage))([x, y])
        return y

    def net(depth=3, width=4):
        a = Input((8, 8, 3))
        x = a
        for i in range(depth):
            x = block(x, width * 2 ** (i // 2), stage=i + 1)
        return Model(a, GlobalAveragePooling2D()(x))
    """,
    "net",
    depth=4,
)
program(
    "skip connections in a list, zip and reversed",
    """
    import tensorflow.keras.layers as tfl
    from tensorflow.keras import Model, Input

    def unet(size=16, widths=(3, 5, 7)):
        inputs = Input((size, size, 2))
        skips, x = [], inputs
        for width in widths[:-1]:
            x = tfl.Conv2D(width, 3, padding="same", activation="relu")(x)
            skips.append(x)
            x = tfl.MaxPooling2D(2)(x)
        x = tfl.Conv2D(widths[-1], 3, padding="same", activation="relu")(x)
        for width, skip in zip(reversed(widths[:-1]), reversed(skips)):
            x = tfl.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
            x = tfl.concatenate([x, skip], axis=-1)
            x = tfl.Conv2D(width, 3, padding="same", activation="relu")(x)
        return Model(inputs, tfl.Conv2D(1, 1, activation="sigmoid")(x))
    """,
    "unet",
)
program(
    "Sequential with add, a loop and a class by variable",
    """
    from keras.models import Sequential
    from keras import layers

    RNN = layers.GRU
    SIZE = 6
    chars = "abc "
    model = Sequential()
    model.add(layers.Input((5, len(chars))))
    model.add(RNN(SIZE))
    model.add(layers.RepeatVector(3))
    for _ in range(2):
        model.add(RNN(SIZE, return_sequences=True))
    model.add(layers.TimeDistributed(layers.Dense(len(chars), activation="softmax")))
    model.compile(loss="mse", optimizer="adam")
    for epoch in range(1, 100):
        model.fit([], [])
    """,
)
program(
    "Sequential of a list with input_shape, and data that the code does not hold",
    """
    import numpy as np
    import pandas as pd
    from keras.models import Sequential
    from keras.layers import Dense, Dropout

    data = pd.read_csv("data.csv")
    labels = data["label"].unique()
    num_classes = len(labels)
    model = Sequential([Dense(8, activation="tanh", input_shape=(6,)), Dropout(0.5), Dense(num_classes)])
    """,
    num_classes=3,
)
program(
    "star arguments, partial and a closure",
    """
    from functools import partial
    import keras
    from keras import layers

    Conv = partial(layers.Conv1D, padding="same", kernel_size=3)
    OPTIONS = dict(activation="relu", use_bias=False)

    def conv(filters):
        def apply(x):
            return layers.BatchNormalization()(Conv(filters, **OPTIONS)(x))
        return apply

    def compose(*functions):
        def run(x):
            for f in functions:
                x = f(x)
            return x
        return run

    def make(shape=(12, 2), *args, **kwargs):
        inputs = keras.Input(shape=shape)
        return keras.Model(inputs, compose(conv(3), conv(4), layers.GlobalMaxPooling1D())(inputs), **kwargs)
    """,
    "make",
)
program(
    "dicts of tensors, comprehensions and while",
    """
    import keras
    from keras import layers

    def build():
        inputs = keras.Input((16, 2))
        features = {k: layers.Conv1D(4, k, padding="same", name=f"k{k}")(inputs) for k in (1, 3, 5)}
        x = layers.Concatenate()([features[k] for k in sorted(features)])
        size = 16
        while size > 4:
            x = layers.AveragePooling1D(2)(x)
            size //= 2
        heads = [layers.Dense(2)(layers.Flatten()(x)) for _ in range(2)]
        return keras.Model(inputs, heads)
    """,
    "build",
)
program(
    "operators, slices and functions of tensors",
    """
    import tensorflow as tf
    from tensorflow import keras
    from tensorflow.keras import layers

    inputs = keras.Input((6, 4))
    a, b = tf.split(inputs, 2, axis=-1)
    x = 2.0 * a - b / 3 + inputs[:, :, :1]
    x = tf.concat([x, inputs[..., 1:]], -1)
    x = tf.nn.relu(x) + tf.reduce_mean(x, axis=1, keepdims=True)
    x = tf.reshape(x, (-1, x.shape[1] * x.shape[2]))
    x = tf.transpose(tf.expand_dims(x, 1), (0, 2, 1))
    model = keras.Model(inputs, layers.LSTM(3)(x) ** 2)
    """,
)
program(
    "keras.ops and keras.activations",
    """
    import keras
    from keras import layers, ops

    inputs = keras.Input((5, 4))
    x = layers.Dense(6)(inputs)
    x = keras.activations.gelu(x) * ops.sigmoid(x)
    x = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
    x = ops.softmax(x / ops.sqrt(6.0), axis=-1)
    _, length, width = ops.shape(x)
    x = ops.reshape(x, (-1, length * width))
    model = keras.Model(inputs, layers.Dense(2)(x))
    """,
)
program(
    "Lambda layers",
    """
    import keras
    from keras import layers, ops

    scale = 3.0

    def distance(tensors):
        a, b = tensors
        return ops.sqrt(ops.maximum(ops.sum(ops.square(a - b), axis=1, keepdims=True), 1e-7))

    left, right = keras.Input((4,)), keras.Input((4,))
    base = layers.Dense(5, activation=lambda x: x * ops.sigmoid(x))
    x = layers.Lambda(distance, output_shape=(1,))([base(left), base(right)])
    parts = [layers.Lambda(lambda z, i=i: z * scale + i)(x) for i in range(2)]
    model = keras.Model([left, right], layers.add(parts))
    """,
)
program(
    "custom layers with build, add_weight and lists",
    """
    import keras
    from keras import layers, ops

    class Scale(layers.Layer):
        def __init__(self, start=1.0, **kwargs):
            super().__init__(**kwargs)
            self.start = start

        def build(self, input_shape):
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
            super().build(input_shape)

        def call(self, inputs):
            return inputs * self.gamma + self.start

    class Mlp(layers.Layer):
        def __init__(self, widths, rate=0.1, **kwargs):
            super().__init__(**kwargs)
            self.stack = [layers.Dense(width, activation="relu") for width in widths]
            self.drop = layers.Dropout(rate)
            self.scale = Scale(0.5)

        def call(self, x, training=None):
            for layer in self.stack:
                x = layer(x)
            return self.scale(self.drop(x, training=training))

    inputs = keras.Input((4,))
    x = Mlp([5, 6])(inputs)
    model = keras.Model(inputs, Scale(start=2.0)(x))
    """,
)
program(
    "shared layers and nested models",
    """
    import keras
    from keras import layers

    def encoder(size):
        inputs = keras.Input((size,))
        return keras.Model(inputs, layers.Dense(3, activation="tanh")(inputs), name="encoder")

    head = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(2)], name="head")
    a, b = keras.Input((5,)), keras.Input((5,))
    shared = encoder(5)
    x = layers.Subtract()([shared(a), shared(b)])
    model = keras.Model(inputs=[a, b], outputs=[head(x), layers.Activation("sigmoid")(x)])
    """,
)
program(
    "surgery: get_layer, layers, output",
    """
    import keras
    from keras import layers

    base = keras.Sequential([
        keras.Input((8, 8, 3)),
        layers.Conv2D(4, 3, name="first"),
        layers.Conv2D(5, 3, name="second"),
        layers.Flatten(),
        layers.Dense(10),
    ])
    for layer in base.layers[:-1]:
        layer.trainable = False
    x = base.get_layer("second").output
    x = layers.GlobalAveragePooling2D()(x)
    y = layers.Dense(2)(base.layers[-2].output)
    model = keras.Model(inputs=base.inputs, outputs=layers.concatenate([x, y]))
    """,
)
program(
    "models that methods of a class build",
    """
    from keras.layers import Input, Dense, Reshape, LeakyReLU
    from keras.models import Sequential, Model

    class Gan():
        def __init__(self):
            self.rows = 4
            self.shape = (self.rows, self.rows, 1)
            self.latent = 6
            self.generator = self.build_generator()
            noise = Input((6,))
            self.combined = Model(noise, self.generator(noise))

        def build_generator(self):
            model = Sequential()
            model.add(Dense(self.rows * self.rows, input_dim=self.latent))
            model.add(LeakyReLU(negative_slope=0.2))
            model.add(Reshape(self.shape))
            noise = Input(shape=(self.latent,))
            return Model(noise, model(noise))

        def train(self, epochs):
            for epoch in range(epochs):
                pass

    if __name__ == "__main__":
        Gan().train(epochs=30000)
    """,
    "Gan.build_generator",
)
program(
    "a subclass of Model that builds functionally",
    """
    import keras
    from keras import layers

    class Net(keras.Model):
        def __init__(self, width=4, **kwargs):
            inputs = keras.Input((6,))
            x = layers.Dense(width, activation="relu")(inputs)
            super().__init__(inputs=inputs, outputs=layers.Dense(2)(x), **kwargs)
            self.width = width
    """,
    "Net",
    width=5,
)
program(
    "queries of the data format and early returns",
    """
    import keras
    from keras import backend as K
    from keras import layers

    def norm(x, kind):
        axis = 1 if K.image_data_format() == "channels_first" else -1
        if kind is None:
            return x
        if kind == "batch":
            return layers.BatchNormalization(axis=axis, epsilon=1.001e-5)(x)
        raise ValueError("unknown norm " + kind)

    def build(kind="batch"):
        if K.image_data_format() == "channels_last":
            shape = (6, 6, 3)
        else:
            shape = (3, 6, 6)
        inputs = layers.Input(shape)
        x = norm(layers.Conv2D(4, (3, 3))(inputs), kind)
        assert x is not None
        return keras.Model(inputs, norm(x, None))
    """,
    "build",
)
program(
    "attention blocks",
    """
    import tensorflow as tf
    from tensorflow.keras import layers, Model, Input

    def transformer(x, heads, size, ff, rate=0.0):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.MultiHeadAttention(key_dim=size, num_heads=heads, dropout=rate)(y, y)
        x = x + layers.Dropout(rate)(y)
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        for units in (ff, x.shape[-1]):
            y = layers.Dense(units, activation=tf.nn.gelu)(y)
        return x + y

    def build(blocks=2):
        inputs = Input(shape=(6, 4))
        x = inputs
        for _ in range(blocks):
            x = transformer(x, 2, 3, 5)
        return Model(inputs, layers.GlobalAveragePooling1D(data_format="channels_last")(x))
    """,
    "build",
    blocks=1,
)
program(
    "recurrent layers with states",
    """
    import keras
    from keras import layers

    source = keras.Input((None, 3))
    encoder, h, c = layers.LSTM(4, return_state=True)(source)
    target = keras.Input((None, 2))
    decoded, *_ = layers.LSTM(4, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(decoded)
    model = keras.Model([source, target], layers.Dense(2, activation="softmax")(x))
    """,
)
program(
    "options by argparse and a dataclass",
    """
    import argparse
    from dataclasses import dataclass
    import keras

    @dataclass
    class Config:
        width: int = 4
        depth: int = 2

    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=7)
    parser.add_argument("--bias", action="store_true")
    args = parser.parse_args([])
    config = Config(width=args.units)
    model = keras.Sequential([keras.Input((3,))])
    for i in range(2 if config.width > 5 else 1):
        model.add(keras.layers.Dense(config.width, use_bias=args.bias))
    """,
)
program(
    "a backbone of keras.applications, and its preprocessing",
    """
    import keras
    from keras import layers
    from keras.applications import MobileNetV2
    from keras.applications.mobilenet_v2 import preprocess_input

    def build(classes=2):
        base = MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=(32, 32, 3))
        base.trainable = False
        inputs = keras.Input((32, 32, 3))
        x = base(preprocess_input(inputs * 255.0), training=False)
        x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
        cut = keras.Model(base.input, base.get_layer("block_3_expand_relu").output, name="cut")
        y = layers.GlobalMaxPooling2D()(cut(inputs))
        return keras.Model(inputs, layers.Dense(classes)(layers.concatenate([x, y])))
    """,
    "build",
    classes=3,
)
for library, generation in (("keras", ", ops"), ("tensorflow.keras", "")):
    program(
        f"masks of a layer with several tensors, of {library}",
        f"""
        from {library} import Input, Model, layers{generation}

        class Weighted(layers.Layer):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.supports_masking = True

            def call(self, inputs, other, mask=None, other_mask=None):
                y = inputs + other
                if mask is not None:  # Keras 2 hands on the mask of the first tensor
                    y = y * 3.0
                return y if other_mask is None else y - 5.0  # Keras 3 that of each

        steps = Input((6, 5))
        x = layers.Masking()(steps)
        model = Model(steps, layers.LSTM(3)(Weighted()(x, layers.Dense(5)(x))))
        """,
    )
