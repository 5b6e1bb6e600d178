import tensorflow as tf


def downsample(filters, size, apply_batchnorm=True):
    result = tf.keras.Sequential()
    result.add(tf.keras.layers.Conv2D(filters, size, strides=2, padding="same", use_bias=False))
    if apply_batchnorm:
        result.add(tf.keras.layers.BatchNormalization())
    result.add(tf.keras.layers.ReLU())
    return result


def encoder(width=4):
    inputs = tf.keras.layers.Input(shape=[16, 16, 3])
    x = downsample(width, 4, apply_batchnorm=False)(inputs)
    x = downsample(width * 2, 4)(x)
    x = downsample(width * 4, 4)(x)
    return tf.keras.Model(inputs=inputs, outputs=x)
