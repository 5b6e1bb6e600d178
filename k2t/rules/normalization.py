"""Normalization layers."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import LayoutKind, Value, Weight
from k2t.rules.base import example, rule, size
from k2t.rules.builder import Builder


def single_axis(axis: Any, rank: int) -> int:
    """An axis given as a number or as a list of one, counted from the front."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    if len(axes) != 1:
        raise UntranslatableError(f"axis={axis!r}: only one axis has a module in PyTorch")
    return int(axes[0]) % rank


@rule(
    "BatchNormalization",
    masking=True,
    examples=[
        example((7,)),
        example((5, 7)),
        example((4, 5, 3), epsilon=1e-5, momentum=0.9),
        example((4, 5, 3), center=False, scale=False),
        example((4, 5, 3), center=False),
        example((3, 4, 5), axis=1),
        example((2, 3, 4, 3)),
    ],
)
def batch_normalization(
    b: Builder,
    x: Value,
    *,
    axis: Any = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    renorm: bool = False,
    renorm_clipping: Any = None,
    renorm_momentum: float = 0.99,
    synchronized: bool = False,
    training: bool | None = None,
) -> Value:
    """nn.BatchNormNd; Keras's momentum is the weight of the old value, PyTorch's that of the new."""
    if training:
        raise UntranslatableError("is called with training=True: it would use the statistics of each batch")
    if renorm:
        raise UntranslatableError("renorm=True has no module in PyTorch")
    axis = single_axis(axis, x.rank)
    features = size(x, axis)
    weights: dict[str, Weight | None] = {}
    if scale:
        weights["weight"] = b.weight(b.variable("gamma", (features,)))
    if center:
        weights["bias"] = b.weight(b.variable("beta", (features,)))
    for key, name in (("running_mean", "moving_mean"), ("running_var", "moving_variance")):
        weights[key] = b.weight(b.variable(name, (features,), trainable=False), buffer=True)
    layout: LayoutKind = "first" if axis == x.rank - 1 else "keras"
    if axis != 1 and axis != x.rank - 1:
        raise UntranslatableError(f"axis={axis} of {x.shape} is neither the first nor the last after the batch axis")
    options: dict[str, Any] = {} if scale or center else {"affine": False}
    frozen = training is False or not b.parts.trainable
    name = f"BatchNorm{max(x.rank - 2, 1)}d"
    module = b.module(
        f"Frozen{name}" if frozen else f"nn.{name}",
        features,
        weights=weights if scale == center else weights | missing_affine(features, weights.keys()),
        eps=epsilon,
        momentum=round(1 - momentum, 12),
        **options,
    )
    return b.call(module, x, shape=x.shape, layout=layout)


def missing_affine(features: int, given: Collection[str]) -> dict[str, Weight | None]:
    """PyTorch has both scale and offset or neither: the missing one is a frozen constant."""
    fill = {"weight": np.ones, "bias": np.zeros}
    return {
        key: Weight((), partial(make, features, np.float32), trainable=False)
        for key, make in fill.items()
        if key not in given
    }
