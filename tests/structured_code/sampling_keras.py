import keras.backend as K
import tensorflow as tf
from keras import Input, Model, layers

latent_dim = 3


def attention_gate(x, gate, width):
    """Lets through what the gate finds important (Oktay et al. 2018)."""
    shape_x, shape_gate = K.int_shape(x), K.int_shape(gate)
    theta = layers.Conv2D(width, 1)(x)
    phi = layers.UpSampling2D((shape_x[1] // shape_gate[1], shape_x[2] // shape_gate[2]))(layers.Conv2D(width, 1)(gate))
    psi = layers.Conv2D(1, 1, activation="sigmoid")(layers.add([theta, phi]))
    return layers.Conv2D(shape_x[3], 1)(layers.multiply([x, psi]))


class Sampling(layers.Layer):
    """Draws from the distribution that the encoder tells."""

    def call(self, inputs):
        mean, log_var = inputs
        batch, dim = tf.shape(mean)[0], tf.shape(mean)[1]
        return mean + tf.exp(0.5 * log_var) * tf.random.normal(shape=(batch, dim))


def encoder(size=16, width=4):
    inputs = Input((size, size, 1))
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(inputs)
    gate = layers.MaxPooling2D()(x)
    x = attention_gate(x, gate, width)
    x = layers.GlobalMaxPooling2D()(x)
    mean = layers.Dense(latent_dim, name="mean")(x)
    log_var = layers.Dense(latent_dim, name="log_var")(x)
    return Model(inputs, [mean, log_var, Sampling()([mean, log_var])])
