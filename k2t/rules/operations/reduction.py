"""Operations that reduce axes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Axes, Axis, LayoutKind, Parameter, Value
from k2t.rules.base import require
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Call,
    Options,
    as_floating,
    call,
    elementwise,
    floating,
    is_real,
    normal_axes,
    operation,
    real,
    size_product,
    tensor,
    whole,
)
from k2t.rules.operations.elementwise import as_boolean

_X = real(None, 4, 3)
_IMAGE = real(None, 5, 4, 3)
EXAMPLES: list[Call] = [call(_X, 1), call(_IMAGE, axis=(1, 2)), call(_X), call(_IMAGE, -1, keepdims=True)]
ALONG: list[Call] = [call(_X, 1), call(_X, -1, True), call(_IMAGE, axis=2)]


def reduced(x: Value, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape without `axes`, or with 1 there."""
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(x.shape))
    return tuple(size for i, size in enumerate(x.shape) if i not in axes)


def reduce_axes(b: Builder, target: str, x: Value, axis: Any, keepdims: bool = False, **extra: Any) -> Value:
    """A method of tensors that takes a tuple of axes, or none for all."""
    axes = normal_axes(axis, x.rank)
    if not axes:
        return x
    layout: LayoutKind = "any" if keepdims else "reduce"
    if keepdims:
        extra["keepdim"] = True
    elif axis is None:
        return b.call(target, x, shape=(), layout="keras", **extra)
    return b.call(target, x, Axes(axes), shape=reduced(x, axes, keepdims), layout=layout, **extra)


def register_reduction(name: str, target: str, real_only: bool = False, **extra: Any) -> None:
    """A reduction over any axes."""

    def translation(b: Builder, x: Any, axis: Any = None, keepdims: bool = False) -> Value:
        x = tensor(b, x)
        return reduce_axes(b, target, as_floating(b, x) if real_only else x, axis, keepdims, **extra)

    operation(name, examples=EXAMPLES)(translation)


register_reduction("mean", ".mean", True)
register_reduction("nanmean", ".nanmean", True)
register_reduction("nansum", ".nansum")
for _name in ("amax", "amin"):
    register_reduction(_name, f".{_name}")
for _name in ("var", "std"):
    register_reduction(_name, f".{_name}", True, correction=0)


