"""Products of tensors."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Shape
from k2t.program import Value
from k2t.rules.base import broadcast
from k2t.rules.builder import Builder
from k2t.rules.operations.base import operation


@operation("matmul")
def matmul(b: Builder, x1: Value, x2: Value) -> Value:
    """The operator @."""
    left, right = tuple(x1.shape), tuple(x2.shape)
    if len(left) < 2 or len(right) < 2:
        shape: Shape = (*left[:-1], *right[:-2], *right[-1:]) if len(right) > 1 else left[:-1]
    elif len(left) == len(right) == 2:
        shape = (left[0], right[1])
    else:
        shape = (*broadcast(left[:-2] or (1,), right[:-2] or (1,)), left[-2], right[-1])
    return b.call("@", x1, x2, shape=shape, layout="keras")


@operation("einsum")
def einsum(b: Builder, subscripts: str, *operands: Value) -> Value:
    """torch.einsum."""
    terms, _, result = subscripts.replace(" ", "").partition("->")
    if "." in subscripts or "->" not in subscripts:
        raise UntranslatableError(f"einsum {subscripts!r} without an explicit result, or with an ellipsis")
    sizes: dict[str, int | None] = {}
    for term, operand in zip(terms.split(","), operands, strict=True):
        for letter, size in zip(term, operand.shape, strict=True):
            sizes[letter] = sizes.get(letter) if size is None else size
    shape: Shape = tuple(sizes[letter] for letter in result)
    return b.call("torch.einsum", subscripts, *operands, shape=shape, layout="keras")


@operation("tensordot")
def tensordot(b: Builder, x1: Value, x2: Value, axes: Any = 2) -> Value:
    """torch.tensordot."""
    if isinstance(axes, int):
        left, right = list(range(x1.rank - axes, x1.rank)), list(range(axes))
    else:
        left, right = ([side] if isinstance(side, int) else list(side) for side in axes)
    rest = [n for i, n in enumerate(x1.shape) if i not in {axis % x1.rank for axis in left}]
    rest += [n for i, n in enumerate(x2.shape) if i not in {axis % x2.rank for axis in right}]
    dims = axes if isinstance(axes, int) else (left, right)
    return b.call("torch.tensordot", x1, x2, dims=dims, shape=tuple(rest), layout="keras")
