"""Whether the value of an option is of the kind that its rule declares, so that no other one gets into code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

KINDS: dict[str, Callable[[Any], bool]] = {
    "None": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool) or (type(value) in (int, float) and value in (0, 1)),
    "int": lambda value: isinstance(value, int) or (isinstance(value, float) and value.is_integer()),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
}

ALTERNATIVES = re.compile(r" \| (?![^\[]*\])")  # outside of brackets


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is of a kind such as `int | list[int] | None`; kinds that are not written so take all."""
    if not isinstance(annotation, str):
        return True
    return any(_fits(value, kind) for kind in ALTERNATIVES.split(annotation))


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("list[") and kind.endswith("]"):
        return isinstance(value, list | tuple) and all(fits(item, kind[5:-1]) for item in value)
    return kind not in KINDS or KINDS[kind](value)
