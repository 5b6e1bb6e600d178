from tensorflow import keras
from tensorflow.keras import layers


def residual_block(x, filters, stride=1, conv_shortcut=False):
    """Two convolutions around a shortcut."""
    shortcut = x
    if conv_shortcut:
        # match the channels of the sum
        shortcut = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
        shortcut = layers.BatchNormalization()(shortcut)
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.add([x, shortcut])
    return layers.Activation("relu")(x)


def stage(x, filters, blocks, stride):
    x = residual_block(x, filters, stride=stride, conv_shortcut=True)
    for _ in range(blocks - 1):
        x = residual_block(x, filters)
    return x


def build_resnet(input_shape=(32, 32, 3), classes=10, depths=(2, 2), width=16):
    inputs = keras.Input(shape=input_shape)
    x = layers.Conv2D(width, 3, padding="same")(inputs)
    for i, depth in enumerate(depths):
        x = stage(x, width * 2**i, depth, stride=1 if i == 0 else 2)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="resnet")
