from keras.layers import BatchNormalization, Conv2D, Dense, Input, ReLU, Reshape, UpSampling2D
from keras.models import Model, Sequential


class GAN:
    def __init__(self):
        self.latent_dim = 7
        self.channels = 3
        self.generator = self.build_generator()

    def build_generator(self):
        model = Sequential()
        model.add(Dense(4 * 4 * 6, input_dim=self.latent_dim))
        model.add(ReLU())
        model.add(Reshape((4, 4, 6)))
        model.add(UpSampling2D())
        model.add(Conv2D(5, 3, padding="same"))
        model.add(BatchNormalization(momentum=0.8))
        model.add(ReLU())
        model.add(Conv2D(self.channels, 3, padding="same", activation="tanh"))
        model.summary()

        noise = Input(shape=(self.latent_dim,))
        return Model(noise, model(noise))
