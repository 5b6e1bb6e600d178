"""Operations that reduce axes."""

from __future__ import annotations

from functools import partial
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axes, Axis, LayoutKind, Value
from k2t.rules.builder import Builder
from k2t.rules.operations.base import Options, elementwise, normal_axes, operation


def reduced(x: Value, axes: tuple[int, ...], keepdims: bool) -> tuple[int | None, ...]:
    """The shape without `axes`, or with 1 there."""
    if keepdims:
        return tuple(1 if i in axes else size for i, size in enumerate(x.shape))
    return tuple(size for i, size in enumerate(x.shape) if i not in axes)


def reduce_axes(b: Builder, target: str, x: Value, axis: Any, keepdims: bool, **extra: Any) -> Value:
    """A method of tensors that takes a tuple of axes."""
    axes = normal_axes(axis, x.rank)
    layout: LayoutKind = "any" if keepdims else "reduce"
    if keepdims:
        extra["keepdim"] = True
    return b.call(target, x, Axes(axes), shape=reduced(x, axes, keepdims), layout=layout, **extra)


def register_reduction(name: str, target: str, **extra: Any) -> None:
    """A reduction over any axes."""

    def translation(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        return reduce_axes(b, target, x, axis, keepdims, **extra)

    operation(name)(translation)


for _name in ("sum", "mean", "logsumexp"):
    register_reduction(_name, f".{_name}")
for _name in ("max", "min"):
    register_reduction(_name, f".a{_name}")
    register_reduction(f"a{_name}", f".a{_name}")
for _name in ("all", "any"):
    register_reduction(_name, f".{_name}", dtype="bool")
for _name in ("var", "std"):
    register_reduction(_name, f".{_name}", correction=0)


def along(b: Builder, target: str, x: Value, axis: int, keepdims: bool, dtype: str | None = None) -> Value:
    """A method of tensors that takes one axis."""
    (one,) = normal_axes(axis, x.rank)
    extra: Options = {"keepdim": True} if keepdims else {}
    layout: LayoutKind = "any" if keepdims else "keras"
    return b.call(target, x, Axis(one), shape=reduced(x, (one,), keepdims), layout=layout, dtype=dtype, **extra)


@operation("prod")
def prod(b: Builder, x: Value, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Value:
    """.prod over one axis after another, the last one first."""
    for one in reversed(normal_axes(axis, x.rank)):
        x = along(b, ".prod", x, one, keepdims)
    return x


def arg_extreme(b: Builder, x: Value, axis: int | None = None, keepdims: bool = False, *, target: str) -> Value:
    """The index of the first extreme along an axis, or in the flattened tensor."""
    if axis is None:
        if keepdims:
            raise UntranslatableError("keepdims without an axis")
        return b.call(target, x, shape=(), dtype="int64", layout="keras")
    return along(b, target, x, axis, keepdims, "int64")


operation("argmax")(partial(arg_extreme, target=".argmax"))
operation("argmin")(partial(arg_extreme, target=".argmin"))


def cumulative(b: Builder, x: Value, axis: int | None = None, dtype: str | None = None, *, target: str) -> Value:
    """Partial results along an axis."""
    if axis is None:
        raise UntranslatableError("a cumulative operation without an axis")
    return elementwise(b, target, x, Axis(axis))


operation("cumsum")(partial(cumulative, target=".cumsum"))
operation("cumprod")(partial(cumulative, target=".cumprod"))


@operation("normalize")
def normalize(b: Builder, x: Value, axis: int = -1, order: float = 2, epsilon: float | None = None) -> Value:
    """F.normalize: divided by the norm along an axis, at least sqrt(epsilon)."""
    floor = (1e-12 if epsilon is None else epsilon) ** (0.5 if order == 2 else 1)
    extra: Options = {} if order == 2 else {"p": order}
    return elementwise(b, "F.normalize", x, dim=Axis(axis), eps=floor, **extra)
