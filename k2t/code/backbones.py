"""Models of `keras.applications`, built by the code that Keras itself has for them, which is parsed and not run."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def sources() -> dict[str, Path]:
    """Function -> the file of the installed Keras that defines it."""
    spec = find_spec("keras")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "src" / "applications"
    return {
        name: path
        for path in sorted(folder.glob("*.py"))
        if not path.stem.endswith("_test")
        for name in re.findall(r"^def (\w+)\(", path.read_text("utf-8"), re.MULTILINE)
        if not name.startswith("preprocess") or path.stem == "imagenet_utils"
    }


def builder(script: Any, name: str) -> Any:
    """The function that builds a model, or helps to; None where Keras is not installed."""
    path = sources().get(name)
    return None if path is None else script.module(path)[name]
