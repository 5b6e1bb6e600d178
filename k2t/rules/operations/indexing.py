"""Operations that take elements by their place, sort them or count them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Axis, Parameter, Size, Value
from k2t.rules.base import require
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Options,
    any_tensor,
    call,
    dtype_of,
    elementwise,
    is_real,
    is_tensor,
    limited,
    normal_axis,
    operation,
    real,
    replaced,
    size_product,
    tensor,
    whole,
)
from k2t.rules.operations.creation import known
from k2t.rules.operations.elementwise import cast
from k2t.rules.operations.reduction import along, reduce_axes

_X = real(None, 4, 3)
_ROWS = whole(None, 2, below=4)


def flat(b: Builder, x: Value) -> Value:
    """All elements in a row, in Keras's order."""
    return b.call(".flatten", x, shape=(size_product(x.shape),), layout="keras")


@operation("take", examples=[call(_X, whole(2, 5, below=3), -1), call(_X, 2, 1), call(_X, [0, 2], 1), call(_X, [5, 2])])
def take(b: Builder, x: Any, indices: Any, axis: int | None = None) -> Value:
    """.index_select, F.embedding for rows, a subscript for one number."""
    x = tensor(b, x)
    if axis is None:
        x, axis = flat(b, x), 0
    rank = len(x.shape)
    axis = normal_axis(axis, rank)
    if isinstance(indices, int):
        items = (*(slice(None),) * axis, indices)
        return b.call("[]", x, items, shape=(*x.shape[:axis], *x.shape[axis + 1 :]), layout="keras", dtype=dtype_of(x))
    places = tensor(b, non_negative(indices, x.shape[axis]), "indices")
    if isinstance(indices, Size) or not isinstance(places, Value | Parameter):
        raise UntranslatableError("take at a place that is a run-time size")
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    if len(places.shape) == 1 and isinstance(x, Value):
        return b.call(".index_select", x, axis, places, shape=shape, layout="keras")
    items = (*(slice(None),) * axis, places)
    return b.call("[]", x, items, shape=shape, layout="keras", dtype=dtype_of(x))


def non_negative(indices: Any, size: int | None) -> Any:
    """Constant places counted from the front."""
    if any_tensor(indices):
        return indices
    places = np.asarray(indices, "int64")
    if (places < 0).any():
        if size is None:
            raise UntranslatableError("negative indices along an axis of unknown size")
        places = np.where(places < 0, places + size, places)
    return places


def as_places(b: Builder, indices: Any) -> Any:
    """Indices as torch wants them where it is strict: int64."""
    indices = tensor(b, indices, "indices")
    if isinstance(indices, Value) and indices.dtype != "int64":
        return b.call(".long", indices, dtype="int64")
    return indices


_PLACES = whole(None, 2, 3, below=4)


@operation("take_along_axis", examples=[call(_X, _PLACES, 1), call(real(None, 4), whole(None, 3, below=4), -1)])
def take_along_axis(b: Builder, x: Value, indices: Any, axis: int | None = None) -> Value:
    """torch.take_along_dim."""
    places = as_places(b, indices)
    if axis is None:
        places = flat(b, places)
        return b.call("torch.take_along_dim", flat(b, x), places, 0, shape=places.shape, layout="keras")
    axis = normal_axis(axis, x.rank)
    shape = replaced(x.shape, axis, places.shape[axis])
    return b.call("torch.take_along_dim", x, places, axis, shape=shape, layout="keras")


@operation("sort", examples=[call(_X), call(_X, 1)])
def sort(b: Builder, x: Value, axis: int = -1) -> Value:
    """.sort, the values."""
    if axis is None:
        x, axis = flat(b, x), 0
    output = b.value(x.shape, x.dtype)
    b.calls(".sort", x, Axis(axis), outputs=(output, None), layout="any")
    return output


@operation("argsort", examples=[call(_X), call(_X, 1), call(whole(None, 9), 1)])
def argsort(b: Builder, x: Value, axis: int | None = -1) -> Value:
    """.argsort; equal elements keep their order."""
    if axis is None:
        x, axis = flat(b, x), 0
    return b.call(".argsort", x, dim=Axis(axis), stable=True, shape=x.shape, dtype="int64")


