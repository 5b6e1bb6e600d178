"""Control flow of keras.ops, where code is followed: branches as torch.where, loops of known length written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Value, leaves
from k2t.rules.builder import Builder
from k2t.rules.operations.base import call_operation, operation

# The most steps that a loop is written out for.
MAX_STEPS = 200


def called(function: Any) -> Callable[..., Any]:
    """A function of the code that is followed.

    Raises:
        UntranslatableError: it is none, since files hold no functions among the arguments of operations.
    """
    if not callable(function):
        raise UntranslatableError("takes Python functions, which a file does not hold; rewrite it in PyTorch")
    return function  # type: ignore[no-any-return]


def steps(count: int | None) -> int:
    """The number of steps of a loop."""
    if count is None or count > MAX_STEPS:
        raise UntranslatableError(f"a loop over {count or 'an unknown number of'} steps; rewrite it in PyTorch")
    return count


def merged(function: Callable[..., Any], *structures: Any) -> Any:
    """The function of the leaves of equal structures."""
    if isinstance(structures[0], list | tuple):
        items = [merged(function, *parts) for parts in zip(*structures, strict=True)]
        return tuple(items) if isinstance(structures[0], tuple) else items
    return function(*structures)


@operation("cond")
def cond(b: Builder, pred: Any, true_fn: Any, false_fn: Any) -> Any:
    """torch.where of both branches, or the one that a constant chooses."""
    branches = called(true_fn), called(false_fn)
    if not isinstance(pred, Value):
        return branches[0 if pred else 1]()
    return merged(lambda yes, no: call_operation(b, "where", [pred, yes, no], {}), *(branch() for branch in branches))


@operation("switch")
def switch(b: Builder, index: Any, branches: Sequence[Any], *operands: Any) -> Any:
    """The branch that a constant chooses."""
    if not isinstance(index, int):
        raise UntranslatableError("switch by a tensor; rewrite it with keras.ops.where")
    return called(branches[min(max(index, 0), len(branches) - 1)])(*operands)


@operation("map")
def map_slices(b: Builder, f: Any, xs: Value) -> Any:
    """The function of each slice along axis 0, stacked."""
    _, made = scan(b, lambda carry, x: (carry, called(f)(x)), 0, xs)
    return made


@operation("vectorized_map")
def vectorized_map(b: Builder, function: Any, elements: Value) -> Any:
    """The function of each slice along axis 0, stacked."""
    return map_slices(b, function, elements)


@operation("scan")
def scan(
    b: Builder, f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: int = 1
) -> Any:
    """The steps written out, their outputs stacked."""
    first = next((leaf for leaf in leaves(xs) if isinstance(leaf, Value)), None)
    order = range(steps(first.shape[0] if first else length))
    carry, made = init, []
    for step in reversed(order) if reverse else order:
        x = merged(lambda item: call_operation(b, "get_item", [item, step], {}), xs) if first else None  # noqa: B023
        carry, y = called(f)(carry, x)
        made.append(y)
    if reverse:
        made.reverse()
    if not made or made[0] is None:
        return carry, None
    return carry, merged(lambda *items: call_operation(b, "stack", [list(items)], {}), *made)


@operation("fori_loop")
def fori_loop(b: Builder, lower: Any, upper: Any, body_fun: Any, init_val: Any) -> Any:
    """The steps written out."""
    if not isinstance(lower, int) or not isinstance(upper, int):
        raise UntranslatableError("fori_loop between numbers known at run time only")
    steps(upper - lower)
    for step in range(lower, upper):
        init_val = called(body_fun)(step, init_val)
    return init_val
