"""Functions of tf, tf.math, tf.linalg and tf.signal, made of operations of keras.ops."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.builder import Builder
from k2t.rules.operations.base import elementwise, normal_axes, normal_axis, shape_of
from k2t.rules.operations.base import tensor as constant
from k2t.rules.operations.dialects import dialect
from k2t.rules.operations.tensorflow import op

# Special functions: name in tf.math -> in torch.
SPECIAL = {
    "bessel_i0e": "torch.special.i0e",
    "bessel_i1": "torch.special.i1",
    "bessel_i1e": "torch.special.i1e",
    "igamma": "torch.special.gammainc",
    "igammac": "torch.special.gammaincc",
    "xlog1py": "torch.special.xlog1py",
    "zeta": "torch.special.zeta",
}


def special(b: Builder, *args: Any, target: str) -> Value:
    """A function of torch.special."""
    return elementwise(b, target, *args)


for _name, _target in SPECIAL.items():
    dialect(f"tf.{_name}")(partial(special, target=_target))


@dialect("tf.polygamma")
def polygamma(b: Builder, a: Any, x: Value) -> Value:
    """torch.special.polygamma of a constant order."""
    if not isinstance(a, int | float):
        raise UntranslatableError("tf.math.polygamma of an order that is no number")
    return b.call("torch.special.polygamma", int(a), x, shape=x.shape, dtype=x.dtype)


@dialect("tf.erfcinv")
def erfcinv(b: Builder, x: Value) -> Any:
    """torch.erfinv of 1 - x."""
    return op(b, "erfinv", op(b, "subtract", 1, x))


@dialect("tf.cumulative_logsumexp")
def cumulative_logsumexp(b: Builder, x: Value, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Value:
    """torch.logcumsumexp."""
    if exclusive:
        raise UntranslatableError("tf.math.cumulative_logsumexp with exclusive=True")
    place = normal_axis(axis, x.rank)
    x = op(b, "flip", x, place) if reverse else x
    y = b.call("torch.logcumsumexp", x, place, shape=x.shape, layout="keras")
    return op(b, "flip", y, place) if reverse else y


@dialect("tf.truncatediv")
def truncatediv(b: Builder, x: Any, y: Any) -> Value:
    """torch.div, rounded towards 0."""
    return elementwise(b, "torch.div", x, y, rounding_mode="trunc")


@dialect("tf.reciprocal_no_nan")
def reciprocal_no_nan(b: Builder, x: Value) -> Any:
    """1 / x, and 0 for 0."""
    return op(b, "divide_no_nan", op(b, "ones_like", x), x)


@dialect("tf.scalar_mul")
def scalar_mul(b: Builder, scalar: Any, x: Any) -> Any:
    """The operator *."""
    return op(b, "multiply", x, scalar)


@dialect("tf.polyval")
def polyval(b: Builder, coeffs: list[Any], x: Any) -> Any:
    """A polynomial, by Horner's rule."""
    total = coeffs[0]
    for item in coeffs[1:]:
        total = op(b, "add", op(b, "multiply", x, total), item)
    return total


@dialect("tf.zero_fraction")
def zero_fraction(b: Builder, value: Value) -> Any:
    """The share of zeros."""
    return op(b, "mean", op(b, "cast", op(b, "equal", value, 0), "float32"))


@dialect("tf.clip_by_norm")
def clip_by_norm(b: Builder, t: Value, clip_norm: Any, axes: Any = None) -> Any:
    """The tensor, scaled where its norm is larger."""
    place = normal_axes(axes, t.rank)
    norm = op(b, "sqrt", op(b, "sum", op(b, "square", t), place, keepdims=True))
    return op(b, "divide", op(b, "multiply", t, clip_norm), op(b, "maximum", norm, clip_norm))


@dialect("tf.global_norm")
def global_norm(b: Builder, t_list: list[Any]) -> Any:
    """The norm of all elements of all tensors."""
    total: Any = 0
    for item in t_list:
        total = op(b, "add", op(b, "sum", op(b, "square", item)), total)
    return op(b, "sqrt", total)


@dialect("tf.l2_loss")
def l2_loss(b: Builder, t: Value) -> Any:
    """Half of the sum of squares."""
    return op(b, "divide", op(b, "sum", op(b, "square", t)), 2)


@dialect("tf.normalize")
def normalize(b: Builder, tensor: Value, ord: Any = "euclidean", axis: Any = None) -> tuple[Any, Any]:
    """The tensor divided by its norm, and the norm."""
    order = 2 if ord == "euclidean" else ord
    place = normal_axes(axis, tensor.rank)
    powers = op(b, "sum", op(b, "power", op(b, "absolute", tensor), order), place, keepdims=True)
    norm = op(b, "max", op(b, "absolute", tensor), place, keepdims=True) if order == np.inf else None
    norm = norm or op(b, "power", powers, 1 / order)
    return op(b, "divide", tensor, norm), norm


