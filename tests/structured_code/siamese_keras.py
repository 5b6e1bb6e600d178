from tensorflow.keras import Input, Model
from tensorflow.keras.layers import Dense, Dropout, Subtract


def make_encoder(features, units):
    inputs = Input((features,))
    x = Dense(units, activation="relu")(inputs)
    x = Dropout(0.1)(x)
    return Model(inputs, Dense(units, name="embedding")(x))


def siamese(features=6, units=5):
    left, right = Input((features,)), Input((features,))
    # both sides share their weights
    encoder = make_encoder(features, units)
    distance = Subtract()([encoder(left), encoder(right)])
    return Model([left, right], Dense(1, activation="sigmoid")(distance))
