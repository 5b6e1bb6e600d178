"""Products of tensors and decompositions of matrices."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Axis, Value
from k2t.rules.base import broadcast, require
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Options,
    as_floating,
    call,
    dtype_of,
    elementwise,
    floating,
    normal_axis,
    operation,
    real,
    shape_of,
    size_product,
    tensor,
)
from k2t.rules.operations.indexing import flat

_X = real(None, 4, 3)
_SQUARE = real(None, 3, 3)
_VECTOR = real(3)


def operands(b: Builder, *items: Any) -> list[Any]:
    """The arguments of a product as tensors; whole numbers become real where others are."""
    made = [tensor(b, item) for item in items]
    if len({dtype_of(item) in ("bool", "int32", "int64") for item in made}) > 1:
        made = [as_floating(b, item) for item in made]
    return made


@operation("matmul", examples=[call(_X, real(None, 3, 5)), call(_X, real(3, 5)), call(_X, _VECTOR)])
def matmul(b: Builder, x1: Any, x2: Any) -> Value:
    """The operator @."""
    x1, x2 = operands(b, x1, x2)
    left, right = tuple(x1.shape), tuple(x2.shape)
    if len(left) < 2 or len(right) < 2:
        shape: Shape = (*left[:-1], *right[:-2], *right[-1:]) if len(right) > 1 else left[:-1]
    elif len(left) == len(right) == 2:
        shape = (left[0], right[1])
    else:
        shape = (*broadcast(left[:-2] or (1,), right[:-2] or (1,)), left[-2], right[-1])
    return b.call("@", x1, x2, shape=shape, layout="keras", dtype=floating(x1, x2))


@operation("dot", examples=[call(_X, real(3, 5)), call(_X, _VECTOR), call(_X, real(2, 3, 5)), call(_X, 2.0)])
def dot(b: Builder, x1: Any, x2: Any) -> Value:
    """The operator @; torch.tensordot where both have more axes."""
    x1, x2 = tensor(b, x1), tensor(b, x2)
    if not shape_of(x1) or not shape_of(x2):
        return elementwise(b, "*", x1, x2)
    if len(x2.shape) <= 2:
        return matmul(b, x1, x2)
    return tensordot(b, x1, x2, axes=[[-1], [-2]])


@operation("inner", examples=[call(_X, real(5, 3)), call(_VECTOR, real(3))])
def inner(b: Builder, x1: Any, x2: Any) -> Value:
    """torch.inner."""
    x1, x2 = operands(b, x1, x2)
    shape = (*x1.shape[:-1], *x2.shape[:-1])
    return b.call("torch.inner", x1, x2, shape=shape, layout="keras")


@operation("outer", examples=[call(_VECTOR, real(4)), call(_X, _VECTOR)])
def outer(b: Builder, x1: Any, x2: Any) -> Value:
    """torch.outer of the flattened tensors."""
    x1, x2 = (flat(b, x) if len(x.shape) > 1 else x for x in operands(b, x1, x2))
    return b.call("torch.outer", x1, x2, shape=(x1.shape[0], x2.shape[0]), layout="keras")


@operation("vdot", examples=[call(_X, real(None, 4, 3))])
def vdot(b: Builder, x1: Any, x2: Any) -> Value:
    """torch.vdot of the flattened tensors."""
    x1, x2 = (flat(b, x) if len(x.shape) > 1 else x for x in operands(b, x1, x2))
    return b.call("torch.vdot", x1, x2, shape=(), layout="keras")


@operation("kron", examples=[call(_X, real(2, 1, 2)), call(real(2, 2), real(3, 1))])
def kron(b: Builder, x1: Value, x2: Value) -> Value:
    """torch.kron."""
    sizes = zip(x1.shape, x2.shape, strict=True)
    return b.call("torch.kron", x1, x2, shape=tuple(size_product(pair) for pair in sizes), layout="keras")


@operation("cross", examples=[call(_X, real(None, 4, 3)), call(real(None, 3, 2), real(None, 3, 2), axis=1)])
def cross(
    b: Builder, x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Value:
    """torch.linalg.cross of vectors with three elements."""
    x1, x2 = operands(b, x1, x2)
    one = axisa if axis is None else axis
    if axis is None and len({axisa, axisb, axisc}) > 1:
        raise UntranslatableError("cross along different axes")
    if x1.shape[one] != 3 or x2.shape[one] != 3:
        raise UntranslatableError("cross of vectors that have not three elements")
    options: Options = {} if one == -1 else {"dim": Axis(one)}
    return b.call("torch.linalg.cross", x1, x2, shape=broadcast(x1.shape, x2.shape), **options)


@operation(
    "correlate", examples=[call(real(7), real(3)), call(real(7), real(3), "same"), call(real(7), real(4), "full")]
)
def correlate(b: Builder, x1: Value, x2: Value, mode: str = "valid") -> Value:
    """F.conv1d, which correlates."""
    require(mode, ("valid", "same", "full"), "mode")
    (first,), (second,) = x1.shape, x2.shape
    if first is None or second is None or second > first:
        raise UntranslatableError("correlate of tensors of unknown size, or with one longer than the first")
    total = {"valid": 0, "same": second - 1, "full": 2 * (second - 1)}[mode]
    rows = [b.call("[]", x, (None, None), shape=(1, 1, n), layout="keras") for x, n in ((x1, first), (x2, second))]
    if total:
        before = total - total // 2 if mode == "same" else total // 2
        rows[0] = b.call("F.pad", rows[0], (before, total - before), shape=(1, 1, first + total), layout="keras")
    size = first + total - second + 1
    y = b.call("F.conv1d", *rows, shape=(1, 1, size), layout="keras")
    return b.call("[]", y, (0, 0), shape=(size,), layout="keras")


@operation("corrcoef", examples=[call(real(4, 5)), call(real(None, 5))])
def corrcoef(b: Builder, x: Value) -> Value:
    """torch.corrcoef."""
    return b.call("torch.corrcoef", x, shape=(x.shape[0], x.shape[0]), layout="keras")


@operation(
    "einsum",
    examples=[
        call("abc,acd->abd", _X, real(None, 3, 2)),
        call("...ij->...ji", _X),
        call("ab,bc", real(None, 3), real(3, 4)),
    ],
)
def einsum(b: Builder, subscripts: str, *operands_: Any, **_: Any) -> Value:
    """torch.einsum."""
    equation = subscripts.replace(" ", "")
    terms, arrow, result = equation.partition("->")
    tensors = operands(b, *operands_)
    if not arrow:
        letters = terms.replace(",", "").replace("...", "")
        once = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
        result = ("..." if "..." in terms else "") + once
    if len(terms.split(",")) != len(tensors):
        raise UntranslatableError(f"einsum {subscripts!r} of {len(tensors)} tensors: tf.keras saves only the equation")
    sizes: dict[str, int | None] = {}
    free: list[Shape] = [(1,)]
    for term, operand in zip(terms.split(","), tensors, strict=True):
        before, dots, after = term.partition("...")
        count = len(operand.shape) - len(before) - len(after)
        if count < 0 or (count and not dots):
            raise UntranslatableError(f"einsum {subscripts!r} of {operand.shape}")
        free.append(operand.shape[len(before) : len(before) + count])
        named = (*operand.shape[: len(before)], *operand.shape[len(before) + count :])
        for letter, size in zip(before + after, named, strict=True):
            sizes[letter] = sizes.get(letter) if size in (None, 1) and letter in sizes else size
    around = broadcast(*(shape or (1,) for shape in free)) if any(free[1:]) else ()
    before, dots, after = result.partition("...")
    shape = (*(sizes[i] for i in before), *(around if dots else ()), *(sizes[i] for i in after))
    return b.call("torch.einsum", subscripts, *tensors, shape=shape, layout="keras")


@operation("recorded_einsum")
def recorded_einsum(b: Builder, *operands_: Any, subscripts: str) -> Value:
    """The recorded operation takes its tensors first."""
    return einsum(b, subscripts, *operands_)


@operation("tensordot", examples=[call(_X, real(3, 5), 1), call(_X, real(3, 4, 2), [[1, 2], [1, 0]])])
def tensordot(b: Builder, x1: Any, x2: Any, axes: Any = 2) -> Value:
    """torch.tensordot."""
    x1, x2 = operands(b, x1, x2)
    ranks = len(x1.shape), len(x2.shape)
    if isinstance(axes, int):
        left, right = list(range(ranks[0] - axes, ranks[0])), list(range(axes))
    else:
        left, right = ([side] if isinstance(side, int) else list(side) for side in axes)
    rest = [n for i, n in enumerate(x1.shape) if i not in {normal_axis(axis, ranks[0]) for axis in left}]
    rest += [n for i, n in enumerate(x2.shape) if i not in {normal_axis(axis, ranks[1]) for axis in right}]
    dims = axes if isinstance(axes, int) else (left, right)
    return b.call("torch.tensordot", x1, x2, dims=dims, shape=tuple(rest), layout="keras")


@operation("cholesky")
def cholesky(b: Builder, x: Value, upper: bool = False) -> Value:
    """torch.linalg.cholesky."""
    options: Options = {"upper": True} if upper else {}
    return b.call("torch.linalg.cholesky", x, shape=x.shape, layout="keras", **options)


@operation("cholesky_inverse", examples=[call(real(3, 3)), call(_SQUARE, True)])
def cholesky_inverse(b: Builder, x: Value, upper: bool = False) -> Value:
    """torch.cholesky_inverse."""
    options: Options = {"upper": True} if upper else {}
    return b.call("torch.cholesky_inverse", x, shape=x.shape, layout="keras", **options)


def register_square(name: str, target: str, shape: Any) -> None:
    """A function of a square matrix."""
    operation(name, examples=[call(_SQUARE)])(
        lambda b, x: b.call(target, x, shape=shape(x.shape), layout="keras", dtype=floating(x))
    )


register_square("inv", "torch.linalg.inv", lambda shape: shape)
register_square("det", "torch.linalg.det", lambda shape: shape[:-2])


def several(b: Builder, target: str, x: Value, shapes: list[Shape], dtype: str | None = None, **options: Any) -> Any:
    """A function that returns several tensors."""
    outputs = tuple(b.value(shape, dtype or x.dtype) for shape in shapes)
    b.calls(target, x, outputs=outputs, **options)
    return list(outputs)


@operation("slogdet", examples=[call(_SQUARE)])
def slogdet(b: Builder, x: Value) -> Any:
    """torch.linalg.slogdet."""
    return several(b, "torch.linalg.slogdet", x, [x.shape[:-2]] * 2)


@operation("logdet")
def logdet(b: Builder, x: Value) -> Value:
    """torch.logdet."""
    return b.call("torch.logdet", x, shape=x.shape[:-2], layout="keras")


@operation("eig")
def eig(b: Builder, x: Value) -> Any:
    """torch.linalg.eig."""
    return several(b, "torch.linalg.eig", x, [x.shape[:-1], x.shape], "complex64")


@operation("eigh")
def eigh(b: Builder, x: Value) -> Any:
    """torch.linalg.eigh."""
    return several(b, "torch.linalg.eigh", x, [x.shape[:-1], x.shape])


@operation("qr")
def qr(b: Builder, x: Value, mode: str = "reduced") -> Any:
    """torch.linalg.qr."""
    *front, rows, width = x.shape
    inner_size = None if rows is None or width is None else min(rows, width)
    own = rows if mode == "complete" else inner_size
    options: Options = {"mode": mode} if mode != "reduced" else {}
    shapes: list[Shape] = [(*front, rows, own), (*front, own, width)]
    return several(b, "torch.linalg.qr", x, shapes, **options)


@operation("svd", examples=[call(_X, compute_uv=False)])
def svd(b: Builder, x: Value, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """torch.linalg.svd, torch.linalg.svdvals."""
    *front, rows, width = x.shape
    least = None if rows is None or width is None else min(rows, width)
    if not compute_uv:
        return b.call("torch.linalg.svdvals", x, shape=(*front, least), layout="keras")
    options: Options = {} if full_matrices else {"full_matrices": False}
    left, right = (rows, width) if full_matrices else (least, least)
    shapes: list[Shape] = [(*front, rows, left), (*front, least), (*front, right, width)]
    return several(b, "torch.linalg.svd", x, shapes, **options)


@operation("lu_factor")
def lu_factor(b: Builder, x: Value) -> list[Value]:
    """torch.linalg.lu_factor; its pivots as the permutation that Keras on TensorFlow returns."""
    *front, rows, width = x.shape
    least = None if rows is None or width is None else min(rows, width)
    factors, pivots = b.value(x.shape, x.dtype), b.value((*front, least), "int32")
    b.calls("torch.linalg.lu_factor", x, outputs=(factors, pivots))
    matrix = b.value((*front, rows, rows), x.dtype)
    b.calls("torch.lu_unpack", factors, pivots, outputs=(matrix, None, None))
    return [factors, b.call(".argmax", matrix, -1, shape=(*front, rows), dtype="int64", layout="keras")]


@operation("solve", examples=[call(_SQUARE, real(None, 3, 2)), call(_SQUARE, real(None, 3))])
def solve(b: Builder, a: Value, b_: Any) -> Value:
    """torch.linalg.solve."""
    right = tensor(b, b_)
    return b.call("torch.linalg.solve", a, right, shape=right.shape, layout="keras")


@operation("solve_triangular", examples=[call(_SQUARE, real(None, 3, 2)), call(_SQUARE, real(None, 3, 2), lower=True)])
def solve_triangular(b: Builder, a: Value, b_: Any, lower: bool = False) -> Value:
    """torch.linalg.solve_triangular."""
    right = tensor(b, b_)
    shape = right.shape
    if len(shape) == a.rank - 1:
        right = b.call(".unsqueeze", right, -1, shape=(*shape, 1), layout="keras")
    y = b.call("torch.linalg.solve_triangular", a, right, upper=not lower, shape=right.shape, layout="keras")
    return y if y.shape == shape else b.call(".squeeze", y, -1, shape=shape, layout="keras")


@operation("lstsq", examples=[call(real(5, 3), real(5, 2)), call(real(5, 3), real(5))])
def lstsq(b: Builder, a: Value, b_: Any, rcond: float | None = None) -> Value:
    """The pseudo-inverse times the right side."""
    return matmul(b, pinv(b, a, rcond), b_)


@operation("pinv", examples=[call(_X), call(_SQUARE)])
def pinv(b: Builder, x: Value, rcond: float | None = None) -> Value:
    """torch.linalg.pinv."""
    options: Options = {} if rcond is None else {"rtol": rcond}
    shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return b.call("torch.linalg.pinv", x, shape=shape, layout="keras", **options)


@operation("matrix_rank", examples=[call(_X)])
def matrix_rank(b: Builder, x: Value, tol: float | None = None) -> Value:
    """torch.linalg.matrix_rank."""
    options: Options = {} if tol is None else {"atol": tol, "rtol": 0.0}
    return b.call("torch.linalg.matrix_rank", x, shape=x.shape[:-2], dtype="int64", layout="keras", **options)


@operation("cdist", examples=[call(_X, real(None, 5, 3)), call(real(4, 3), real(5, 3))])
def cdist(b: Builder, x: Value, y: Value) -> Value:
    """torch.cdist."""
    front = broadcast(x.shape[:-2] or (1,), y.shape[:-2] or (1,)) if x.rank > 2 or y.rank > 2 else ()
    shape = (*front, x.shape[-2], y.shape[-2])
    return b.call("torch.cdist", x, y, compute_mode="donot_use_mm_for_euclid_dist", shape=shape, layout="keras")
