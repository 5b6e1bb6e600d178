import pandas as pd
from keras import Input, Sequential, layers
from sklearn.preprocessing import LabelEncoder

frame = pd.read_csv("flowers.csv")
labels = LabelEncoder().fit_transform(frame["label"])
num_classes = len(set(labels))
features = frame.shape[1] - 1

model = Sequential([Input((features,))])
for units in (32, 16):
    model.add(layers.Dense(units, activation="relu"))
    model.add(layers.Dropout(0.3))
model.add(layers.Dense(num_classes, activation="softmax"))
print(model.summary())
model.compile("adam", "sparse_categorical_crossentropy")
