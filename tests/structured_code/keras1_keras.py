from keras.layers import BatchNormalization, Convolution2D, Dense, Dropout, Flatten, Input, MaxPooling2D, merge
from keras.models import Model


def fire(x, squeeze, expand):
    x = Convolution2D(squeeze, 1, 1, activation="relu", border_mode="same")(x)
    left = Convolution2D(expand, 1, 1, activation="relu", border_mode="same")(x)
    right = Convolution2D(expand, 3, 3, activation="relu", border_mode="same")(x)
    return merge([left, right], mode="concat", concat_axis=3)


def squeezenet(nb_classes=5, width=4):
    image = Input(shape=(17, 17, 3))
    x = Convolution2D(8, 3, 3, subsample=(2, 2), activation="relu", bias=False)(image)
    x = MaxPooling2D((2, 2), strides=(2, 2))(x)
    for i in range(2):
        x = fire(x, width, width * 4)
    x = BatchNormalization(axis=3)(x)
    x = Dropout(0.5)(Flatten()(x))
    return Model(input=image, output=Dense(output_dim=nb_classes, activation="softmax")(x))
