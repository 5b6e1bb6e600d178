"""How users name Keras code: `model.py`, `model.py:build_unet`, `model.py:Gan.build_generator[0]`, `notebook.ipynb`.

And how they write the values that it takes.
"""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

CODE = re.compile(r"(?P<path>.+\.(?:py|ipynb))(?::(?P<entry>[\w.]+(?:\[\d+\])?))?")


def code_parts(source: object) -> tuple[str, str] | None:
    """The file and the entry, which may be "", of Keras code; None for any other source."""
    found = CODE.fullmatch(str(source))
    return (found["path"], found["entry"] or "") if found else None


def value(text: str) -> Any:
    """A Python literal; any other text stands for itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def written(arguments: Mapping[str, Any], shapes: Sequence[tuple[int | None, ...]]) -> list[str]:
    """The options that give them: `--arg depth=3 --input-shape '(None,128)'`, as a shell takes them."""
    pairs = [
        ("--arg", f"{name}={given if isinstance(given, str) else repr(given)}") for name, given in arguments.items()
    ]
    pairs += [("--input-shape", str(shape)) for shape in shapes]
    return [f"{option} {shlex.quote(text.replace(', ', ','))}" for option, text in pairs]


def given(options: str) -> tuple[dict[str, Any], list[tuple[int | None, ...]]]:
    """(arguments, shapes of inputs) among the options of a conversion, as `written` wrote them."""
    words = shlex.split(options)
    pairs = list(itertools.pairwise(words))
    named = [text.partition("=") for option, text in pairs if option == "--arg"]
    shapes = [tuple(value(text)) for option, text in pairs if option == "--input-shape"]
    return {name: value(text) for name, _, text in named}, shapes
