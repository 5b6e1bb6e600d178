import keras
from keras import layers

NUM_CLASSES = 7

inputs = keras.Input((20, 20, 3))
x = layers.Conv2D(8, 3, activation="relu")(inputs)
# halve the resolution
x = layers.MaxPooling2D(2)(x)
x = layers.Flatten()(x)
outputs = layers.Dense(NUM_CLASSES, activation="softmax")(x)
model = keras.Model(inputs, outputs)
model.compile("adam", "mse")
