"""Layers as people write them, for Keras 3: the tests run them with Keras, and k2t reads their source."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

EPSILON = 1e-6


def positions(length, depth):
    """The sinusoids of Attention Is All You Need."""
    half = depth // 2
    rates = 1 / (10000 ** (np.arange(half)[np.newaxis, :] / half))
    angles = np.arange(length)[:, np.newaxis] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


@keras.saving.register_keras_serializable(package="mine")
class Scale(layers.Layer):
    """Weights of both kinds, in an order of their own."""

    def __init__(self, power=2, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape):
        self.count = self.add_weight(name="count", shape=(input_shape[-1],), initializer="ones", trainable=False)
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")
        self.kernel = self.add_weight(shape=(input_shape[-1], 4), initializer="glorot_uniform", name="kernel")
        super().build(input_shape)

    def call(self, inputs):
        return ops.matmul(inputs**self.power * self.w + self.count + EPSILON, self.kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 4)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable()
class FeedForward(layers.Layer):
    """Lists of layers, a Sequential, a layer that call makes, dropout while training."""

    def __init__(self, units, rate=0.1, **kwargs):
        super(FeedForward, self).__init__(**kwargs)  # noqa: UP008 - as people write it
        self.units = units
        self.rate = rate
        self.blocks = [layers.Dense(units, activation="gelu") for _ in range(3)]
        self.norm = layers.LayerNormalization(epsilon=EPSILON)
        self.drop = layers.Dropout(rate)
        self._last = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(units)])

    def call(self, x, training=None):
        for block in self.blocks:
            x = x + block(x)
        x = self._last(self.drop(x, training=training))
        return self.norm(layers.Concatenate()([x, x]))

    def get_config(self):
        config = super().get_config()
        config.update({"units": self.units, "rate": self.rate})
        return config


@keras.saving.register_keras_serializable(package="mine", name="Block")
class TransformerBlock(layers.Layer):
    """https://keras.io/examples/nlp/text_classification_with_transformer/ in spirit."""

    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.options = dict(embed_dim=embed_dim, num_heads=num_heads, ff_dim=ff_dim, rate=rate)
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = keras.Sequential([layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs, training=False):
        attn_output = self.att(inputs, inputs)
        attn_output = self.dropout1(attn_output, training=training)
        out1 = self.layernorm1(inputs + attn_output)
        ffn_output = self.ffn(out1)
        ffn_output = self.dropout2(ffn_output, training=training)
        return self.layernorm2(out1 + ffn_output)

    def get_config(self):
        return super().get_config() | self.options


@keras.saving.register_keras_serializable(package="mine")
class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.options = {"maxlen": maxlen, "vocab_size": vocab_size, "embed_dim": embed_dim}
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        maxlen = ops.shape(x)[-1]
        positions = ops.arange(start=0, stop=maxlen, step=1)
        positions = self.pos_emb(positions)
        x = self.token_emb(x)
        return x + positions

    def get_config(self):
        return super().get_config() | self.options


@keras.saving.register_keras_serializable(package="mine")
class SinusoidalEmbedding(layers.Layer):
    """A constant made with numpy, and a mask of its own."""

    def __init__(self, vocab_size, depth, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size, self.depth = vocab_size, depth
        self.embedding = layers.Embedding(vocab_size, depth, mask_zero=True)
        self.encoding = positions(32, depth)

    def compute_mask(self, *args, **kwargs):
        return self.embedding.compute_mask(*args, **kwargs)

    def call(self, x):
        length = x.shape[1]
        x = self.embedding(x)
        x *= ops.sqrt(ops.cast(self.depth, self.compute_dtype))
        return x + self.encoding[np.newaxis, :length, :]

    def get_config(self):
        return {**super().get_config(), "vocab_size": self.vocab_size, "depth": self.depth}


@keras.saving.register_keras_serializable(package="mine")
class MaskedMean(layers.Layer):
    def call(self, inputs, mask=None):
        if mask is None:
            return ops.mean(inputs, axis=1)
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), -1)
        return ops.sum(inputs * weights, axis=1) / (ops.sum(weights, axis=1) + 1e-9)


