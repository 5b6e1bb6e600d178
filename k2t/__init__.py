"""k2t: move a Keras model to PyTorch, as source code, with proof."""

from typing import TYPE_CHECKING, Any

from k2t.errors import K2TError, ParityError, ReadError, UnsupportedError

if TYPE_CHECKING:
    from k2t.pipeline import Result, convert

__all__ = ["K2TError", "ParityError", "ReadError", "Result", "UnsupportedError", "convert"]


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is first used."""
    if name in ("convert", "Result"):
        from importlib import import_module

        return getattr(import_module("k2t.pipeline"), name)
    raise AttributeError(f"module 'k2t' has no attribute {name!r}")
