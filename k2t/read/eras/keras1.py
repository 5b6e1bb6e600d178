"""Keras 1 to Keras 2: names of layers and options.

Sources: `keras/layers/*.py` and `engine/topology.py` of releases 1.0.0 to 1.2.2; `keras/legacy/interfaces.py` and
`legacy/layers.py` of 2.0.0 to 2.2.4, which state how Keras 2 reads them. What has no equal keeps its old option or
class, so that the rules refuse it by name.
"""

from __future__ import annotations

from typing import Any

from k2t.read.eras.era import Era

Config = dict[str, Any]

KINDS = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}

# In every layer.
KEYS = {
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "beta_init": "beta_initializer",
    "gamma_init": "gamma_initializer",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "length": "size",
    "p": "rate",
    "sigma": "stddev",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}

# In these layers only; they go before `KEYS`.
KEYS_OF = {
    "Dense": {"output_dim": "units"},
    "MaxoutDense": {"output_dim": "units"},
    "SimpleRNN": {"output_dim": "units"},
    "GRU": {"output_dim": "units"},
    "LSTM": {"output_dim": "units"},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "PReLU": {"init": "alpha_initializer"},
    "ParametricSoftplus": {"alpha_init": "alpha_initializer", "beta_init": "beta_initializer"},
    "SReLU": {f"{part}_init": f"{part}_initializer" for part in ("t_left", "a_left", "t_right", "a_right")},
}

DATA_FORMATS = {"th": "channels_first", "tf": "channels_last"}

# Kinds that have a data format, stored or not.
WITH_DATA_FORMAT = frozenset(
    {"Conv2D", "Conv3D", "Conv2DTranspose", "SeparableConv2D", "ConvLSTM2D", "LocallyConnected2D"}
    | {f"{name}{rank}D" for name in ("MaxPooling", "AveragePooling", "SpatialDropout") for rank in (2, 3)}
    | {f"{name}{rank}D" for name in ("GlobalMaxPooling", "GlobalAveragePooling") for rank in (2, 3)}
    | {f"{name}{rank}D" for name in ("ZeroPadding", "Cropping", "UpSampling") for rank in (2, 3)}
)

# Options that say nothing about what a layer computes: initial values, speed, and the shape of the input, which
# `batch_input_shape` states again.
INERT = ("forget_bias_init", "transform_bias", "consume_less", "input_dim", "input_length")

# Layers that Keras 2 kept as they were.
LEGACY = frozenset({"Highway", "MaxoutDense", "Merge"})

MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot"}


def from_keras_1(kind: str, config: Config, era: Era) -> tuple[str, Config]:
    """A layer of Keras 1 as Keras 2 would have stored it."""
    if kind == "Merge":
        return merge(config)
    kind = KINDS.get(kind, kind)
    own = KEYS_OF.get(kind, {})
    config = {own.get(key, KEYS.get(key, key)): value for key, value in config.items()}
    for key in INERT:
        if not (kind == "Embedding" and key == "input_dim"):
            config.pop(key, None)
    kernel_size(config)
    if kind in WITH_DATA_FORMAT:
        stored = config.get("data_format", "default")
        if isinstance(stored, str):
            config["data_format"] = {"default": era.data_format, **DATA_FORMATS}.get(stored, stored)
    if kind in CHANGES:
        CHANGES[kind](config)
    return kind, config


def kernel_size(config: Config) -> None:
    """The sizes of a kernel had an option each."""
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(name in config for name in names):
            config["kernel_size"] = [config.pop(name) for name in names]


def merge(config: Config) -> tuple[str, Config]:
    """`Merge` had a mode; each is a class of its own now.

    Stays `Merge`: a function as mode, and "cos", whose result had one axis more than `Dot(normalize=True)` has.
    """
    mode = config.get("mode", "sum")
    if not isinstance(mode, str) or mode not in MERGES or config.get("mode_type", "raw") != "raw":
        return "Merge", config
    options: Config = {key: config[key] for key in ("name", "trainable", "layers") if key in config}
    if mode == "concat":
        options["axis"] = config.get("concat_axis", -1)
    if mode == "dot":
        options |= {"axes": config.get("dot_axes", -1), "normalize": False}
    return MERGES[mode], options


def batch_normalization(config: Config) -> None:
    """Mode 0 is today's layer; 1 normalised each sample, 2 used the batch's statistics always."""
    if config.get("mode") == 0:
        del config["mode"]


def embedding(config: Config) -> None:
    """Dropping whole words, in training."""
    if not config.get("dropout"):
        config.pop("dropout", None)


def zero_padding_1d(config: Config) -> None:
    """A number, a pair, or names of the sides."""
    padding = config.get("padding", 1)
    if isinstance(padding, dict) and padding.keys() <= {"left_pad", "right_pad"}:
        config["padding"] = [padding.get("left_pad", 0), padding.get("right_pad", 0)]


def zero_padding_2d(config: Config) -> None:
    """Rows and columns, four sides in the order top, bottom, left, right, or names of the sides."""
    padding = config.get("padding", [1, 1])
    sides = ("top_pad", "bottom_pad", "left_pad", "right_pad")
    if isinstance(padding, dict) and padding.keys() <= set(sides):
        padding = [padding.get(side, 0) for side in sides]
    if isinstance(padding, list | tuple) and len(padding) == 4:
        config["padding"] = [list(padding[:2]), list(padding[2:])]


def deconvolution(config: Config) -> None:
    """The output's shape was an option; today it follows from the input's, or from `output_padding`.

    An input of n becomes s(n - 1) + k - 2p + `output_padding`, p = k // 2 for "same" and 0 for "valid"
    (Keras 3, `compute_conv_transpose_output_shape`); n is what a convolution makes of the wanted output.
    """
    shape = config.get("output_shape")
    first = config["data_format"] == "channels_first"
    sizes = integers(shape[2:] if first else shape[1:3]) if isinstance(shape, list | tuple) else None
    kernel, strides = integers(config.get("kernel_size")), integers(config.get("strides", (1, 1)))
    if not (sizes and kernel and strides):
        return
    same = config.get("padding") == "same"
    usual, extra = [], []
    for size, k, s in zip(sizes, kernel, strides, strict=True):
        n = -(-size // s) if same else -(-(size - k + 1) // s)
        usual.append(n * s if same else n * s + max(k - s, 0))
        extra.append(size - s * (n - 1) - k + (2 * (k // 2) if same else 0))
    if sizes == usual:
        del config["output_shape"]
    elif all(0 <= amount < s for amount, s in zip(extra, strides, strict=True)):
        del config["output_shape"]
        config["output_padding"] = extra


def integers(value: Any) -> list[int] | None:
    """Two positive numbers, or None where it is anything else."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    return list(value) if all(isinstance(item, int) and item > 0 for item in value) else None


CHANGES = {
    "BatchNormalization": batch_normalization,
    "Conv2DTranspose": deconvolution,
    "Embedding": embedding,
    "ZeroPadding1D": zero_padding_1d,
    "ZeroPadding2D": zero_padding_2d,
}