@keras.saving.register_keras_serializable(package="mine")
class Patches(layers.Layer):
    def __init__(self, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        input_shape = ops.shape(images)
        batch_size, height, width, channels = input_shape
        num_patches_h = height // self.patch_size
        num_patches_w = width // self.patch_size
        patches = ops.image.extract_patches(images, size=self.patch_size)
        return ops.reshape(
            patches,
            (batch_size, num_patches_h * num_patches_w, self.patch_size * self.patch_size * channels),
        )

    def get_config(self):
        return {**super().get_config(), "patch_size": self.patch_size}


@keras.saving.register_keras_serializable(package="mine")
class PatchEncoder(layers.Layer):
    def __init__(self, num_patches, projection_dim, **kwargs):
        super().__init__(**kwargs)
        self.num_patches = num_patches
        self.projection = layers.Dense(units=projection_dim)
        self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(start=0, stop=self.num_patches, step=1), axis=0)
        return self.projection(patch) + self.position_embedding(positions)

    def get_config(self):
        return {**super().get_config(), "num_patches": self.num_patches, "projection_dim": self.projection.units}


@keras.saving.register_keras_serializable(package="mine")
class Antirectifier(layers.Layer):
    def __init__(self, initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        output_dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(output_dim * 2, output_dim), initializer=self.initializer, name="kernel", trainable=True
        )

    def call(self, inputs):
        inputs = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        pos, neg = ops.relu(inputs), ops.relu(-inputs)
        return ops.matmul(ops.concatenate([pos, neg], axis=-1), self.kernel)

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer), **super().get_config()}


@keras.saving.register_keras_serializable(package="mine")
class CosineDistance(layers.Layer):
    """Several inputs, build with a list of shapes, weights without a name."""

    def build(self, input_shape):
        first, _ = input_shape
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.offset = self.add_weight(shape=(first[-1],), initializer="zeros")

    def normalized(self, x):
        return x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + EPSILON)

    def call(self, inputs):
        a, b = [self.normalized(x + self.offset) for x in inputs]
        return self.scale * (1 - ops.sum(a * b, axis=-1, keepdims=True))


@keras.saving.register_keras_serializable(package="mine")
class Gated(layers.Dense):
    """Derived from a layer of Keras."""

    def __init__(self, units, gate="sigmoid", **kwargs):
        super().__init__(units, **kwargs)
        self.gate = keras.activations.get(gate)

    def call(self, inputs):
        x = super().call(inputs)
        return x * self.gate(x)

    def get_config(self):
        return {**super().get_config(), "gate": keras.activations.serialize(self.gate)}


@keras.saving.register_keras_serializable(package="mine")
class Residual(layers.Layer):
    """A layer around a layer that it is given, of the file's own or of Keras."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    @property
    def factor(self):
        return 0.5

    def call(self, x):
        return x + self.factor * self.layer(x)

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        config["layer"] = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config)


@keras.saving.register_keras_serializable(package="mine")
class Tower(layers.Layer):
    """Layers of the file inside a layer of the file, two of them in a dictionary."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.parts = {"first": Antirectifier(), "second": Gated(width, gate="tanh")}
        self.scales = [Scale(power) for power in (1, 2)]
        self.norm = layers.BatchNormalization()

    def call(self, x, training=None):
        x = self.parts["second"](self.parts["first"](x))
        for scale in self.scales:
            x = scale(x)
        return self.norm(x, training=training)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="mine")
class ConvBlock(layers.Layer):
    """Images: options of one number, padding, pooling, an activation layer."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = layers.Conv2D(filters, 3, padding="SAME", use_bias=False)
        self.bn = layers.BatchNormalization(name="norm")
        self.act = layers.LeakyReLU(negative_slope=0.1)
        self.pool = layers.MaxPooling2D(2)
        self.gain = self.add_weight(shape=(1, 1, 1, filters), initializer="ones", name="gain")

    def call(self, x):
        x = self.pool(self.act(self.bn(self.conv(x)))) * self.gain
        return ops.mean(x, axis=[1, 2])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="mine")
class Attention(layers.Layer):
    """The additive attention of many notebooks; its name is that of a layer of Keras."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.supports_masking = True

    def build(self, input_shape):
        self.W = self.add_weight(name="att_weight", shape=(input_shape[-1], self.units), initializer="normal")
        self.b = self.add_weight(name="att_bias", shape=(input_shape[1], 1), initializer="zeros")
        self.u = self.add_weight(name="att_u", shape=(self.units, 1), initializer="normal")

    def call(self, x):
        et = ops.matmul(ops.tanh(ops.matmul(x, self.W)), self.u) + self.b
        at = ops.softmax(et, axis=1)
        return ops.sum(x * at, axis=1)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="mine")
