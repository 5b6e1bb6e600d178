"""Functions of TensorFlow that are no renamed operations of keras.ops."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Axis, Value
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Options,
    call_operation,
    elementwise,
    normal_axes,
    normal_axis,
    tensor,
)
from k2t.rules.operations.dialects import REFUSED_FUNCTIONS, dialect
from k2t.rules.operations.indexing import columns, take, take_along_axis
from k2t.rules.operations.linear import matmul
from k2t.rules.operations.reduction import reduce_axes
from k2t.rules.operations.shape import expand_dims, flip, get_item, take_slice

_FUNCTION = "runs Python code or takes functions as arguments; rewrite that part in PyTorch"
for _name in [
    "cond",
    "while_loop",
    "map_fn",
    "scan",
    "foldl",
    "foldr",
    "case",
    "switch_case",
    "py_function",
    "numpy_function",
    "py_func",
]:
    REFUSED_FUNCTIONS[f"tf.{_name}"] = _FUNCTION
for _name in ("boolean_mask", "unique", "unique_with_counts", "dynamic_partition"):
    REFUSED_FUNCTIONS[f"tf.{_name}"] = "makes a tensor whose size depends on the values"


def op(b: Builder, name: str, *args: Any, **kwargs: Any) -> Any:
    """An operation of keras.ops."""
    return call_operation(b, name, args, kwargs)


@dialect("tf.shape")
def shape(b: Builder, input: Any, *_: Any, **__: Any) -> Any:
    """Sizes as numbers where they are known."""
    return op(b, "shape", input)


@dialect("tf.ensure_shape", "tf.debugging.check_numerics", "tf.check_numerics", "tf.grad_pass_through")
def unchanged(b: Builder, x: Any, *_: Any, **__: Any) -> Any:
    """What only checks."""
    return x


@dialect("tf.split")
def split(b: Builder, value: Value, num_or_size_splits: Any, axis: int = 0, num: int | None = None) -> Any:
    """Slices of equal or given sizes."""
    if isinstance(num_or_size_splits, int):
        return op(b, "split", value, num_or_size_splits, axis)
    sizes = [int(item) for item in num_or_size_splits]
    axis = normal_axis(axis, value.rank)
    length = value.shape[axis]
    if -1 in sizes:
        if length is None:
            raise UntranslatableError("tf.split with a size of -1 along an axis of unknown size")
        sizes[sizes.index(-1)] = length - sum(size for size in sizes if size != -1)
    bounds = [0, *itertools.accumulate(sizes)]
    return [take_slice(b, value, axis, start, stop) for start, stop in itertools.pairwise(bounds)]


@dialect("tf.strided_slice")
def strided_slice(
    b: Builder,
    input_: Value,
    begin: Sequence[Any],
    end: Sequence[Any],
    strides: Sequence[Any] | None = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
) -> Any:
    """A subscript, whose masks say which bounds are open."""
    steps = [1] * len(begin) if strides is None else strides
    items: list[Any] = []
    for place, (start, stop, step) in enumerate(zip(begin, end, steps, strict=True)):
        bit = 1 << place
        if ellipsis_mask & bit:
            items.append(Ellipsis)
        elif new_axis_mask & bit:
            items.append(None)
        elif shrink_axis_mask & bit:
            items.append(start)
        else:
            first = None if begin_mask & bit else start
            items.append(slice(first or None, None if end_mask & bit else stop, None if step == 1 else step))
    return get_item(b, input_, tuple(items))


@dialect("tf.getitem", "tf._slice_helper")
def getitem(b: Builder, tensor: Any, slice_spec: Any, var: Any = None) -> Any:
    """A subscript, of a tensor or of its sizes."""
    place = subscript(slice_spec)
    if isinstance(tensor, tuple):
        return tensor[place[0] if isinstance(place, tuple) else place]
    return op(b, "get_item", tensor, place)


def subscript(spec: Any) -> Any:
    """Slices of a configuration: `{"start": 0, "stop": 1, "step": None}`."""
    if isinstance(spec, dict) and spec.keys() <= {"start", "stop", "step"}:
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    if isinstance(spec, list | tuple):
        return tuple(subscript(item) for item in spec)
    return Ellipsis if spec == "..." else spec


@dialect("tf.gather")
def gather(b: Builder, params: Any, indices: Any, axis: int | None = None, batch_dims: int = 0) -> Any:
    """take; along an axis of its own for each sample where there are batch dimensions."""
    axis = batch_dims if axis is None else axis
    if batch_dims == 0:
        return take(b, params, indices, axis)
    if batch_dims != axis or indices.rank != batch_dims + 1:
        raise UntranslatableError(f"tf.gather with axis={axis}, batch_dims={batch_dims}")
    for _ in range(params.rank - indices.rank):
        indices = expand_dims(b, indices, -1)
    y = take_along_axis(b, params, indices, axis)
    y.shape = (*params.shape[:axis], indices.shape[axis], *params.shape[axis + 1 :])
    return y


@dialect("tf.gather_nd")
def gather_nd(b: Builder, params: Value, indices: Any, batch_dims: int = 0) -> Value:
    """A subscript with one tensor of places for each axis."""
    if batch_dims:
        raise UntranslatableError("tf.gather_nd with batch_dims")
    places, width = columns(b, indices)
    shape_of = (*tensor(b, indices, "indices").shape[:-1], *params.shape[width:])
    return b.call("[]", params, places, shape=shape_of, layout="keras")


@dialect("tf.pad")
def pad(b: Builder, tensor: Value, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    """F.pad."""
    return op(b, "pad", tensor, paddings, mode.lower(), constant_values or None)


@dialect("tf.matmul", "tf.batch_matmul")
def matrix_product(
    b: Builder,
    a: Any,
    b_: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
) -> Any:
    """The operator @."""
    left = matrix_transpose(b, a) if transpose_a or adjoint_a else a
    right = matrix_transpose(b, b_) if transpose_b or adjoint_b else b_
    return matmul(b, left, right)


@dialect("tf.matrix_transpose")
def matrix_transpose(b: Builder, x: Any) -> Any:
    """.transpose(-2, -1)."""
    x = tensor(b, x)
    shape_of = (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return b.call(".transpose", x, -2, -1, shape=shape_of, layout="keras")


@dialect("tf.matvec")
def matvec(b: Builder, a: Any, b_: Any, transpose_a: bool = False) -> Any:
    """The operator @."""
    column = expand_dims(b, b_, -1)
    return op(b, "squeeze", matrix_product(b, a, column, transpose_a), -1)


@dialect("tf.one_hot")
def one_hot(
    b: Builder,
    indices: Any,
    depth: int,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: str | None = None,
) -> Any:
    """Compared with 0 to depth - 1."""
    axis = -1 if axis is None else axis
    if on_value in (None, 1) and off_value in (None, 0):
        return op(b, "one_hot", indices, depth, axis, dtype)
    chosen = op(b, "one_hot", indices, depth, axis, "bool")
    return op(b, "where", chosen, 1.0 if on_value is None else on_value, off_value or 0.0)


@dialect("tf.argmax", "tf.arg_max")
def argmax(b: Builder, input: Value, axis: int | None = None, output_type: Any = None) -> Any:
    """.argmax, along the first axis by default."""
    return op(b, "argmax", input, axis or 0)


@dialect("tf.argmin", "tf.arg_min")
def argmin(b: Builder, input: Value, axis: int | None = None, output_type: Any = None) -> Any:
    """.argmin, along the first axis by default."""
    return op(b, "argmin", input, axis or 0)


@dialect("tf.norm")
def norm(b: Builder, tensor: Value, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False) -> Any:
    """torch.linalg.norm; of all elements where no axis is given."""
    if ord == "fro" and axis is None:
        ord = "euclidean"
    return op(b, "norm", tensor, ord, axis, keepdims)


@dialect("tf.reduce_euclidean_norm")
def euclidean(b: Builder, input_tensor: Value, axis: Any = None, keepdims: bool = False) -> Value:
    """The root of the sum of squares."""
    total = reduce_axes(b, ".sum", elementwise(b, "torch.square", input_tensor), axis, keepdims)
    return elementwise(b, "torch.sqrt", total)


@dialect("tf.count_nonzero")
def count_nonzero(b: Builder, input: Value, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """torch.count_nonzero."""
    y = op(b, "count_nonzero", input, axis)
    for one in normal_axes(axis, input.rank) if keepdims else ():
        y = expand_dims(b, y, one)
    return y


def cumulated(b: Builder, name: str, x: Value, axis: int, exclusive: bool, reverse: bool) -> Any:
    """Partial results, from the end where `reverse`."""
    if exclusive:
        raise UntranslatableError(f"tf.{name} with exclusive=True")
    y = flip(b, x, axis) if reverse else x
    y = op(b, name, y, axis)
    return flip(b, y, axis) if reverse else y


@dialect("tf.cumsum")
def cumsum(b: Builder, x: Value, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """.cumsum."""
    return cumulated(b, "cumsum", x, axis, exclusive, reverse)


@dialect("tf.cumprod")
def cumprod(b: Builder, x: Value, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """.cumprod."""
    return cumulated(b, "cumprod", x, axis, exclusive, reverse)


@dialect("tf.sort")
def sort(b: Builder, values: Value, axis: int = -1, direction: str = "ASCENDING") -> Any:
    """.sort."""
    if direction == "ASCENDING":
        return op(b, "sort", values, axis)
    output = b.value(values.shape, values.dtype)
    b.calls(".sort", values, Axis(axis), descending=True, outputs=(output, None), layout="any")
    return output


@dialect("tf.argsort")
def argsort(b: Builder, values: Value, axis: int = -1, direction: str = "ASCENDING", stable: bool = False) -> Value:
    """.argsort."""
    options: Options = {} if direction == "ASCENDING" else {"descending": True}
    return b.call(".argsort", values, dim=Axis(axis), stable=True, shape=values.shape, dtype="int64", **options)


@dialect("tf.add_n", "tf.accumulate_n")
def add_n(b: Builder, inputs: Sequence[Any], *_: Any) -> Any:
    """The sum of tensors."""
    return reduce(lambda first, second: op(b, "add", first, second), inputs)


@dialect("tf.squared_difference")
def squared_difference(b: Builder, x: Any, y: Any) -> Any:
    """(x - y)²."""
    return op(b, "square", op(b, "subtract", x, y))


@dialect("tf.multiply_no_nan")
def multiply_no_nan(b: Builder, x: Any, y: Any) -> Any:
    """x * y, 0 where y is 0."""
    return op(b, "where", op(b, "equal", y, 0), 0.0, op(b, "multiply", x, y))


@dialect("tf.xlogy", "tf.xdivy")
def xlogy(b: Builder, x: Any, y: Any) -> Any:
    """x log(y), 0 where x is 0."""
    return elementwise(b, "torch.xlogy", x, y)


@dialect("tf.to_float", "tf.to_double")
def to_float(b: Builder, x: Any) -> Any:
    """cast."""
    return op(b, "cast", x, "float32")


@dialect("tf.to_int32", "tf.to_int64")
def to_int(b: Builder, x: Any) -> Any:
    """cast."""
    return op(b, "cast", x, "int32")


@dialect("tf.constant", "tf.Variable")
def constant(b: Builder, value: Any, dtype: str | None = None, shape: Any = None, **_: Any) -> Any:
    """A number, or a buffer."""
    if shape is not None:
        value = np.broadcast_to(np.asarray(value), tuple(shape))
    if isinstance(value, bool | int | float) and dtype:
        return op(b, "cast", value, dtype)
    return value if isinstance(value, bool | int | float | str) else op(b, "convert_to_tensor", value, dtype)


@dialect("tf.eye")
def eye(b: Builder, num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: str | None = None) -> Any:
    """A constant, or torch.eye."""
    if batch_shape is not None:
        raise UntranslatableError("tf.eye with batch_shape")
    return op(b, "eye", num_rows, num_columns, 0, dtype)


@dialect("tf.sequence_mask")
def sequence_mask(b: Builder, lengths: Value, maxlen: Any = None, dtype: str = "bool") -> Any:
    """The numbers from 0 on, compared with the lengths."""
    if maxlen is None:
        raise UntranslatableError("tf.sequence_mask without maxlen: its size depends on the values")
    places = op(b, "arange", maxlen)
    return op(b, "cast", op(b, "less", places, expand_dims(b, lengths, -1)), dtype)


@dialect("tf.diag", "tf.matrix_diag")
def diag(b: Builder, diagonal: Value) -> Value:
    """torch.diag_embed."""
    shape_of = (*diagonal.shape, diagonal.shape[-1])
    return b.call("torch.diag_embed", diagonal, shape=shape_of, layout="keras")


@dialect("tf.band_part", "tf.matrix_band_part")
def band_part(b: Builder, input: Any, num_lower: int, num_upper: int) -> Any:
    """.tril and .triu."""
    y = tensor(b, input)
    if num_upper >= 0:
        y = op(b, "tril", y, num_upper)
    return op(b, "triu", y, -num_lower) if num_lower >= 0 else y


@dialect("tf.diag_part", "tf.matrix_diag_part")
def diag_part(b: Builder, input: Value, k: int = 0) -> Any:
    """torch.diagonal of the last two axes."""
    return op(b, "diagonal", input, k, -2, -1)


@dialect("tf.trace")
def trace(b: Builder, x: Value) -> Any:
    """The sum of the diagonal of the last two axes."""
    return op(b, "trace", x, 0, -2, -1)


@dialect("tf.solve")
def solve(b: Builder, matrix: Value, rhs: Any) -> Any:
    """torch.linalg.solve."""
    return op(b, "solve", matrix, rhs)


@dialect("tf.embedding_lookup", "K.gather")
def rows(b: Builder, params: Any, ids: Any) -> Any:
    """Elements of the first axis."""
    return take(b, params, ids, 0)
