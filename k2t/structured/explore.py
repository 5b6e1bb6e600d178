"""Follows functions with other arguments, so that both branches of a condition on the configuration are known."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from k2t.errors import K2TError
from k2t.structured.frames import Frame
from k2t.structured.recorder import Recorder

MAX_EVENTS = 300
FAILURES = (K2TError, SyntaxError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


def explore(recorder: Recorder) -> None:
    """Add executions in which conditions have the outcome that they had in none before."""
    for frame in [frame for frame in recorder.frames if frame.function.node.name not in recorder.learned.unexplored]:
        for node in [node for node in ast.walk(frame.node) if isinstance(node, ast.If)]:
            outcomes = {
                item for other in recorder.frames if other.node is frame.node for item in other.taken.get(node, [])
            }
            if len(outcomes) == 1:
                flip(recorder, frame, node, outcomes.pop())


def flip(recorder: Recorder, frame: Frame, node: ast.If, outcome: bool) -> None:
    """Try arguments until the condition has the other outcome."""
    for name, value in candidates(frame, node):
        known = len(recorder.frames)
        try:
            tried = recorder.enter(frame.function, {**frame.arguments, name: value}, frame.given)
        except FAILURES:
            del recorder.frames[known:]
            continue
        if (not outcome) in tried.taken.get(node, []):
            return
        del recorder.frames[known:]


def candidates(frame: Frame, node: ast.If) -> Iterator[tuple[str, Any]]:
    """Other values of the arguments that a condition reads."""
    names = [item.id for item in ast.walk(node.test) if isinstance(item, ast.Name)]
    literals = [item.value for item in ast.walk(node.test) if isinstance(item, ast.Constant)]
    for name in dict.fromkeys(names):
        value = frame.arguments.get(name)
        if isinstance(value, bool):
            yield name, not value
        elif isinstance(value, int | float):
            tried = [*literals, *(item + 1 for item in literals if isinstance(item, int)), value + 1, value * 2, 0.5, 1]
            yield from ((name, item) for item in tried if isinstance(item, int | float) and item != value)
        elif isinstance(value, str) or (name in frame.arguments and value is None):
            yield from ((name, item) for item in [*literals, True] if item != value)


def further(recorder: Recorder, main: Frame) -> Iterator[tuple[str, list[Frame]]]:
    """Executions of the main function with each number among its arguments larger, callees first."""
    if len(main.events) > MAX_EVENTS:
        return
    known = len(recorder.frames)
    for name, value in main.arguments.items():
        for larger in [] if name in recorder.learned.fixed else enlarged(main, value):
            with suppress(*FAILURES):
                recorder.enter(main.function, {**main.arguments, name: larger}, main.given)
                yield name, recorder.frames[known:]
                break
            del recorder.frames[known:]
        del recorder.frames[known:]


def enlarged(main: Frame, value: Any) -> list[Any]:
    """Larger values to try, one after the other until the function takes one: a little larger, or twice as large."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value + 1, value * 2]
    return [longer(value)] if isinstance(value, tuple | list) and value and not is_shape(main, value) else []


def is_shape(main: Frame, value: Any) -> bool:
    """Whether an input has this shape, so that another number of sizes would be another kind of network."""
    return any(list(value) in (list(item.shape), list(item.shape[1:])) for item in main.inputs.values())


def longer(value: Any) -> Any:
    """A table with its last row once more."""
    return value + value[-1:]
