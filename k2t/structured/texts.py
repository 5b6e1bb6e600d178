"""Arguments as text, and the variables and words in them."""

from __future__ import annotations

import re
from typing import Any

from k2t.structured.frames import NotStructured
from k2t.structured.templates import Group, Text, whole
from k2t.symbols import code_of


def text_of(value: Any) -> str:
    """An argument as it is written."""
    if isinstance(value, tuple):
        return whole(value) or f"({', '.join(text_of(item) for item in value)},)"
    if isinstance(value, list):
        return f"[{', '.join(text_of(item) for item in value)}]"
    if value is None or isinstance(value, bool | int | float | str):
        return code_of(value)
    raise NotStructured(f"an argument of type {type(value).__name__}")


def variables_of(structure: Any) -> set[str]:
    """The variables in the expressions of arguments."""
    if isinstance(structure, Text):
        return set(re.findall(r"\b[A-Za-z_]\w*", structure.code)) - {"True", "False", "None", "float", "inf", "nan"}
    if isinstance(structure, Group):
        return variables_of(structure.items)
    if isinstance(structure, dict):
        return variables_of(tuple(structure.values()))
    return set().union(*(variables_of(item) for item in structure)) if isinstance(structure, tuple) else set()


def plural(word: str) -> str:
    """`conv_block` -> `conv_blocks`, `branch` -> `branches`."""
    return word if word.endswith("s") else f"{word}es" if word.endswith(("ch", "sh", "x")) else f"{word}s"


def singular(word: str) -> str:
    """`conv_blocks` -> `conv_block`, `branches` -> `branch`."""
    return re.sub(r"((?:(?<=ch|sh|ss)|(?<=x))e)?s(\d*)$", r"\2", word) or word
