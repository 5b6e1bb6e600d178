"""Keras 2 and tf.keras to Keras 3: names of layers and options, and values that have changed their meaning.

Sources: releases 2.0.0 to 2.3.1 of Keras, tf.keras of TensorFlow 1.12 to 2.15.
"""

from __future__ import annotations

from typing import Any

from k2t.read.eras.era import Era

Config = dict[str, Any]

KINDS = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "UnifiedGRU": "GRU",
    "UnifiedLSTM": "LSTM",
}

KEYS_OF = {"LeakyReLU": {"alpha": "negative_slope"}, "InputLayer": {"batch_input_shape": "batch_shape"}}

ANY = object()

# (kind, option) -> the value with which it says nothing; with any other it stays, and the rules refuse it.
# Any kind is "*", any value is ANY: how fast it runs, or what the inputs' shapes say again.
INERT: dict[tuple[str, str], Any] = {
    ("*", "implementation"): ANY,
    ("*", "time_major"): False,
    ("Attention", "causal"): False,
    ("AdditiveAttention", "causal"): False,
    ("BatchNormalization", "adjustment"): None,
    ("BatchNormalization", "fused"): ANY,
    ("BatchNormalization", "virtual_batch_size"): None,
    ("Conv1DTranspose", "groups"): 1,
    ("Conv2DTranspose", "groups"): 1,
    ("Conv3DTranspose", "groups"): 1,
    ("DepthwiseConv1D", "groups"): 1,
    ("DepthwiseConv2D", "groups"): 1,
    ("SeparableConv1D", "groups"): 1,
    ("SeparableConv2D", "groups"): 1,
    ("Embedding", "input_length"): ANY,
    ("Embedding", "sparse"): ANY,
    ("MultiHeadAttention", "query_shape"): ANY,
    ("MultiHeadAttention", "key_shape"): ANY,
    ("MultiHeadAttention", "value_shape"): ANY,
}

# What cuDNN computes whatever the options, and what the layers do not store.
CUDNN = {
    "CuDNNGRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True},
    "CuDNNLSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True},
}

ACTIVATIONS = {"swish": "silu", "softmax_v2": "softmax"}

RECURRENT = frozenset({"GRU", "GRUCell", "LSTM", "LSTMCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})


def from_keras_2(kind: str, config: Config, era: Era) -> tuple[str, Config]:
    """A layer of Keras 2 or tf.keras as Keras 3 would store it."""
    config = {**config, **CUDNN.get(kind, {})}
    if kind == "SyncBatchNormalization":
        config["synchronized"] = True
    kind = KINDS.get(kind, kind)
    own = KEYS_OF.get(kind, {})
    config = {own.get(key, key): value for key, value in config.items()}
    drop_inert(kind, config)
    if kind in RECURRENT:
        config.setdefault("recurrent_activation", "hard_sigmoid" if era.version < (2, 3) else "sigmoid")
    if kind in ("GRU", "GRUCell"):
        config.setdefault("reset_after", False)
    if kind == "BatchNormalization":
        axis = config.get("axis")
        config["axis"] = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else config.get("axis", -1)
    return kind, config


def drop_inert(kind: str, config: Config) -> None:
    """Take away the options that say nothing."""
    for (owner, key), value in INERT.items():
        if owner in ("*", kind) and key in config and (value is ANY or config[key] == value):
            del config[key]


def activation(value: Any, era: Era) -> Any:
    """The name of an activation in today's spelling.

    Until Keras 3, `hard_sigmoid` was clip(0.2 x + 0.5, 0, 1); today it is clip(x / 6 + 0.5, 0, 1).
    """
    if isinstance(value, dict) and value.get("class_name") == "function" and isinstance(value.get("config"), str):
        value = value["config"]
    if not isinstance(value, str):
        return value
    if value == "hard_sigmoid" and era.before_keras_3:
        return "keras2_hard_sigmoid"
    return ACTIVATIONS.get(value, value)
