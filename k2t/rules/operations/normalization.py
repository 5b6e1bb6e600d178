"""Normalization, attention and losses."""

from __future__ import annotations

from functools import partial
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axis, Value
from k2t.rules.activations import log_softmax, softmax
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    as_floating,
    call,
    elementwise,
    normal_axes,
    normal_axis,
    operation,
    real,
    replaced,
    tensor,
    whole,
)
from k2t.rules.operations.indexing import as_places, take_along_axis
from k2t.rules.operations.reduction import logsumexp, reduce_axes
from k2t.rules.operations.shape import expand_dims, squeeze, transpose

_X = real(None, 4, 3)
_IMAGE = real(None, 6, 5, 4)
_FIRST = real(None, 4, 6, 5)
_STATISTICS = (real(4), real(4, between=(0.5, 2)))


@operation(
    "batch_normalization",
    examples=[call(_IMAGE, *_STATISTICS, -1), call(_FIRST, *_STATISTICS, 1, real(4), real(4), 1e-5)],
)
def batch_normalization(
    b: Builder,
    x: Value,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Value:
    """F.batch_norm."""
    one = normal_axis(axis, x.rank)
    if one not in (1, x.rank - 1):
        raise UntranslatableError(f"batch_normalization along axis {axis} of {x.shape}")
    named = {"weight": tensor(b, scale), "bias": tensor(b, offset)}
    options = {key: item for key, item in named.items() if item is not None}
    statistics = tensor(b, mean), tensor(b, variance)
    layout = "keras" if one == 1 else "first"
    return b.call("F.batch_norm", x, *statistics, eps=epsilon, shape=x.shape, layout=layout, **options)  # type: ignore[arg-type]


@operation("recorded_batch_normalization")
def recorded_batch_normalization(
    b: Builder,
    x: Value,
    mean: Any,
    variance: Any,
    offset: Any = None,
    scale: Any = None,
    *,
    axis: int,
    epsilon: float = 1e-3,
) -> Value:
    """The order in which the recorded operation takes its tensors."""
    return batch_normalization(b, x, mean, variance, axis, offset, scale, epsilon)


@operation(
    "layer_normalization",
    examples=[call(_X, real(3), real(3)), call(_X), call(_IMAGE, axis=(2, 3), epsilon=1e-3), call(_X, axis=1)],
)
def layer_normalization(
    b: Builder,
    x: Value,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Value:
    """F.layer_norm over the last axes; by mean and variance over others."""
    axes = normal_axes(axis, x.rank)
    eps = 1e-7 if epsilon is None else epsilon
    if not rms_scaling and axes == tuple(range(x.rank - len(axes), x.rank)) and None not in x.shape[axes[0] :]:
        named = {"weight": tensor(b, gamma), "bias": tensor(b, beta)}
        options = {key: item for key, item in named.items() if item is not None}
        sizes = tuple(x.shape[one] for one in axes)
        return b.call("F.layer_norm", x, sizes, eps=eps, shape=x.shape, layout="keras", **options)
    if gamma is not None or beta is not None:
        raise UntranslatableError(f"layer_normalization over axes {axis} with gamma or beta")
    mean = reduce_axes(b, ".mean", x, axes, True)
    variance = reduce_axes(b, ".var", x, axes, True, correction=0)
    centred = x if rms_scaling else elementwise(b, "-", x, mean)
    return elementwise(b, "*", centred, elementwise(b, "torch.rsqrt", elementwise(b, "+", variance, eps)))


@operation("rms_normalization", examples=[call(_X), call(_X, real(3)), call(_IMAGE, None, (1, 2), 1e-3)])
def rms_normalization(b: Builder, x: Value, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Value:
    """Divided by the root of the mean square."""
    square = reduce_axes(b, ".mean", elementwise(b, "torch.square", x), normal_axes(axis, x.rank), True)
    root = elementwise(b, "torch.rsqrt", elementwise(b, "+", square, 1e-7 if epsilon is None else epsilon))
    y = elementwise(b, "*", x, root)
    return y if scale is None else elementwise(b, "*", y, scale)


def normalized(b: Builder, x: Value, axis: Any = -1, *, one_axis: Any, logarithm: bool) -> Any:
    """F.softmax or F.log_softmax; over several axes by logsumexp."""
    if isinstance(axis, int):
        return one_axis(b, x, axis)
    y = elementwise(b, "-", x, logsumexp(b, x, axis, True))
    return y if logarithm else elementwise(b, "torch.exp", y)


_SEVERAL = [call(_X), call(_IMAGE, 1)]
operation("softmax", examples=_SEVERAL)(partial(normalized, one_axis=softmax, logarithm=False))
operation("log_softmax", examples=_SEVERAL)(partial(normalized, one_axis=log_softmax, logarithm=True))


@operation("sparsemax", examples=[call(_X), call(_IMAGE, 1)])
def sparsemax(b: Builder, x: Value, axis: int = -1) -> Value:
    """A local function."""
    return b.call("sparsemax", x, Axis(axis), shape=x.shape)


_HEADS = [real(None, 5, 2, 4), real(None, 7, 2, 4), real(None, 7, 2, 4)]
_SELF = [real(None, 5, 2, 3)] * 3  # Keras takes the root of 3 in float32


@operation("dot_product_attention", examples=[call(*_HEADS), call(*_SELF, is_causal=True)])
def dot_product_attention(
    b: Builder,
    query: Value,
    key: Value,
    value: Value,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Value:
    """F.scaled_dot_product_attention."""
    if attn_logits_soft_cap is not None or (bias is not None and mask is not None):
        raise UntranslatableError("dot_product_attention with a soft cap, or with both bias and mask")
    queries, keys = query.shape[2], key.shape[2]
    groups = 1 if queries is None or keys is None else queries // keys
    heads = [transpose(b, x, (0, 2, 1, 3)) for x in (query, key, value)]
    if groups > 1:
        heads[1:] = [
            b.call(".repeat_interleave", x, groups, dim=1, shape=replaced(x.shape, 1, query.shape[2]), layout="keras")
            for x in heads[1:]
        ]
    given = {"attn_mask": tensor(b, bias if mask is None else mask), "scale": scale, "is_causal": is_causal or None}
    options = {name: item for name, item in given.items() if item is not None}
    shape = (*heads[0].shape[:-1], value.shape[-1])
    y = b.call("F.scaled_dot_product_attention", *heads, shape=shape, layout="keras", **options)
    return transpose(b, y, (0, 2, 1, 3))


_PROBABILITIES = real(None, 4, between=(0.1, 0.9))


@operation(
    "binary_crossentropy", examples=[call(_PROBABILITIES, _PROBABILITIES), call(_PROBABILITIES, real(None, 4), True)]
)
def binary_crossentropy(b: Builder, target: Any, output: Value, from_logits: bool = False) -> Value:
    """F.binary_cross_entropy, with or without logits."""
    name = "F.binary_cross_entropy_with_logits" if from_logits else "F.binary_cross_entropy"
    y = output if from_logits else elementwise(b, "torch.clamp", output, 1e-7, 1 - 1e-7)
    return elementwise(b, name, y, as_floating(b, target), reduction="none")


@operation(
    "categorical_crossentropy",
    examples=[call(_PROBABILITIES, _PROBABILITIES), call(_PROBABILITIES, real(None, 4), True)],
)
def categorical_crossentropy(
    b: Builder, target: Any, output: Value, from_logits: bool = False, axis: int = -1
) -> Value:
    """The negative sum of the target times log-probabilities."""
    if from_logits:
        logarithms = log_softmax(b, output, axis)
    else:
        total = reduce_axes(b, ".sum", output, axis, True)
        share = elementwise(b, "torch.clamp", elementwise(b, "/", output, total), 1e-7, 1 - 1e-7)
        logarithms = elementwise(b, "torch.log", share)
    products = elementwise(b, "*", target, logarithms)
    return elementwise(b, "-", reduce_axes(b, ".sum", products, axis))


@operation(
    "sparse_categorical_crossentropy",
    examples=[call(whole(None, below=4), real(None, 4), True), call(whole(None, 2, below=3), real(None, 2, 3), True)],
)
def sparse_categorical_crossentropy(
    b: Builder, target: Any, output: Value, from_logits: bool = False, axis: int = -1
) -> Value:
    """The negative log-probability of the target."""
    if from_logits:
        logarithms = log_softmax(b, output, axis)
    else:
        share = elementwise(b, "torch.clamp", output, 1e-7, 1 - 1e-7)
        logarithms = log_softmax(b, elementwise(b, "torch.log", share), axis)
    if len(target.shape) < output.rank:
        target = expand_dims(b, target, -1)
    chosen = take_along_axis(b, logarithms, as_places(b, target), -1)
    return elementwise(b, "-", squeeze(b, chosen, -1))
