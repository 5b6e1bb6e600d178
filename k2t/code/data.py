"""The data sets that come with Keras, as far as models depend on them: their shapes, and the number of classes.

Source: https://keras.io/api/datasets/. Arrays are zeros that take no memory.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from k2t.code.standard import handler, text
from k2t.graph import Array
from k2t.rules.tracing.names import Unknown

# Name -> (training and test examples, shape of one, number of classes or 0, shape of a label).
SETS: dict[str, tuple[tuple[int, int], tuple[int, ...], int, tuple[int, ...]]] = {
    "mnist": ((60000, 10000), (28, 28), 10, ()),
    "fashion_mnist": ((60000, 10000), (28, 28), 10, ()),
    "cifar10": ((50000, 10000), (32, 32, 3), 10, (1,)),
    "cifar100": ((50000, 10000), (32, 32, 3), 100, (1,)),
    "boston_housing": ((404, 102), (13,), 0, ()),
    "california_housing": ((16512, 4128), (8,), 0, ()),
}
# Texts: examples, and the number of classes.
TEXTS = {"imdb": ((25000, 25000), 2), "reuters": ((8982, 2246), 46)}
LARGE = 100_000


def zeros(shape: tuple[int, ...], dtype: Any = "float32") -> Array:
    """Zeros that take no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def is_blank(item: Any) -> bool:
    """Whether an array is large and one number everywhere."""
    return isinstance(item, np.ndarray) and item.size > LARGE and not any(item.strides)


REDUCTIONS = frozenset({"all", "any", "max", "mean", "min", "prod", "std", "sum", "var"})


def blank_method(data: Array, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of data that is blank, without touching every number; None where it is computed as usual."""
    if name == "astype":
        return zeros(data.shape, args[0] if isinstance(args[0], str) else "float32")
    if name not in REDUCTIONS:
        return None
    axis = kwargs.get("axis", args[0] if args else None)
    axes = {int(one) % data.ndim for one in (range(data.ndim) if axis is None else np.atleast_1d(axis))}
    kept = bool(kwargs.get("keepdims"))
    sizes = [1 if place in axes else size for place, size in enumerate(data.shape) if kept or place not in axes]
    return np.zeros(sizes)


def blank_binary(left: Any, right: Any) -> Array | None:
    """The result of an operator where one side is data that is blank; None where it is computed as usual."""
    sides = [item for item in (left, right) if isinstance(item, np.ndarray | int | float | np.generic)]
    if len(sides) < 2 or not any(is_blank(item) for item in sides):
        return None
    try:
        return zeros(np.broadcast_shapes(*(np.shape(item) for item in sides)))
    except ValueError:
        return None


def blank_item(data: Array, key: Any) -> Array | None:
    """Some examples of data that is blank, chosen by an array."""
    if not isinstance(key, np.ndarray | list):
        return None
    chosen = np.asarray(key)
    count = int(np.count_nonzero(chosen)) if chosen.dtype == bool else len(chosen)
    return zeros((count, *data.shape[1:]), data.dtype)


@handler(*(f"keras.datasets.{name}.load_data" for name in SETS))
def load_data(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`keras.datasets.mnist.load_data()`."""
    called = ast.unparse(node)
    found = next((name for name in sorted(SETS, key=len, reverse=True) if name in called), None)
    if found is None:
        return Unknown(text(node), script.place(node))
    counts, shape, classes, label = SETS[found]
    parts = []
    for count in counts:
        labels = np.arange(count) % classes if classes else np.zeros(count)
        parts.append((zeros((count, *shape), "uint8" if classes else "float32"), labels.reshape(count, *label)))
    return tuple(parts)


@handler(*(f"keras.datasets.{name}.load_data" for name in TEXTS))
def load_texts(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`keras.datasets.imdb.load_data()`: lists of unknown length."""
    found = "imdb" if "imdb" in ast.unparse(node) else "reuters"
    counts, classes = TEXTS[found]
    return tuple((Unknown(f"{found}.load_data()", script.place(node)), np.arange(count) % classes) for count in counts)


@handler("keras.utils.to_categorical", "keras.utils.np_utils.to_categorical", "np_utils.to_categorical")
def to_categorical(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """One column for each class."""
    labels = args[0] if args else kwargs.get("x", kwargs.get("y"))
    count = kwargs.get("num_classes", kwargs.get("nb_classes", args[1] if len(args) > 1 else None))
    if not isinstance(labels, np.ndarray) or isinstance(count, Unknown):
        return Unknown(text(node), script.place(node))
    return zeros((len(labels), int(count if count is not None else labels.max() + 1)))


@handler(
    "keras.preprocessing.sequence.pad_sequences", "keras.utils.pad_sequences", "keras.utils.data_utils.pad_sequences"
)
def pad_sequences(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Sequences of one length, which the code says."""
    length = kwargs.get("maxlen", args[1] if len(args) > 1 else None)
    return zeros((25000, length), "int32") if isinstance(length, int) else Unknown(text(node), script.place(node))
