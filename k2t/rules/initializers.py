"""Initialisers: the distribution from which Keras draws the first values of each variable."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from k2t.graph import Layer
from k2t.program import Initializer

# What a variable starts with where its layer does not say, by the last part of its name.
DEFAULTS = {
    "kernel": "glorot_uniform",
    "recurrent_kernel": "orthogonal",
    "depthwise_kernel": "glorot_uniform",
    "pointwise_kernel": "glorot_uniform",
    "carry_kernel": "glorot_uniform",
    "embeddings": "uniform",
    "reverse_embeddings": "uniform",
    "bias": "zeros",
    "carry_bias": "ones",
    "gamma": "ones",
    "beta": "zeros",
    "moving_mean": "zeros",
    "moving_variance": "ones",
    "mean": "zeros",
    "variance": "ones",
    "count": "zeros",
    "alpha": "zeros",
    "concat_score_weight": "ones",
}
# (kind of layer, variable) -> what it starts with; a name in braces is an option of the layer.
SPECIAL = {
    ("Attention", "scale"): "ones",
    ("AdditiveAttention", "scale"): "glorot_uniform",
    ("RMSNormalization", "scale"): "ones",
    ("LayerScale", "gamma"): "{init_values}",
}
FORGETFUL = ("LSTM", "LSTMCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
CONSTANTS = {"zero": 0.0, "zeros": 0.0, "one": 1.0, "ones": 1.0}
VARIANCES = {"glorot": (1.0, "fan_avg"), "he": (2.0, "fan_in"), "lecun": (1.0, "fan_in")}
DISTRIBUTIONS = {"normal": "truncated_normal", "uniform": "uniform"}


def of_variable(layer: Layer, name: str) -> Initializer | None:
    """What the variable `name` of a layer starts with; None where that is not known."""
    last = name.rpartition("/")[2]
    short = last.removesuffix("_kernel")
    wishes = [f"{last}_initializer", f"{short}_initializer"]
    wishes += ["depthwise_initializer"] if layer.kind.startswith("DepthwiseConv") and last == "kernel" else []
    default: Any = SPECIAL.get((layer.kind, last), DEFAULTS.get(last))
    if isinstance(default, str) and default.startswith("{"):
        default = {"class_name": "Constant", "config": {"value": layer.options.get(default.strip("{}"))}}
    given = next((layer.options[wish] for wish in reversed(wishes) if wish in layer.options), default)
    found = initializer(given)
    if found and last == "bias" and layer.kind in FORGETFUL and layer.options.get("unit_forget_bias", True):
        return Initializer("forget_gate", (found,))
    return found


def initializer(value: Any) -> Initializer | None:
    """An option of a layer, a name or a class with its configuration; None for one that is not Keras's."""
    kind: Any = value
    config: Any = {}
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config") or {}
    if not isinstance(kind, str) or not isinstance(config, dict):
        return None
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower().removesuffix("_v2").removesuffix("_initializer")
    first, _, second = name.partition("_")
    if name in CONSTANTS:
        return Initializer("constant", (CONSTANTS[name],))
    if first in VARIANCES and second in DISTRIBUTIONS:
        return Initializer("variance_scaling", (*VARIANCES[first], DISTRIBUTIONS[second]))
    name = name.removeprefix("random_")
    values = OTHERS[name](config) if name in OTHERS else ()
    numbers = all(isinstance(item, int | float | str) and not isinstance(item, bool) for item in values)
    return Initializer(name, values) if values and numbers else None


def fans_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs and outputs Keras counts for a kernel of this shape: (..., in, out)."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    area = math.prod(shape[:-2])
    return shape[-2] * area, shape[-1] * area


def variance_scaling(config: dict[str, Any]) -> tuple[Any, ...]:
    """The scale, its mode and the distribution; tf.keras says normal for truncated_normal."""
    distribution = config.get("distribution", "truncated_normal")
    return config.get("scale", 1.0), config.get("mode", "fan_in"), DISTRIBUTIONS.get(distribution, distribution)


def uniform(config: dict[str, Any]) -> tuple[Any, ...]:
    """Lowest and highest value; Keras 1 has a scale."""
    scale = config.get("scale", 0.05)
    return config.get("minval", -scale), config.get("maxval", scale)


def normal(config: dict[str, Any]) -> tuple[Any, ...]:
    """Mean and standard deviation."""
    return config.get("mean", 0.0), config.get("stddev", config.get("scale", 0.05))


def gain(config: dict[str, Any]) -> tuple[Any, ...]:
    """A factor."""
    return (config.get("gain", 1.0),)


OTHERS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "constant": lambda config: (config.get("value", 0.0),),
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": normal,
    "variance_scaling": variance_scaling,
    "orthogonal": gain,
    "identity": gain,
}
