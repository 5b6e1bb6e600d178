"""Constructor calls of Keras layers in code, as the configuration that Keras would save of them."""

from __future__ import annotations

import re
from typing import Any

from k2t.errors import UntranslatableError
from k2t.rules.base import REFUSED, RULES, TRAINING_SUFFIXES
from k2t.rules.custom.objects import Activation, Ignored
from k2t.rules.tracing.names import Library

# Options of one number for each spatial axis.
SPATIAL = frozenset({"kernel_size", "strides", "pool_size", "dilation_rate", "size", "output_padding"})
# Options of every layer that say nothing about what it computes.
COMMON = frozenset({"name", "trainable", "dtype", "autocast", "dynamic", "weights", "seed", "aggregation"})
INPUT = frozenset({"input_shape", "batch_input_shape", "input_dim", "input_length", "batch_shape", "batch_size"})
# Names that options had in Keras 2.
OLD_NAMES = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "LSTM": {"implementation": ""},
    "GRU": {"implementation": ""},
}


def is_layer(path: str) -> bool:
    """Whether a dotted name is that of a layer class that Keras has."""
    first, _, name = path.rpartition(".")
    return first.split(".")[0] in ("keras", "tfa", "tensorflow_addons", "keras_contrib") and (
        name in RULES or name in REFUSED
    )


def configuration(kind: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of `kind(*args, **kwargs)`.

    Raises:
        UntranslatableError: more arguments than options.
    """
    if kind in REFUSED:
        raise UntranslatableError(f"{kind}: {REFUSED[kind]}")
    names = list(RULES[kind].options)
    if len(args) > len(names):
        raise UntranslatableError(f"{kind} is made with {len(args)} arguments")
    old = OLD_NAMES.get(kind, {})
    given = {**dict(zip(names, args, strict=False)), **{old.get(key, key): value for key, value in kwargs.items()}}
    dropped = (COMMON | INPUT) - RULES[kind].options.keys()
    return {
        key: spelled(kind, key, value)
        for key, value in given.items()
        if key and key not in dropped and not key.endswith(TRAINING_SUFFIXES)
    }


def spelled(kind: str, key: str, value: Any) -> Any:
    """An option as a file has it."""
    if isinstance(value, Activation):
        return spelled(kind, key, value.which)
    if isinstance(value, Library):
        return value.path.rpartition(".")[2]
    if isinstance(value, Ignored):
        return None
    rank = int(found[1]) if (found := re.search(r"([123])D", kind)) else 0
    if key in SPATIAL and rank and isinstance(value, int):
        return [value] * rank
    if key in ("padding", "cropping") and kind.startswith(("ZeroPadding", "Cropping")):
        return sides(value, rank)
    if isinstance(value, str) and key in ("padding", "data_format"):
        return value.lower()
    return list(value) if isinstance(value, tuple) else value


def sides(value: Any, rank: int) -> Any:
    """Before and after, for each spatial axis."""
    pairs = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1:
        return pairs * 2 if isinstance(value, int) else pairs
    return [[item, item] if isinstance(item, int) else list(item) for item in pairs]
