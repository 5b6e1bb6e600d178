"""k2t: move a Keras model to PyTorch, as source code, with proof."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from k2t.errors import K2TError, ParityError, ReadError, UnsupportedError

if TYPE_CHECKING:
    from k2t.pipeline import Result, convert
    from k2t.rules.base import rule
    from k2t.verify import Parity, record, verify

__version__ = "0.1.0"

__all__ = [
    "K2TError",
    "Parity",
    "ParityError",
    "ReadError",
    "Result",
    "UnsupportedError",
    "convert",
    "record",
    "rule",
    "verify",
]

# What is heavy to import is imported when it is first used.
HOMES = {
    "Result": "k2t.pipeline",
    "convert": "k2t.pipeline",
    "rule": "k2t.rules.base",
    "Parity": "k2t.verify",
    "record": "k2t.verify",
    "verify": "k2t.verify",
}


class _Package(ModuleType):
    """Keeps `k2t.verify` the function: Python would put the package of that name in its place once it is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """The public names of `HOMES`."""
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'k2t' has no attribute {name!r}")
