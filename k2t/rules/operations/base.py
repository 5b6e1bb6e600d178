"""What an operation is: a function of `keras.ops`, added to the graph by name.

Functional models of Keras 3 record them; what TensorFlow and the Keras backend call otherwise is
spelled in these names by `dialects`. A parameter has the name that `keras.ops` gives it.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Parameter, Size, Value
from k2t.rules.activations import ACTIVATIONS
from k2t.rules.base import broadcast
from k2t.rules.builder import Builder

F = TypeVar("F", bound=Callable[..., Any])
Options = dict[str, Any]
OPERATIONS: dict[str, Callable[..., Any]] = {}
REFUSED_OPERATIONS: dict[str, str] = {}


def operation(*names: str) -> Callable[[F], F]:
    """Register the translation of `keras.ops.<name>`: `(b, *arguments) -> value`."""

    def register(translation: F) -> F:
        for name in names:
            if name in OPERATIONS:
                raise ValueError(f"{name} is translated already")
            OPERATIONS[name] = translation
        return translation

    return register


def snake_case(name: str) -> str:
    """`ExpandDims` -> `expand_dims`, as Keras names the function of an operation class."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def call_operation(b: Builder, name: str, args: Sequence[Any], kwargs: Options) -> Any:
    """Apply `keras.ops.<name>` to values and constants.

    Raises:
        UntranslatableError: the operation is unknown, refused, or does not take these arguments.
    """
    if name in REFUSED_OPERATIONS:
        raise UntranslatableError(f"{name}: {REFUSED_OPERATIONS[name]}")
    translation = OPERATIONS.get(name) or ACTIVATIONS.get(name)
    if translation is None:
        raise UntranslatableError(f"no translation of the operation {name}")
    try:
        bound = inspect.signature(translation).bind(b, *args, **kwargs)
    except TypeError as error:
        raise UntranslatableError(f"{name}: {error}") from error
    return translation(*bound.args, **bound.kwargs)


def is_tensor(item: Any) -> bool:
    """Whether an argument is a tensor or a run-time number, not a constant."""
    return isinstance(item, Value | Parameter | Size)


def shape_of(item: Any) -> Shape:
    """The shape of an argument; constants of Python are scalars."""
    return item.shape if isinstance(item, Value | Parameter) else ()


def elementwise(b: Builder, target: str, *args: Any, dtype: str | None = None, **kwargs: Any) -> Value:
    """A function of torch over tensors and numbers, as they broadcast."""
    shape = broadcast(*(shape_of(arg) for arg in args))
    return b.call(target, *args, shape=shape, dtype=dtype, **kwargs)


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """An option `axis` as axes counted from the front; None means all."""
    if axis is None:
        return tuple(range(rank))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -rank <= item < rank for item in axes):
        raise UntranslatableError(f"axis {axis} is out of range for {rank} axes")
    return tuple(sorted(item % rank for item in axes))


def size_product(sizes: Sequence[int | None]) -> int | None:
    """The number of elements, None where it is unknown."""
    return None if None in sizes else math.prod(size or 0 for size in sizes)
