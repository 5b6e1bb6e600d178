"""Keras 2 and tf.keras to Keras 3: names of layers and options, and values that have changed their meaning.

Sources: releases 2.0.0 to 2.3.1 of Keras, tf.keras of TensorFlow 1.12 to 2.15, every `get_config` of these.
"""

from __future__ import annotations

from typing import Any

from k2t.read.eras.backends import backend_values
from k2t.read.eras.era import Era
from k2t.read.eras.keras1 import LEGACY, from_keras_1

Config = dict[str, Any]

KINDS = {
    "BatchNormalizationV1": "BatchNormalization",
    "ConvRNN2D": "ConvLSTM2D",
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

KEYS_OF = {"LeakyReLU": {"alpha": "negative_slope"}}

GATED = ("GRU", "GRUCell", "LSTM", "LSTMCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
RECURRENT = (*GATED, "SimpleRNN", "SimpleRNNCell")

ANY = object()

# (kind, option) -> the value with which it says nothing; with any other it stays, and the rules refuse it.
# Any kind is "*". Any value is ANY: how fast it runs, or what the shapes of inputs and weights say again.
INERT: dict[tuple[str, str], Any] = {
    ("*", "dynamic"): False,
    ("*", "num_constants"): None,
    ("*", "rng_type"): ANY,
    ("*", "time_major"): False,
    ("Attention", "causal"): False,
    ("AdditiveAttention", "causal"): False,
    ("BatchNormalization", "adjustment"): None,
    ("BatchNormalization", "fused"): ANY,
    ("BatchNormalization", "virtual_batch_size"): None,
    ("Conv1DTranspose", "groups"): 1,
    ("Conv2DTranspose", "groups"): 1,
    ("Conv3DTranspose", "groups"): 1,
    ("Cropping1D", "data_format"): "channels_last",
    ("DepthwiseConv1D", "groups"): 1,
    ("DepthwiseConv2D", "groups"): 1,
    ("Embedding", "input_length"): ANY,
    ("Embedding", "sparse"): ANY,
    ("MultiHeadAttention", "query_shape"): ANY,
    ("MultiHeadAttention", "key_shape"): ANY,
    ("MultiHeadAttention", "value_shape"): ANY,
    ("RandomRotation", "value_range"): ANY,
    ("SeparableConv1D", "groups"): 1,
    ("SeparableConv2D", "groups"): 1,
    ("SpatialDropout1D", "noise_shape"): None,
    ("SpatialDropout2D", "noise_shape"): None,
    ("SpatialDropout3D", "noise_shape"): None,
    ("UpSampling1D", "data_format"): "channels_last",
    **dict.fromkeys(((kind, "implementation") for kind in RECURRENT), ANY),
    ("LocallyConnected1D", "implementation"): 1,
    ("LocallyConnected2D", "implementation"): 1,
}

# What cuDNN computes and the layers do not store.
CUDNN = {
    "CuDNNGRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True},
    "CuDNNLSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True},
}

ACTIVATIONS = {"swish": "silu", "softmax_v2": "softmax"}


def from_keras_2(kind: str, config: Config, era: Era) -> tuple[str, Config]:
    """A layer of Keras 2 or tf.keras as Keras 3 would store it."""
    if kind in LEGACY:
        kind, config = from_keras_1(kind, config, era)
    if kind == "ConvRNN2D":
        kind, config = of_cell(config)
    config = {**config, **CUDNN.get(kind, {})}
    if kind == "SyncBatchNormalization":
        config["synchronized"] = True
    kind = KINDS.get(kind, kind)
    own = KEYS_OF.get(kind, {})
    config = {own.get(key, key): value for key, value in config.items()}
    if kind in GATED:
        config.setdefault("recurrent_activation", "hard_sigmoid" if era.version < (2, 3) else "sigmoid")
    if kind in ("GRU", "GRUCell"):
        config.setdefault("reset_after", False)
    axis = config.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list | tuple) and len(axis) == 1:
        config["axis"] = axis[0]
    return kind, backend_values(kind, config, era)


def of_cell(config: Config) -> tuple[str, Config]:
    """A recurrent layer of images with its cell, of which there was one kind, as the layer that has this cell."""
    cell = config.get("cell")
    if not isinstance(cell, dict) or cell.get("class_name") != "ConvLSTM2DCell":
        return "ConvRNN2D", config
    outer = {key: value for key, value in config.items() if key != "cell"}
    return "ConvLSTM2D", {**cell.get("config", {}), **outer}


def drop_inert(kind: str, config: Config) -> None:
    """Take away the options that say nothing."""
    for (owner, key), value in INERT.items():
        if owner in ("*", kind) and key in config and (value is ANY or config[key] == value):
            del config[key]


def activation(value: Any, era: Era) -> Any:
    """The name of an activation in today's spelling.

    Until Keras 3, `hard_sigmoid` was clip(0.2 x + 0.5, 0, 1); today it is clip(x / 6 + 0.5, 0, 1).
    """
    if value == "hard_sigmoid" and era.before_keras_3:
        return "keras2_hard_sigmoid"
    return ACTIVATIONS.get(value, value) if isinstance(value, str) else value