@operation("sum", examples=EXAMPLES)
def sum_(b: Builder, x: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """.sum; tensors in a list are added."""
    x = tensor(b, x)
    return reduce_axes(b, ".sum", x, axis, keepdims, dtype="int32" if x.dtype == "bool" else None)


@operation("logsumexp", examples=EXAMPLES)
def logsumexp(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    """.logsumexp, which wants its axes named."""
    axes = normal_axes(axis, x.rank)
    layout: LayoutKind = "any" if keepdims else "reduce"
    extra: Options = {"keepdim": True} if keepdims else {}
    return b.call(".logsumexp", x, Axes(axes), shape=reduced(x, axes, keepdims), layout=layout, **extra)


def extreme(
    b: Builder, x: Any, axis: Any = None, keepdims: bool = False, initial: float | None = None, *, target: str
) -> Value:
    """.amax or .amin, and not beyond `initial`."""
    y = reduce_axes(b, f".a{target}", tensor(b, x), axis, keepdims)
    bound: Options = {"min" if target == "max" else "max": initial}
    return y if initial is None else elementwise(b, "torch.clamp", y, **bound)


operation("max", examples=[*EXAMPLES, call(_X, 1, initial=0.5)])(partial(extreme, target="max"))
operation("min", examples=[*EXAMPLES, call(_X, 1, initial=0.5)])(partial(extreme, target="min"))


def truth(b: Builder, x: Value, axis: Any = None, keepdims: bool = False, *, target: str) -> Value:
    """.all or .any of numbers that differ from 0."""
    return reduce_axes(b, target, as_boolean(b, x), axis, keepdims, dtype="bool")


_BOOLEAN = whole(None, 4, 3, below=2)
for _name in ("all", "any"):
    operation(_name, examples=[call(_BOOLEAN, 1), call(_BOOLEAN), call(_BOOLEAN, (1, 2), keepdims=True)])(
        partial(truth, target=f".{_name}")
    )


def nan_extreme(b: Builder, x: Value, axis: Any = None, keepdims: bool = False, *, target: str, worst: float) -> Value:
    """.amax or .amin of what is a number."""
    nan = elementwise(b, "torch.isnan", x, dtype="bool")
    filled = b.call(".masked_fill", x, nan, worst, shape=x.shape)
    return reduce_axes(b, target, filled, axis, keepdims)


operation("nanmax", examples=EXAMPLES)(partial(nan_extreme, target=".amax", worst=float("-inf")))
operation("nanmin", examples=EXAMPLES)(partial(nan_extreme, target=".amin", worst=float("inf")))


def nan_spread(b: Builder, x: Value, axis: Any = None, keepdims: bool = False, *, root: bool) -> Value:
    """The mean squared distance of what is a number to its mean."""
    mean = reduce_axes(b, ".nanmean", x, normal_axes(axis, x.rank), True)
    distance = elementwise(b, "torch.square", elementwise(b, "-", x, mean))
    y = reduce_axes(b, ".nanmean", distance, axis, keepdims)
    return elementwise(b, "torch.sqrt", y) if root else y


operation("nanvar", examples=EXAMPLES)(partial(nan_spread, root=False))
operation("nanstd", examples=EXAMPLES)(partial(nan_spread, root=True))


@operation("ptp", examples=EXAMPLES)
def ptp(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    """.amax minus .amin."""
    return elementwise(b, "-", reduce_axes(b, ".amax", x, axis, keepdims), reduce_axes(b, ".amin", x, axis, keepdims))


@operation("count_nonzero", examples=[call(_BOOLEAN, 1), call(_BOOLEAN), call(_BOOLEAN, (1, 2))])
def count_nonzero(b: Builder, x: Value, axis: Any = None) -> Value:
    """torch.count_nonzero."""
    axes = normal_axes(axis, x.rank)
    return b.call("torch.count_nonzero", x, Axes(axes), shape=reduced(x, axes, False), dtype="int64", layout="reduce")


@operation("moments", examples=[call(_IMAGE, (0, 1, 2)), call(_X, [1], keepdims=True)])
def moments(b: Builder, x: Value, axes: Any, keepdims: bool = False, synchronized: bool = False) -> list[Value]:
    """.mean and .var."""
    if synchronized:
        raise UntranslatableError("moments over several devices")
    return [
        reduce_axes(b, ".mean", x, axes, keepdims),
        reduce_axes(b, ".var", x, axes, keepdims, correction=0),
    ]


@operation(
    "average",
    examples=[call(_X, 1), call(_X), call(_X, 1, np.array([0.5, 1.0, 2.0, 0.25])), call(_X, None, real(None, 4, 3))],
)
def average(b: Builder, x: Value, axis: Any = None, weights: Any = None) -> Value:
    """.mean, or the sum weighted, by the sum of the weights."""
    if weights is None:
        return reduce_axes(b, ".mean", x, axis)
    if isinstance(weights, np.ndarray) and weights.ndim == 1 and isinstance(axis, int):
        weights = weights.reshape([-1 if one == axis % x.rank else 1 for one in range(x.rank)])
    weights = tensor(b, weights)
    if len(weights.shape) != x.rank:
        raise UntranslatableError("average with weights of another rank that are computed")
    products = reduce_axes(b, ".sum", elementwise(b, "*", x, weights), axis)
    if isinstance(weights, Parameter):
        return elementwise(b, "/", products, b.call(".sum", weights, shape=(), layout="keras", dtype=floating(x)))
    return elementwise(b, "/", products, reduce_axes(b, ".sum", weights, axis))


def along(b: Builder, target: str, x: Value, axis: int, keepdims: bool, dtype: str | None = None) -> Value:
    """A method of tensors that takes one axis."""
    axes = normal_axes(axis, x.rank)
    extra: Options = {"keepdim": True} if keepdims else {}
    layout: LayoutKind = "any" if keepdims else "reduce"
    return b.call(target, x, Axes(axes), shape=reduced(x, axes, keepdims), layout=layout, dtype=dtype, **extra)


@operation("prod", examples=EXAMPLES)
def prod(b: Builder, x: Any, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Any:
    """.prod over one axis after another, the last one first."""
    x = tensor(b, x)
    if axis is None and not keepdims:
        return b.call(".prod", x, shape=(), layout="keras")
    for one in reversed(normal_axes(axis, x.rank)):
        x = along(b, ".prod", x, one, keepdims)
    return x


@operation("nanprod", examples=EXAMPLES)
def nanprod(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Any:
    """.prod of what is a number."""
    return prod(b, without_nan(b, x, 1.0), axis, keepdims)


def without_nan(b: Builder, x: Value, value: float) -> Value:
    """torch.nan_to_num, but for infinities."""
    nan = elementwise(b, "torch.isnan", x, dtype="bool")
    return b.call(".masked_fill", x, nan, value, shape=x.shape)


def arg_extreme(
    b: Builder, x: Value, axis: int | None = None, keepdims: bool = False, *, target: str, nan: float | None = None
) -> Value:
    """The index of the first extreme along an axis, or in the flattened tensor."""
    if nan is not None:
        filled = without_nan(b, x, nan)
        found = arg_extreme(b, filled, axis, keepdims, target=target)
        missing = elementwise(b, "torch.isnan", x, dtype="bool")
        nothing = b.call(".all", missing, shape=(), dtype="bool", layout="keras")
        if axis is not None:
            nothing = along(b, ".all", missing, axis, keepdims, "bool")
        return elementwise(b, "torch.where", nothing, -1, found, dtype="int64")
    if axis is None:
        y = b.call(target, x, shape=(), dtype="int64", layout="keras")
        if not keepdims:
            return y
        return b.call(".reshape", y, (1,) * x.rank, shape=(1,) * x.rank, dtype="int64", layout="keras")
    return along(b, target, x, axis, keepdims, "int64")


for _name, _worst in (("argmax", float("-inf")), ("argmin", float("inf"))):
    operation(_name, examples=[*ALONG, call(_X), call(_X, None, True)])(partial(arg_extreme, target=f".{_name}"))
    operation(f"nan{_name}", examples=[*ALONG, call(_X)])(partial(arg_extreme, target=f".{_name}", nan=_worst))


def cumulative(
    b: Builder,
    x: Value,
    axis: int | None = None,
    dtype: str | None = None,
    *,
    target: str,
    neutral: float | None = None,
) -> Value:
    """Partial results along an axis, or of the flattened tensor."""
    if neutral is not None and is_real(x.dtype):
        x = without_nan(b, x, neutral)
    if x.dtype == "bool":
        dtype = dtype or "int32"
    if axis is None:
        x = b.call(".flatten", x, shape=(size_product(x.shape),), layout="keras")
        axis = 0
    return elementwise(b, target, x, Axis(axis), dtype=dtype)


for _name, _neutral in (("cumsum", 0.0), ("cumprod", 1.0)):
    operation(_name, examples=[call(_X, 1), call(_X), call(_IMAGE, -2)])(partial(cumulative, target=f".{_name}"))
    operation(f"nan{_name}", examples=[call(_X, 1), call(_X)])(
        partial(cumulative, target=f".{_name}", neutral=_neutral)
    )


def quantile(
    b: Builder,
    x: Value,
    q: Any,
    axis: Any = None,
    method: str = "linear",
    keepdims: bool = False,
    *,
    scale: float = 1.0,
    target: str = "torch.quantile",
) -> Value:
    """torch.quantile along one axis; several axes are joined to one first."""
    require(method, ("linear", "lower", "higher", "midpoint", "nearest"), "method")
    if isinstance(q, Value):
        raise UntranslatableError("quantiles that are computed")
    share: Any = [item * scale for item in q] if isinstance(q, list | tuple) else q * scale
    options: Options = {"interpolation": method} if method != "linear" else {}
    if isinstance(share, list):
        share = tensor(b, share)
    front: Shape = share.shape if isinstance(share, Parameter) else ()
    axes = normal_axes(axis, x.rank)
    y, dim = joined_axes(b, x, axes)
    result = (*front, *reduced(x, axes, False))
    y = b.call(target, y, share, dim, shape=result, layout="keras", **options)
    if keepdims:
        whole_shape = (*front, *reduced(x, axes, True))
        for axis_kept in axes:
            place = axis_kept + len(front)
            partly = (*y.shape[:place], 1, *y.shape[place:])
            y = b.call(".unsqueeze", y, place, shape=partly, layout="keras")
        y.shape = whole_shape
    return y


def joined_axes(b: Builder, x: Value, axes: tuple[int, ...]) -> tuple[Value, int]:
    """`x` with `axes` joined to one, and which it is."""
    if len(axes) == 1:
        return x, axes[0]
    if len(axes) == x.rank:
        return b.call(".flatten", x, shape=(size_product(x.shape),), layout="keras"), 0
    rest = [axis for axis in range(x.rank) if axis not in axes]
    order = (*rest, *axes)
    moved = b.call(".permute", x, *order, shape=tuple(x.shape[axis] for axis in order), layout="keras")
    joined = (*(x.shape[axis] for axis in rest), size_product([x.shape[axis] for axis in axes]))
    return b.call(".flatten", moved, len(rest), shape=joined, layout="keras"), len(rest)


_SHARES = [call(_X, 0.25, 1), call(_X, [0.25, 0.75], axis=1), call(_IMAGE, 0.5, (1, 2), keepdims=True), call(_X, 0.5)]
_HUNDREDTHS = [call(_X, 25, 1), call(_X, [25, 75], axis=1, method="nearest"), call(_IMAGE, 50, (1, 3))]
operation("quantile", examples=[*_SHARES, call(_X, 0.3, 1, "lower")])(quantile)
operation("nanquantile", examples=_SHARES)(partial(quantile, target="torch.nanquantile"))
operation("recorded_quantile")(
    # what Keras records of a quantile forgets its method
    lambda b, x, q, axis=None, method="linear", keepdims=False: quantile(b, x, q, axis, "linear", keepdims)
)
operation("percentile", examples=_HUNDREDTHS)(partial(quantile, scale=0.01))
operation("nanpercentile", examples=_HUNDREDTHS)(partial(quantile, scale=0.01, target="torch.nanquantile"))


def median(b: Builder, x: Value, axis: Any = None, keepdims: bool = False, *, target: str) -> Value:
    """The quantile of one half: the median of torch is the lower of two."""
    return quantile(b, x, 0.5, axis, keepdims=keepdims, target=target)


operation("median", examples=EXAMPLES)(partial(median, target="torch.quantile"))
operation("nanmedian", examples=EXAMPLES)(partial(median, target="torch.nanquantile"))


@operation("normalize", examples=[call(_X), call(_X, 1), call(_X, -1, 1), call(_X, order=3), call(_X, epsilon=1.5)])
def normalize(b: Builder, x: Value, axis: int = -1, order: float = 2, epsilon: float | None = None) -> Value:
    """F.normalize: divided by the norm along an axis, at least epsilon."""
    extra: Options = {} if order == 2 else {"p": order}
    floor = 1e-7 if epsilon is None else epsilon
    return elementwise(b, "F.normalize", x, dim=Axis(axis), eps=floor, **extra)


_NORMS = [call(_X, axis=-1, keepdims=True), call(_X, 1, 1), call(_X, float("inf"), 1), call(_X, 3, -1)]
_NORMS += [call(_X, "fro", (1, 2)), call(_X, "nuc", (1, 2)), call(_X, 2, (1, 2)), call(_X, 1, (2, 1))]


@operation("norm", examples=[call(real(None, 3)), *_NORMS])
def norm(b: Builder, x: Value, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """torch.linalg.norm, of vectors or matrices."""
    x = as_floating(b, x)
    usual = ord in (None, "euclidean") or (ord == 2 and isinstance(axis, int))
    extra: Options = {} if usual else {"ord": ord}
    if axis is None:
        return b.call("torch.linalg.norm", x, shape=(1,) * x.rank if keepdims else (), layout="keras", **extra)
    axes = normal_axes(axis, x.rank)
    if keepdims:
        extra["keepdim"] = True
    if len(axes) == 2:
        extra["dim"] = tuple(axis)
        return b.call("torch.linalg.matrix_norm", x, shape=reduced(x, axes, keepdims), layout="keras", **extra)
    layout: LayoutKind = "any" if keepdims else "reduce"
    return b.call("torch.linalg.norm", x, dim=Axes(axes), shape=reduced(x, axes, keepdims), layout=layout, **extra)


@operation("psnr", examples=[call(_IMAGE, real(None, 5, 4, 3), 2.0)])
def psnr(b: Builder, x1: Value, x2: Value, max_val: float) -> Value:
    """20 log10(max_val) - 10 log10 of the mean squared difference of everything."""
    error = reduce_axes(b, ".mean", elementwise(b, "torch.square", elementwise(b, "-", x1, x2)), None)
    ratio = elementwise(b, "/", float(max_val) ** 2, error)
    return elementwise(b, "*", 10, elementwise(b, "torch.log10", ratio))
