import tensorflow as tf
from tensorflow.keras import layers

CONFIG = [(64, 2), (128, 2), (256, 3)]


def vgg(input_shape=(32, 32, 3), num_classes=10, dense_units=(256, 128)):
    inputs = tf.keras.Input(input_shape)
    x = inputs
    for filters, repeats in CONFIG:
        for _ in range(repeats):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for units in dense_units:
        x = layers.Dense(units, activation="relu")(x)
        x = layers.Dropout(0.5)(x)
    return tf.keras.Model(inputs, layers.Dense(num_classes)(x))