@operation("argpartition")
def argpartition(b: Builder, x: Value, kth: int, axis: int = -1) -> Value:
    """.argsort, which is one of the orders that it may return."""
    return argsort(b, x, axis)


@operation("top_k", examples=[call(_X, 2), call(real(None, 9), 3, sorted=True)])
def top_k(b: Builder, x: Value, k: int, sorted: bool = True) -> list[Value]:
    """.topk over the last axis; its indices by a stable sort, for of equal numbers Keras takes the first."""
    shape = (*x.shape[:-1], known(k))
    largest = b.value(shape, x.dtype)
    options: Options = {} if sorted else {"sorted": False}
    b.calls(".topk", x, k, outputs=(largest, None), **options)
    order = b.call(".argsort", x, dim=-1, descending=True, stable=True, dtype="int64", layout="keras")
    return [largest, b.call("[]", order, (..., slice(k)), shape=shape, layout="keras")]


@operation("in_top_k")
def in_top_k(b: Builder, targets: Value, predictions: Value, k: int) -> Value:
    """Whether fewer than k predictions are greater than the target's."""
    column = b.call(".unsqueeze", targets, 1, shape=(targets.shape[0], 1), layout="keras")
    chosen = take_along_axis(b, predictions, column, 1)
    greater = elementwise(b, ">", predictions, chosen, dtype="bool")
    return elementwise(b, "<", reduce_axes(b, ".sum", greater, 1, dtype="int64"), k, dtype="bool")


@operation(
    "one_hot",
    examples=[call(whole(None, 3), 6), call(whole(None, 3), 4, axis=1), call(whole(None), 3, dtype="int32")],
)
def one_hot(
    b: Builder, x: Any, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False
) -> Any:
    """Compared with 0 to num_classes - 1: F.one_hot refuses what lies outside, Keras makes rows of zeros of it."""
    if not isinstance(x, Value):
        x = tensor(b, np.asarray(x))
    limited(num_classes)
    rank = len(x.shape) + 1
    axis %= rank
    shape = (*x.shape[:axis], num_classes, *x.shape[axis:])
    column = b.call(".unsqueeze", x, axis, shape=(*x.shape[:axis], 1, *x.shape[axis:]), layout="keras")
    sizes = [-1 if i == axis else 1 for i in range(axis, rank)]
    numbers = tensor(b, np.arange(num_classes).reshape(sizes), "classes")
    same = b.call("==", column, numbers, shape=shape, dtype="bool", layout="keras")
    return cast(b, same, dtype or "float32")


@operation("multi_hot", examples=[call(whole(None, 3, below=6), 6), call(whole(None, 3, below=6), 6, dtype="bool")])
def multi_hot(
    b: Builder,
    inputs: Value,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
    num_tokens: int | None = None,
) -> Any:
    """Whether each class is among the numbers of a row."""
    count = num_classes if num_classes is not None else num_tokens
    if count is None:
        raise UntranslatableError("multi_hot without the number of classes")
    single = one_hot(b, inputs, count, axis, "bool")
    found = along(b, ".any", single, 1 if inputs.rank > 1 else 0, False, "bool")
    return cast(b, found, dtype or "float32")


@operation("searchsorted")
def searchsorted(b: Builder, sorted_sequence: Any, values: Any, side: str = "left") -> Value:
    """torch.searchsorted."""
    options: Options = {"right": True} if side == "right" else {}
    sequence, found = tensor(b, sorted_sequence), tensor(b, values)
    return b.call("torch.searchsorted", sequence, found, shape=found.shape, dtype="int64", layout="keras", **options)


@operation("digitize", examples=[call(real(None, 4), np.array([-1.0, 0.0, 1.5]))])
def digitize(b: Builder, x: Value, bins: Any) -> Value:
    """torch.bucketize."""
    bounds = tensor(b, bins, "bins")
    return b.call("torch.bucketize", x, bounds, right=True, shape=x.shape, dtype="int64", layout="keras")


