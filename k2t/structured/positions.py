"""Positions that an Embedding looks up: integers that the code counts, which `forward` counts anew."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from k2t.program import Device, Op, Parameter, Size, Value
from k2t.rules.builder import Builder
from k2t.structured.frames import NotStructured
from k2t.symbols import number


def constant(item: Any) -> np.ndarray[Any, Any] | None:
    """What an argument of a layer holds, where the code has computed it; else None."""
    if isinstance(item, Parameter) and not item.weight.variables:
        return item.weight.transform()
    return item if isinstance(item, np.ndarray) else None


def beside(variables: Mapping[str, Any]) -> tuple[ast.expr, Value]:
    """A tensor of the function, on whose device its constants lie.

    Raises:
        NotStructured: it has none.
    """
    for name, value in variables.items():
        if isinstance(value, Value):
            return ast.Name(name, ast.Load()), value
    raise NotStructured("constants without a tensor beside them")


def counted(b: Builder, array: np.ndarray[Any, Any], tensor: Value) -> Value:
    """`torch.arange(x.shape[1])` for 0, 1, …, one for each step of the tensor, with an axis in front where it has one.

    Raises:
        NotStructured: it holds other numbers.
    """
    count = array.size
    if array.shape not in ((count,), (1, count)) or array.ravel().tolist() != [*range(count)]:
        raise NotStructured("a layer of numbers that are no positions")
    axis = next((axis for axis, size in enumerate(tensor.shape) if axis and size and number(size) == count), None)
    steps = count if axis is None else Size(tensor, axis)
    made = b.call("torch.arange", steps, shape=(count,), dtype="int64", layout="keras", device=Device(tensor))
    return made if array.ndim == 1 else b.call(".unsqueeze", made, 0, shape=array.shape, layout="keras")


def identity(array: np.ndarray[Any, Any]) -> str:
    """What identifies a constant in a comparison of programs."""
    return f"constant {array.ravel().tolist()}"


def identity_of(op: Op) -> str:
    """What identifies the positions that an operation counts."""
    return identity(np.arange(op.outputs.shape[0]))
