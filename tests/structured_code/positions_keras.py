from tensorflow import keras
from tensorflow.keras import layers


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = layers.Embedding(vocab_size, embed_dim)
        self.pos_emb = layers.Embedding(maxlen, embed_dim)

    def call(self, x):
        positions = keras.ops.arange(0, x.shape[-1])
        return self.token_emb(x) + self.pos_emb(positions)


def encoder_block(x, num_heads, ff_dim, rate=0.1):
    y = layers.MultiHeadAttention(num_heads, x.shape[-1] // num_heads)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(rate)(y))
    y = layers.Dense(ff_dim, activation="relu")(x)
    y = layers.Dense(x.shape[-1])(y)
    return layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(rate)(y))


def text_classifier(maxlen=12, vocab_size=30, embed_dim=8, num_classes=2):
    tokens = keras.Input((maxlen,), dtype="int32")
    x = TokenAndPositionEmbedding(maxlen, vocab_size, embed_dim)(tokens)
    x = encoder_block(x, num_heads=2, ff_dim=16)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, layers.Dense(num_classes, activation="softmax")(x))
