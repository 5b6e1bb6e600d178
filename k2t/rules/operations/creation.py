"""Tensors that are made of nothing: constants where their sizes are known, else made at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Device, Parameter, Size, Value, leaves
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Options,
    any_tensor,
    call,
    dtype_of,
    elementwise,
    floating,
    invoke,
    limited,
    operation,
    real,
    tensor,
    torch_dtype,
    whole,
)
from k2t.rules.operations.elementwise import cast

_X = real(None, 4, 3)


def known(size: Any) -> int | None:
    """A size as a shape keeps it: run-time numbers and -1 are unknown."""
    return int(size) if isinstance(size, int | float) and size != -1 else None


def sizes_of(shape: Any) -> list[Any]:
    """A shape as a list: numbers and run-time numbers."""
    return list(shape) if isinstance(shape, list | tuple | np.ndarray) else [shape]


def like_of(sizes: Sequence[Any]) -> Value:
    """A tensor whose size is among `sizes`: where its device is, new tensors are made.

    Raises:
        UntranslatableError: there is none.
    """
    for item in leaves(list(sizes)):
        if isinstance(item, Size):
            return item.value
        if isinstance(item, Value):
            return item
    raise UntranslatableError("a tensor whose size depends on no other tensor")


def filled(b: Builder, target: str, shape: Any, dtype: str | None, *values: Any) -> Any:
    """`torch.zeros` and its like; a constant where the sizes are known."""
    sizes = sizes_of(shape)
    dtype = dtype or "float32"
    if not any_tensor(sizes, values):
        limited(*sizes)
        kind = "bool" if dtype == "bool" else dtype if "int" in dtype else "float32"
        make = {"torch.zeros": np.zeros, "torch.ones": np.ones}.get(target)
        array = make(sizes, kind) if make else np.full(sizes, values[0], kind)
        return tensor(b, array) if sizes else array.item()
    like = like_of([*sizes, *values])
    options: Options = {} if dtype == "float32" else {"dtype": torch_dtype(dtype)}
    result = tuple(known(item) for item in sizes)
    if values and isinstance(values[0], Value):
        return b.call(".expand", values[0], *sizes, shape=result, layout="keras")
    return invoke(b, target, (sizes, *values), {**options, "device": Device(like)}, result, dtype)


@operation("zeros", "empty")
def zeros(b: Builder, shape: Any, dtype: str | None = None) -> Any:
    """A constant, or torch.zeros."""
    return filled(b, "torch.zeros", shape, dtype)


@operation("ones")
def ones(b: Builder, shape: Any, dtype: str | None = None) -> Any:
    """A constant, or torch.ones."""
    return filled(b, "torch.ones", shape, dtype)


@operation("full")
def full(b: Builder, shape: Any, fill_value: Any, dtype: str | None = None) -> Any:
    """A constant, or torch.full."""
    if dtype is None and isinstance(fill_value, bool | int):
        dtype = "bool" if isinstance(fill_value, bool) else "int32"
    return filled(b, "torch.full", shape, dtype, fill_value)


def like(b: Builder, target: str, x: Any, dtype: str | None, *values: Any) -> Any:
    """`torch.zeros_like` and its like."""
    if not isinstance(x, Value):
        return tensor(b, np.full(np.shape(x) or x.shape, values[0], dtype or "float32"))
    options: Options = {"dtype": torch_dtype(dtype)} if dtype and dtype != x.dtype else {}
    return invoke(b, target, (x, *values), options, x.shape, dtype or x.dtype, "any")


@operation("zeros_like", "empty_like", examples=[call(_X), call(_X, dtype="int32")])
def zeros_like(b: Builder, x: Any, dtype: str | None = None) -> Any:
    """torch.zeros_like."""
    return like(b, "torch.zeros_like", x, dtype, *([] if isinstance(x, Value) else [0]))


@operation("ones_like", examples=[call(_X), call(whole(None, 4), "float64")])
def ones_like(b: Builder, x: Any, dtype: str | None = None) -> Any:
    """torch.ones_like."""
    return like(b, "torch.ones_like", x, dtype, *([] if isinstance(x, Value) else [1]))


@operation("full_like", examples=[call(_X, 0.5), call(_X, 2, dtype="int32")])
def full_like(b: Builder, x: Any, fill_value: Any, dtype: str | None = None) -> Any:
    """torch.full_like."""
    if isinstance(fill_value, Value):
        return elementwise(b, "+", elementwise(b, "torch.zeros_like", x), fill_value)
    return like(b, "torch.full_like", x, dtype, fill_value)


@operation("arange")
def arange(b: Builder, start: Any, stop: Any = None, step: Any = None, dtype: str | None = None) -> Any:
    """A constant, or torch.arange."""
    bounds = [start] if stop is None else [start, stop]
    bounds += [step] if step not in (None, 1) else []
    if not any_tensor(bounds):
        limited(len(range(*map(int, bounds))) if all(isinstance(item, int) for item in bounds) else bounds[-1])
        dtype = dtype or ("int32" if all(isinstance(item, int) for item in bounds) else "float32")
        return tensor(b, np.arange(*bounds).astype(dtype))
    dtype = dtype or "int32"
    if len(bounds) == 3 and stop is None:
        bounds = [0, *bounds]
    if len(bounds) == 2 and bounds[0] == 0:
        bounds = bounds[1:]
    options: Options = {} if dtype in ("int32", "int64") else {"dtype": torch_dtype(dtype)}
    return invoke(b, "torch.arange", bounds, {**options, "device": Device(like_of(bounds))}, (None,), dtype)


@operation("linspace", examples=[call(real(None, 3), real(None, 3), 5), call(real(None, 3), 1.0, 4, False, axis=1)])
def linspace(
    b: Builder,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """A constant; between tensors, start + (stop - start) times one."""
    limited(num)
    if not any_tensor(start, stop):
        found = tensor(b, np.linspace(start, stop, num, endpoint, axis=axis).astype(dtype or "float64"))
        return (found, (stop - start) / (num - endpoint)) if retstep else found
    rank = max(item.rank for item in (start, stop) if isinstance(item, Value))
    place = axis % (rank + 1)
    share = np.linspace(0, 1, num, endpoint).reshape([-1 if i == place else 1 for i in range(rank + 1)])
    first, last = (unsqueezed(b, item, place) for item in (start, stop))
    width = elementwise(b, "-", last, first, dtype=floating(first, last))
    y = elementwise(b, "+", first, elementwise(b, "*", width, share))
    step = elementwise(b, "/", elementwise(b, "-", stop, start), num - endpoint)
    return (y, step) if retstep else cast(b, y, dtype or y.dtype)


def unsqueezed(b: Builder, x: Any, place: int) -> Any:
    """With a new axis of size 1; numbers as they are."""
    if not isinstance(x, Value):
        return x
    return b.call(".unsqueeze", x, place, shape=(*x.shape[:place], 1, *x.shape[place:]), layout="keras")


@operation("logspace", examples=[call(real(None, 3), real(None, 3), 5), call(real(None, 3), 1.0, 4, base=2)])
def logspace(
    b: Builder,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """The base to the power of linspace."""
    if not any_tensor(start, stop):
        limited(num)
        return tensor(b, np.logspace(start, stop, num, endpoint, base, axis=axis).astype(dtype or "float32"))
    y = linspace(b, start, stop, num, endpoint, axis=axis)
    return cast(b, elementwise(b, "**", float(base), y), dtype or y.dtype)


_POSITIVE = real(None, 3, between=(0.5, 2))


@operation("geomspace", examples=[call(_POSITIVE, real(None, 3, between=(2, 3)), 5), call(_POSITIVE, 4.0, 3)])
def geomspace(
    b: Builder,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """start * (stop / start) to the power of numbers from 0 to 1."""
    if not any_tensor(start, stop):
        limited(num)
        return tensor(b, np.geomspace(start, stop, num, endpoint, axis=axis).astype(dtype or "float32"))
    first, last = (
        elementwise(b, "torch.log", item) if isinstance(item, Value) else float(np.log(item)) for item in (start, stop)
    )
    return cast(b, elementwise(b, "torch.exp", linspace(b, first, last, num, endpoint, axis=axis)), dtype or "float32")


@operation("eye")
def eye(b: Builder, N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Any:  # noqa: N803
    """A constant, or torch.eye."""
    if not any_tensor(N, M):
        limited(N, N if M is None else M)
        return tensor(b, np.eye(N, M, k, dtype or "float32"))
    if k:
        raise UntranslatableError("eye of a size known at run time only, with k")
    sizes = [N] if M is None else [N, M]
    options: Options = {} if dtype in (None, "float32") else {"dtype": torch_dtype(dtype or "float32")}
    result: Shape = (known(N), known(N if M is None else M))
    return invoke(b, "torch.eye", sizes, {**options, "device": Device(like_of(sizes))}, result, dtype or "float32")


@operation("identity")
def identity(b: Builder, n: Any, dtype: str | None = None) -> Any:
    """A constant, or torch.eye."""
    return eye(b, n, dtype=dtype)


@operation("tri")
def tri(b: Builder, N: Any, M: Any = None, k: int = 0, dtype: str | None = None) -> Any:  # noqa: N803
    """A constant, or torch.ones(...).tril()."""
    if not any_tensor(N, M):
        limited(N, N if M is None else M)
        return tensor(b, np.tri(N, M, k, dtype or "float32"))
    y = ones(b, [N, N if M is None else M], dtype)
    return b.call(".tril", y, *([k] if k else []), shape=y.shape, layout="keras")


WINDOWS = {"bartlett": np.bartlett, "blackman": np.blackman, "hamming": np.hamming, "hanning": np.hanning}


def window(b: Builder, x: Any, *beta: float, name: str) -> Any:
    """A constant."""
    if any_tensor(x):
        raise UntranslatableError(f"{name} of a size known at run time only")
    limited(x)
    return tensor(b, np.kaiser(x, *beta) if name == "kaiser" else WINDOWS[name](x))


def register_window(name: str) -> None:
    """A window of a known number of samples."""
    operation(name)(lambda b, x: window(b, x, name=name))


for _name in WINDOWS:
    register_window(_name)


@operation("kaiser")
def kaiser(b: Builder, x: Any, beta: float) -> Any:
    """A constant."""
    return window(b, x, beta, name="kaiser")


@operation("array", "convert_to_tensor", examples=[call(_X)])
def convert_to_tensor(b: Builder, x: Any, dtype: str | None = None, *_: Any, **__: Any) -> Any:
    """Nothing, but for the dtype; lists of tensors are stacked."""
    if isinstance(x, list | tuple) and not any_tensor(x):
        x = np.asarray(x, dtype)
    made = tensor(b, x)
    return made if dtype is None else cast(b, made, dtype)


@operation("is_tensor")
def is_a_tensor(b: Builder, x: Any) -> bool:
    """What is known beforehand."""
    return isinstance(x, Value | Parameter)


@operation("dtype")
def name_of_dtype(b: Builder, x: Any) -> str:
    """What is known beforehand."""
    return dtype_of(x)


@operation("vander", examples=[call(real(None)), call(real(None), 3), call(real(None), 4, True)])
def vander(b: Builder, x: Value, N: int | None = None, increasing: bool = False) -> Value:  # noqa: N803
    """torch.vander."""
    options: Options = {"increasing": True} if increasing else {}
    count = x.shape[0] if N is None else N
    return b.call("torch.vander", x, *([] if N is None else [N]), shape=(x.shape[0], count), layout="keras", **options)


@operation("meshgrid", examples=[call(real(None), real(4)), call(real(3), real(4), real(2), indexing="ij")])
def meshgrid(b: Builder, *x: Any, indexing: str = "xy") -> list[Value]:
    """torch.meshgrid."""
    vectors = [tensor(b, item) for item in x]
    sizes = [item.shape[0] for item in vectors]
    if indexing == "xy" and len(sizes) > 1:
        sizes[:2] = sizes[1::-1]
    outputs = [b.value(tuple(sizes), dtype_of(item)) for item in vectors]
    b.calls("torch.meshgrid", *vectors, outputs=tuple(outputs), indexing=indexing)
    return outputs
