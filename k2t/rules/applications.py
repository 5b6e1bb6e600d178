"""Layers that the networks of keras.applications bring with them."""

from __future__ import annotations

from k2t.program import Value
from k2t.rules.base import rule
from k2t.rules.builder import Builder


@rule("LayerScale")
def layer_scale(b: Builder, x: Value, *, init_values: float, projection_dim: int) -> Value:
    """Times a parameter, one value for each channel."""
    return b.call("*", x, b.parameter("", b.variable("gamma", (projection_dim,)), axes=(-1,)))


@rule("StochasticDepth")
def stochastic_depth(b: Builder, x: Value, *, drop_path_rate: float, training: bool | None = None) -> Value:
    """A local module: drops whole samples while training."""
    return b.call(b.module("StochasticDepth", drop_path_rate), x)


@rule("CustomScaleLayer")
def custom_scale_layer(b: Builder, inputs: list[Value], *, scale: float) -> Value:
    """x + scale * y."""
    x, y = inputs
    return b.call("+", x, b.call("*", y, scale))
