from keras import Input, Model
from keras.layers import *


def block(x, filters, use_bn=True, dropout=0.0):
    x = Conv2D(filters, 3, padding="same", use_bias=not use_bn)(x)
    if use_bn:
        x = BatchNormalization()(x)
    x = Activation("relu")(x)
    if dropout > 0:
        x = Dropout(dropout)(x)
    return x


def make_model(input_shape=(28, 28, 1), num_classes=10, use_bn=True, dropout=0.2, include_top=True):
    inputs = Input(input_shape)
    x = block(inputs, 32, use_bn)
    x = MaxPooling2D(2)(x)
    x = block(x, 64, use_bn, dropout)
    x = MaxPooling2D(2)(x)
    if include_top:
        x = Flatten()(x)
        x = Dense(128, activation="relu")(x)
        x = Dense(num_classes, activation="softmax")(x)
    return Model(inputs=inputs, outputs=x)
