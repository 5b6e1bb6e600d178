"""Names for the sizes of tensors."""

from __future__ import annotations

import ast
from typing import Any

from k2t.program import Block, Value, values
from k2t.structured.frames import Frame
from k2t.symbols import Symbolic, number, symbol

# In the name of a size that a constructor cannot know.
OPAQUE = "_unknown_"


def names_of_sizes(index: int, shape: tuple[Any, ...], hide: bool) -> dict[int, str]:
    """Names for the sizes of a tensor among the operands: the last one, those that are expressions, all to `hide`."""
    if len(shape) < 2:
        return {}
    inner = {
        axis: f"_in{index}_{axis}_" for axis, n in enumerate(shape[1:-1], 1) if isinstance(n, Symbolic) or (hide and n)
    }
    return inner | ({len(shape) - 1: f"_in{index}_"} if shape[-1] is not None else {})


def opened(shape: tuple[Any, ...], names: dict[int, str]) -> tuple[Any, ...]:
    """A shape with names in place of sizes."""
    return tuple(symbol(number(n), names[axis]) if axis in names else n for axis, n in enumerate(shape))


def size_name(frame: Frame, name: str) -> str:
    """The constructor's argument for the channels of a tensor."""
    arguments = frame.node.args
    tensors = [item.arg for item in (*arguments.posonlyargs, *arguments.args) if is_tensor(frame, item.arg)]
    return "in_channels" if tensors[:1] == [name] else f"{name}_channels"


def inner_name(name: str, axis: int) -> str:
    """What a function calls a size of a tensor that it is given."""
    return f"{OPAQUE}{name}_{axis}"


def is_tensor(frame: Frame, name: str) -> bool:
    """Whether an argument is a tensor."""
    return isinstance(frame.arguments.get(name), Value)


def is_collection(node: ast.expr, value: Any) -> bool:
    """Whether an operand is a list of tensors that the code has filled, of a length that may vary."""
    return isinstance(value, list | tuple) and isinstance(node, ast.Name) and any(values(value))


def is_number(value: Any) -> bool:
    """Whether it is a number that an expression may stand for."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def unsized(value: Any, name: str) -> Any:
    """A tensor of a collection: its class does not know its sizes by name."""
    if not isinstance(value, Value):
        return number(value)
    sizes = (symbol(number(n), OPAQUE) if n is not None else None for n in value.shape[1:])
    return Value((value.shape[0], *sizes), value.dtype, layer=name)


def fits(block: Block, tensors: list[Value]) -> bool:
    """Whether a class was made for tensors of these sizes."""
    return len(block.inputs) == len(tensors) and all(
        own.rank == given.rank
        and all(None in (a, b) or number(a) == number(b) for a, b in zip(own.shape, given.shape, strict=True))
        for own, given in zip(block.inputs, tensors, strict=True)
    )


def as_tuple(value: Any) -> tuple[Any, ...]:
    """The numbers of a tuple, or one number."""
    return tuple(value) if isinstance(value, tuple | list) and value else (value,)