@dialect("tf.adjoint")
def adjoint(b: Builder, matrix: Value) -> Any:
    """The last two axes exchanged, and complex numbers conjugated."""
    turned = op(b, "swapaxes", matrix, -1, -2)
    return op(b, "conj", turned) if matrix.dtype.startswith("complex") else turned


@dialect("tf.triangular_solve")
def triangular_solve(b: Builder, matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False) -> Any:
    """torch.linalg.solve_triangular."""
    if adjoint:
        matrix, lower = op(b, "swapaxes", matrix, -1, -2), not lower
    return op(b, "solve_triangular", matrix, rhs, lower=lower)


@dialect("tf.cholesky_solve")
def cholesky_solve(b: Builder, chol: Value, rhs: Value) -> Value:
    """torch.cholesky_solve."""
    return b.call("torch.cholesky_solve", rhs, chol, shape=rhs.shape, layout="keras")


@dialect("tf.set_diag")
def set_diag(b: Builder, input: Value, diagonal: Value) -> Any:
    """torch.where on the diagonal."""
    rows, columns = input.shape[-2:]
    if rows is None or columns is None:
        raise UntranslatableError("tf.linalg.set_diag of matrices of unknown size")
    spread = op(b, "expand_dims", diagonal, -1 if rows <= columns else -2)
    return op(b, "where", constant(b, np.eye(rows, columns, dtype=bool), "diagonal"), spread, input)


def scattered(b: Builder, tensor: Value, indices: Any, updates: Any, *, reduction: str) -> Any:
    """`scatter_update` with a reduction."""
    return op(b, "scatter_update", tensor, indices, updates, reduction)


for _name in ("add", "max", "min"):
    dialect(f"tf.tensor_scatter_nd_{_name}")(partial(scattered, reduction=_name))


@dialect("tf.tensor_scatter_nd_sub")
def scatter_sub(b: Builder, tensor: Value, indices: Any, updates: Any) -> Any:
    """`scatter_update` of the negative."""
    return scattered(b, tensor, indices, op(b, "negative", updates), reduction="add")


@dialect("tf.identity_n")
def identity_n(b: Builder, input: Any) -> Any:
    """The tensors themselves."""
    return input


@dialect("tf.signal.fftshift")
def fftshift(b: Builder, x: Value, axes: Any = None) -> Any:
    """torch.roll by half of each size."""
    return shifted(b, x, axes, 1)


@dialect("tf.signal.ifftshift")
def ifftshift(b: Builder, x: Value, axes: Any = None) -> Any:
    """torch.roll back by half of each size."""
    return shifted(b, x, axes, -1)


def shifted(b: Builder, x: Value, axes: Any, sign: int) -> Any:
    """torch.roll by half of each size, the smaller half for 1, the larger one back for -1."""
    for axis in normal_axes(axes, x.rank):
        length = x.shape[axis]
        if length is None:
            raise UntranslatableError("a shift by half of an unknown size")
        x = op(b, "roll", x, sign * (length // 2), axis)
    return x


@dialect("tf.signal.frame")
def frame(b: Builder, signal: Value, frame_length: int, frame_step: int, pad_end: bool = False) -> Any:
    """Tensor.unfold."""
    if pad_end:
        raise UntranslatableError("tf.signal.frame with pad_end=True")
    return op(b, "extract_sequences", signal, frame_length, frame_step)


@dialect("tf.signal.rfft", "tf.signal.fft", "tf.signal.ifft", "tf.signal.fft2d", "tf.signal.ifft2d")
def complex_result(b: Builder, *_: Any, **__: Any) -> Any:
    """Refused: complex numbers between layers."""
    raise UntranslatableError("tf.signal makes complex numbers, which keras.ops holds as pairs; use keras.ops.fft")


@dialect("tf.reverse_sequence")
def reverse_sequence(
    b: Builder, input: Value, seq_lengths: Value, seq_axis: int | None = None, batch_axis: int | None = None
) -> Any:
    """torch.gather of the first steps of each sample backwards."""
    axis = normal_axis(1 if seq_axis is None else seq_axis, input.rank)
    steps = input.shape[axis]
    if axis != 1 or batch_axis not in (None, 0) or steps is None:
        raise UntranslatableError("tf.reverse_sequence is translated along axis 1 of known size only")
    places = np.arange(steps)[None]
    lengths = op(b, "expand_dims", op(b, "cast", seq_lengths, "int64"), -1)
    turned = op(b, "subtract", op(b, "subtract", lengths, 1), places)
    index = op(b, "where", op(b, "less", places, lengths), turned, places)
    for _ in shape_of(input)[2:]:
        index = op(b, "expand_dims", index, -1)
    return op(b, "take_along_axis", input, op(b, "broadcast_to", index, [-1, *input.shape[1:]]), 1)
