"""Activations as values: the function itself, for constructors that take one."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axis, Code, Op, Value
from k2t.rules.activations import activate
from k2t.rules.builder import Builder


def function_of(b: Builder, activation: Any) -> Code:
    """`F.relu` for "relu", `nn.Identity()` for None, a lambda where the activation is no single function.

    Raises:
        UntranslatableError: the activation is unknown, or has weights.
    """
    scratch = Builder([], b.parts, b.call_name)
    x = Value((None, None), b.layer.dtype)
    result = activate(scratch, x, activation)
    if result is x:
        return Code("nn.Identity()")
    last = scratch.ops[-1]
    if len(scratch.ops) == 1 and last.args == (x,) and not last.kwargs and is_function(str(last.target)):
        return Code(str(last.target))
    made = {op.outputs: op for op in scratch.ops}
    return Code(f"lambda x: {text(result, x, made)}")


def text(item: Any, x: Value, made: dict[Value, Op]) -> str:
    """An argument of an operation as an expression of `x`."""
    if item is x:
        return "x"
    if isinstance(item, Axis):
        return str(item.index)
    if not isinstance(item, Value):
        return constant(item)
    op = made[item]
    args = [text(arg, x, made) for arg in op.args]
    kwargs = [f"{key}={text(arg, x, made)}" for key, arg in op.kwargs.items()]
    if not isinstance(op.target, str) or op.target.startswith((".", "[")):
        raise UntranslatableError("its activation is a layer with weights, which is not supported inside a loop")
    if is_function(op.target):
        return f"{op.target}({', '.join(args + kwargs)})"
    return f"({args[0]} {op.target} {args[1]})"


def is_function(target: str) -> bool:
    """Whether a target is the name of a function: of torch, or of a helper."""
    return "." in target[1:] or target.isidentifier()


def constant(item: Any) -> str:
    """A number or a name."""
    if item is None or isinstance(item, bool | int | float | str):
        return repr(item)
    raise UntranslatableError(f"its activation holds {type(item).__name__}, which is not supported inside a loop")
