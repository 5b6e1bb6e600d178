"""Categories: encodings and bins."""

from __future__ import annotations

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.base import Example, example, require, rule
from k2t.rules.builder import Builder

MODES = ("int", "one_hot", "multi_hot", "count")


def encode(b: Builder, x: Value, mode: str, depth: int, weights: Value | None = None) -> Value:
    """Indices as vectors of `depth` numbers: one for each index, or for each sample."""
    if mode == "int":
        return x
    if mode == "one_hot" and x.rank > 1 and x.shape[-1] == 1:
        x = b.call(".squeeze", x, -1, shape=x.shape[:-1], layout="keras")
    shape, dtype = (*x.shape, depth), b.layer.dtype if "float" in b.layer.dtype else "float32"
    y = b.call(b.module("OneHot", depth), x, shape=shape, dtype=dtype, layout="keras")
    if mode == "one_hot":
        return y
    axis = min(x.rank - 1, 1)
    if weights is not None:
        column = b.call("[]", weights, (..., None), shape=(*weights.shape, 1), layout="keras")
        y = b.call("*", y, column, layout="keras")
    method = ".sum" if mode == "count" else ".amax"
    return b.call(method, y, axis, shape=(*x.shape[:axis], *x.shape[axis + 1 :], depth), layout="keras")


@rule(
    "CategoryEncoding",
    examples=[
        Example(((4,),), {"num_tokens": 6}, integers=6),
        Example(((4,),), {"num_tokens": 6, "output_mode": "one_hot"}, integers=6),
        Example(((1,),), {"num_tokens": 6, "output_mode": "one_hot"}, integers=6),
        Example(((4,),), {"num_tokens": 6, "output_mode": "count"}, integers=6),
    ],
)
def category_encoding(
    b: Builder,
    x: Value,
    *,
    num_tokens: int,
    output_mode: str = "multi_hot",
    sparse: bool = False,
    count_weights: Value | None = None,
) -> Value:
    """A local module: ones where an index is, and their sum or maximum."""
    mode = "multi_hot" if output_mode == "binary" else output_mode
    require(mode, MODES[1:], "output_mode")
    return encode(b, x, mode, num_tokens, count_weights)


@rule(
    "Discretization",
    examples=[
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7]),
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7], output_mode="one_hot"),
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7], output_mode="count"),
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7], output_mode="multi_hot"),
    ],
)
def discretization(
    b: Builder,
    x: Value,
    *,
    bin_boundaries: list[float] | None = None,
    num_bins: int | None = None,
    epsilon: float = 0.01,
    output_mode: str = "int",
    sparse: bool = False,
) -> Value:
    """torch.bucketize."""
    require(output_mode, MODES, "output_mode")
    if bin_boundaries is None:
        raise UntranslatableError("has no bin_boundaries: adapt it to data before saving")
    bounds = b.constant("boundaries", np.asarray(bin_boundaries, np.float32).astype(np.float64))
    indices = b.call("discretize", x, bounds, shape=x.shape, dtype="int64", layout="keras")
    return encode(b, indices, output_mode, len(bin_boundaries) + 1)