class SelfAttention(layers.Layer):
    """Multi-head attention as notebooks of TensorFlow have it: sizes at run time, helper methods, a check."""

    def __init__(self, embed_dim=8, num_heads=2, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        if embed_dim % num_heads != 0:
            raise ValueError(f"embedding dimension {embed_dim} should be divisible by number of heads {num_heads}")
        self.projection_dim = embed_dim // num_heads
        self.query_dense = layers.Dense(embed_dim)
        self.key_dense = layers.Dense(embed_dim)
        self.value_dense = layers.Dense(embed_dim)
        self.combine_heads = layers.Dense(embed_dim)

    def attention(self, query, key, value):
        score = tf.matmul(query, key, transpose_b=True)
        scaled = score / tf.math.sqrt(tf.cast(tf.shape(key)[-1], score.dtype))
        weights = tf.nn.softmax(scaled, axis=-1)
        return tf.matmul(weights, value), weights

    def separate_heads(self, x, batch_size):
        x = tf.reshape(x, (batch_size, -1, self.num_heads, self.projection_dim))
        return tf.transpose(x, perm=[0, 2, 1, 3])

    def call(self, inputs):
        batch_size = tf.shape(inputs)[0]
        query = self.separate_heads(self.query_dense(inputs), batch_size)
        key = self.separate_heads(self.key_dense(inputs), batch_size)
        value = self.separate_heads(self.value_dense(inputs), batch_size)
        attention, _weights = self.attention(query, key, value)
        attention = tf.transpose(attention, perm=[0, 2, 1, 3])
        return self.combine_heads(tf.reshape(attention, (batch_size, -1, self.embed_dim)))

    def get_config(self):
        return {**super().get_config(), "embed_dim": self.embed_dim, "num_heads": self.num_heads}


@keras.saving.register_keras_serializable(package="mine")
class ChannelAttention(layers.Layer):
    """Layers made in build, called twice, and layers made in call."""

    def __init__(self, ratio=2, **kwargs):
        super().__init__(**kwargs)
        self.ratio = ratio

    def build(self, input_shape):
        channel = input_shape[-1]
        self.dense_one = layers.Dense(channel // self.ratio, activation="relu", use_bias=False)
        self.dense_two = layers.Dense(channel, use_bias=False)

    def call(self, x):
        average = layers.Reshape((1, 1, -1))(layers.GlobalAveragePooling2D()(x))
        largest = tf.reduce_max(x, axis=[1, 2], keepdims=True)
        out = self.dense_two(self.dense_one(average)) + self.dense_two(self.dense_one(largest))
        return x * tf.nn.sigmoid(out)

    def get_config(self):
        return {**super().get_config(), "ratio": self.ratio}


@keras.saving.register_keras_serializable(package="mine")
class Classifier(keras.Model):
    """A subclassed model, which is a file of one layer."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(8, activation="relu")
        self.head = layers.Dense(units)

    def call(self, inputs, training=None):
        return self.head(self.hidden(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="mine")
class Towers(keras.Model):
    """A subclassed model with lists in lists, one before and one after `layers` in the alphabet."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.towers = [[layers.Dense(units), layers.Dense(units)] for _ in range(2)]
        self.heads = {"first": [layers.Dense(units)], "second": layers.Dense(units)}

    def call(self, inputs, training=None):
        outputs = []
        for tower in self.towers:
            x = inputs
            for layer in tower:
                x = layer(x)
            outputs.append(x)
        return self.heads["second"](self.heads["first"][0](ops.concatenate(outputs)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="mine")
class Sampling(layers.Layer):
    """The reparameterization of a variational autoencoder: random at inference, too."""

    def call(self, inputs):
        mean, log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(mean))
        return mean + ops.exp(0.5 * log_var) * epsilon


@keras.saving.register_keras_serializable(package="mine")
def wobble(x):
    return x * ops.sigmoid(1.5 * x)
