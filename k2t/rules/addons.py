"""Layers of tensorflow_addons and keras_contrib, whose class names files hold without their package."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axes, Value
from k2t.rules.activations import gelu
from k2t.rules.base import rule, size
from k2t.rules.builder import Builder
from k2t.rules.normalization import group_normalization

rule("Addons>GroupNormalization", masking=True)(group_normalization)


@rule("Addons>GELU", masking=True)
def gelu_layer(b: Builder, x: Value, *, approximate: bool = True) -> Value:
    """F.gelu, by tanh unless told otherwise."""
    return gelu(b, x, approximate)


@rule("InstanceNormalization", "Addons>InstanceNormalization")
def instance_normalization(
    b: Builder,
    x: Value,
    *,
    axis: int | None = None,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    groups: int | None = None,
) -> Value:
    """nn.GroupNorm of single channels for tensorflow_addons; that of keras_contrib adds epsilon to the deviation."""
    if groups is not None:  # keras_contrib has no such option
        channels = -1 if axis is None else axis
        output: Value = group_normalization(b, x, groups=-1, axis=channels, epsilon=epsilon, center=center, scale=scale)
        return output
    kept = None if axis is None else axis % x.rank
    if kept == 0:
        raise UntranslatableError("axis=0 is the batch")
    reduced = tuple(i for i in range(1, x.rank) if i != kept)
    shape = tuple(1 if i in reduced else n for i, n in enumerate(x.shape))
    options: dict[str, Any] = {"keepdim": True, "shape": shape}
    deviation = b.call("+", b.call(".std", x, Axes(reduced), correction=0, **options), epsilon)
    x = b.call("/", b.call("-", x, b.call(".mean", x, Axes(reduced), **options)), deviation)
    features = (1,) if kept is None else (size(x, kept),)
    axes = (-1,) if kept is None else (kept - x.rank,)
    for name, operator in (("gamma", "*"), ("beta", "+")):
        if {"gamma": scale, "beta": center}[name]:
            x = b.call(operator, x, b.parameter(name, b.variable(name, features), axes=axes), shape=x.shape)
    return x
