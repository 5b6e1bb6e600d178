"""Arguments of calls: lists, shapes, and what is not known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from k2t.code.objects import Tensor
from k2t.graph import Shape
from k2t.program import Value, leaves
from k2t.rules.tracing.names import Library, Unknown, library_path


def skipped(unknown: Unknown, kwargs: Mapping[str, Any]) -> bool:
    """Whether an unknown value is one that says nothing about what a layer computes."""
    silent = ("name", "weights", "seed", "kernel_regularizer", "bias_regularizer", "trainable")
    hidden = [key for key, item in kwargs.items() if any(leaf is unknown for leaf in leaves(item))]
    return bool(hidden) and all(
        key in silent or key.endswith(("_initializer", "_regularizer", "_constraint")) for key in hidden
    )


def has_unknown(item: Any) -> bool:
    """Whether something inside is not known."""
    return any(isinstance(leaf, Unknown) for leaf in leaves(item))


def as_list(item: Any) -> list[Any]:
    """A list of one or several."""
    return list(item) if isinstance(item, list | tuple) else [item]


def shape_of(args: list[Any]) -> Shape | None:
    """The shape of the first tensor that a model is called with; its batch is open."""
    first = next((leaf for leaf in leaves(args) if isinstance(leaf, Tensor)), None)
    return (None, *first.value.shape[1:]) if first is not None and isinstance(first.value, Value) else None


def module_named(value: Any) -> Any:
    """A value that the user gives; the name of a module of Keras stands for the module."""
    found = isinstance(value, str) and re.fullmatch(r"(tf\.|tensorflow\.)?keras(\.\w+)?|tf_keras(\.\w+)?", value)
    return Library(library_path(value)) if found else value
