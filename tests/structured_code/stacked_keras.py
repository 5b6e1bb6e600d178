from tensorflow.keras.layers import Dense, Dropout
from tensorflow.keras.models import Sequential


def mlp(input_dim=20, hidden=64, depth=3):
    model = Sequential()
    model.add(Dense(hidden, activation="relu", input_dim=input_dim))
    for _ in range(depth - 1):
        # keep the width
        model.add(Dense(hidden, activation="relu"))
        model.add(Dropout(0.2))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model