@operation("bincount", examples=[call(whole(None), minlength=6)])
def bincount(b: Builder, x: Value, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Value:
    """torch.bincount; rows are counted one by one."""
    options: Options = {"minlength": minlength} if minlength else {}
    if weights is not None:
        options["weights"] = tensor(b, weights)
    dtype = "int32" if weights is None else dtype_of(weights)
    if x.rank == 1:
        return b.call("torch.bincount", x, shape=(None,), dtype=dtype, layout="keras", **options)
    return b.call("bincount_rows", x, shape=(x.shape[0], None), dtype=dtype, layout="keras", **options)


@operation("histogram")
def histogram(b: Builder, x: Value, bins: Any = 10, range: Any = None) -> list[Value]:
    """torch.histogram of all elements."""
    if range is None:
        raise UntranslatableError("histogram without a range: its bounds depend on the data")
    limited(bins)
    edges = tensor(b, np.linspace(range[0], range[1], bins + 1), "edges")
    counts, bounds = b.value((bins,), x.dtype), b.value((bins + 1,), x.dtype)
    b.calls("torch.histogram", flat(b, x), edges, outputs=(counts, bounds))
    return [counts, bounds]


@operation("nonzero")
def nonzero(b: Builder, x: Value) -> list[Value]:
    """torch.nonzero, one tensor of indices for each axis."""
    outputs = tuple(b.value((None,), "int64") for _ in range(x.rank))
    b.calls("torch.nonzero", x, outputs=outputs, as_tuple=True)
    return list(outputs)


@operation("unique")
def unique(
    b: Builder,
    x: Value,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """torch.unique."""
    if return_index or size is not None or axis is not None:
        raise UntranslatableError("unique with return_index, size or axis")
    options: Options = {"return_inverse": True} if return_inverse else {}
    options |= {"return_counts": True} if return_counts else {}
    first = b.value((None,), x.dtype)
    if not options:
        b.calls("torch.unique", x, outputs=first)
        return first
    outputs = [first]
    outputs += [b.value((size_product(x.shape),), "int64")] if return_inverse else []
    outputs += [b.value((None,), "int64")] if return_counts else []
    b.calls("torch.unique", x, outputs=tuple(outputs), **options)
    return outputs


@operation("unravel_index", examples=[call(whole(None, below=20), (4, 5))])
def unravel_index(b: Builder, indices: Value, shape: Sequence[int]) -> list[Value]:
    """torch.unravel_index."""
    outputs = tuple(b.value(indices.shape, "int64") for _ in shape)
    b.calls("torch.unravel_index", as_places(b, indices), tuple(shape), outputs=outputs)
    return list(outputs)


def columns(b: Builder, indices: Any) -> tuple[Any, int]:
    """The rows of indices as one tensor for each axis, and how many axes these are."""
    places = as_places(b, indices)
    width = places.shape[-1]
    if width is None:
        raise UntranslatableError("indices of an unknown number of axes")
    items = [
        b.call("[]", places, (Ellipsis, axis), shape=places.shape[:-1], dtype="int64", layout="keras")
        for axis in range(width)
    ]
    return tuple(items), width


@operation("scatter", examples=[call(whole(4, 1, below=6), real(4, 3), (6, 3))])
def scatter(b: Builder, indices: Any, values: Value, shape: Sequence[Any]) -> Value:
    """.index_put of zeros, equal indices added."""
    places, _ = columns(b, indices)
    sizes = tuple(known(item) for item in shape)
    zeros = b.call(".new_zeros", values, tuple(shape), shape=sizes, layout="keras")
    return b.call(".index_put", zeros, places, values, accumulate=True, shape=sizes, layout="keras")


# Keras's name of a reduction -> torch's.
REDUCTIONS = {"max": "amax", "min": "amin", "mul": "prod"}


@operation(
    "scatter_update",
    examples=[
        call(real(6, 3), whole(1, 2, below=3), real(1)),
        call(real(6, 3), np.array([[1], [4]]), real(2, 3)),
        call(real(6, 3), np.array([[1], [1]]), real(2, 3), "add"),
        call(real(6, 3), np.array([[1, 0], [1, 2], [1, 0]]), real(3), "max"),
        call(real(6, 3), np.array([[1], [1]]), real(2, 3), "min"),
        call(real(6, 3), np.array([[1], [1]]), real(2, 3), "mul"),
    ],
)
def scatter_update(b: Builder, inputs: Value, indices: Any, updates: Any, reduction: str | None = None) -> Value:
    """.index_put, or .scatter_reduce."""
    require(reduction, (None, "add", *REDUCTIONS), "reduction")
    places, _ = columns(b, indices)
    options: Options = {"accumulate": True} if reduction else {}
    new = tensor(b, updates)
    if reduction in REDUCTIONS:
        how = REDUCTIONS[reduction]
        return b.call("scatter_reduce", inputs, places, new, how, shape=inputs.shape, layout="keras")
    return b.call(".index_put", inputs, places, new, shape=inputs.shape, layout="keras", **options)


@operation("slice_update", examples=[call(real(None, 6, 3), [0, start, 1], real(None, 2, 2)) for start in (2, 5)])
def slice_update(b: Builder, inputs: Value, start_indices: Sequence[Any], updates: Value) -> Value:
    """A local function: a copy with one part replaced, which Keras moves inside where it would reach out."""
    if any(is_tensor(item) for item in start_indices):
        raise UntranslatableError("slice_update at a place known at run time only")
    starts = [
        start if size is None or new is None else max(0, min(start, size - new))
        for start, size, new in zip(start_indices, inputs.shape, updates.shape, strict=True)
    ]
    cuts = [
        None if start == 0 and size == new else slice(start, None if new is None else start + new)
        for start, size, new in zip(starts, inputs.shape, updates.shape, strict=True)
    ]
    y = b.call(".clone", inputs, shape=inputs.shape, layout="keras")
    items = tuple(slice(None) if cut is None else cut for cut in cuts)
    place = b.call("[]", y, items, shape=updates.shape, layout="keras")
    b.calls(".copy_", place, updates, outputs=None)
    return y


def segment(
    b: Builder,
    data: Value,
    segment_ids: Any,
    num_segments: int | None = None,
    sorted: bool = False,
    *,
    how: str,
) -> Value:
    """A local function: the elements with the same number, reduced."""
    if num_segments is None:
        raise UntranslatableError("segments whose number is not given")
    shape = (num_segments, *data.shape[1:])
    ids = as_places(b, segment_ids)
    return b.call("segment_reduce", data, ids, num_segments, how, shape=shape, layout="keras")


for _name, _how in (("sum", "sum"), ("max", "amax"), ("min", "amin"), ("prod", "prod")):
    operation(f"segment_{_name}", examples=[call(real(30, 3), whole(30, below=3), 3)])(partial(segment, how=_how))


@operation("tril", examples=[call(real(None, 4, 4)), call(real(None, 4, 3), 1)])
def tril(b: Builder, x: Value, k: int = 0) -> Value:
    """.tril."""
    return b.call(".tril", tensor(b, x), *([k] if k else []), shape=x.shape, layout="keras")


@operation("triu", examples=[call(real(None, 4, 4)), call(real(None, 4, 3), -1)])
def triu(b: Builder, x: Value, k: int = 0) -> Value:
    """.triu."""
    return b.call(".triu", tensor(b, x), *([k] if k else []), shape=x.shape, layout="keras")


@operation("diff", examples=[call(_X), call(_X, 2, 1)])
def diff(b: Builder, a: Value, n: int = 1, axis: int = -1) -> Value:
    """.diff."""
    one = normal_axis(axis, a.rank)
    size = a.shape[one]
    options: Options = {"n": n} if n != 1 else {}
    shape = replaced(a.shape, one, None if size is None else max(size - n, 0))
    return b.call(".diff", a, dim=Axis(one), shape=shape, **options)


@operation("trapezoid", examples=[call(_X), call(_X, dx=0.5, axis=1)])
def trapezoid(b: Builder, y: Value, x: Any = None, dx: float = 1.0, axis: int = -1) -> Value:
    """torch.trapezoid."""
    one = normal_axis(axis, y.rank)
    shape: Shape = (*y.shape[:one], *y.shape[one + 1 :])
    y = cast(b, y, "float32") if not is_real(y.dtype) else y
    arguments = [] if x is None else [tensor(b, x)]
    options: Options = {"dx": dx} if x is None and dx != 1 else {}
    return b.call("torch.trapezoid", y, *arguments, dim=one, shape=shape, layout="keras", **options)
