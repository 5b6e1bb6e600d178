"""Constructors of Keras layers in code, as layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from k2t.code.custom import as_option, layer_named
from k2t.code.layers import kind_of, options_of
from k2t.errors import UntranslatableError
from k2t.graph import Layer, map_structure, snake_case
from k2t.read.eras import Era
from k2t.rules.base import RULES
from k2t.rules.parts import Parts
from k2t.structured.frames import LayerObject
from k2t.symbols import code_of, number, symbol

# Functions of keras.layers that construct the layer and call it.
FUNCTIONAL = {
    name.lower(): name
    for name in ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract")
}


class Constructors:
    """Makes layers, named as Keras names them.

    Attributes:
        era: the release that the code is written for.
    """

    def __init__(self, era: Era) -> None:
        self.era = era
        self.taken: dict[str, int] = {}

    def construct(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Layer:
        """The layer that a constructor's call makes.

        Raises:
            UntranslatableError: it takes no such arguments.
        """
        label = kwargs.get("name")
        plain = map_structure(inner, (args, kwargs))
        kind, options = options_of(name, as_option(plain[0], self.era), as_option(plain[1], self.era), self.era)
        if kind not in RULES:
            raise UntranslatableError(f"no rule for {kind}")
        trainable = kwargs.get("trainable", True) is not False
        named = label if isinstance(label, str) else self.automatic(kind)
        return layer_named(named, kind, options, self.era, "float32", trainable)

    def merge(self, mode: str = "sum", **kwargs: Any) -> Layer:
        """The layer that `merge(inputs, mode)` of Keras 1 calls."""
        return Constructors(Era((1, 2, 2), self.era.backend, False, self.era.data_format)).construct(
            "Merge", [], {"mode": mode, **kwargs}
        )

    def automatic(self, kind: str) -> str:
        """The name that Keras gives: `dense`, `dense_1`."""
        base = snake_case(kind.rpartition(">")[2])
        number = self.taken[base] = self.taken.get(base, -1) + 1
        return f"{base}_{number}" if number else base


def inner(argument: Any) -> Any:
    """A wrapped layer as configurations have it."""
    return argument.layer if isinstance(argument, LayerObject) else argument


def with_sizes(layer: LayerObject, known: Mapping[str, Any]) -> Parts:
    """The parts of a layer; sizes of its input in a shape that a Reshape completes are known to be these.

    Args:
        known: the sizes of the input, by name.
    """
    if layer.layer.kind != "Reshape" or -1 not in layer.layer.options["target_shape"]:
        return layer.parts
    names = {code_of(size): symbol(number(size), name) for name, size in known.items()}
    target = [names.get(code_of(size), size) for size in layer.layer.options["target_shape"]]
    own = replace(layer.layer, options={**layer.layer.options, "target_shape": target})
    return Parts(own, shared=False, varying=set())


__all__ = ["FUNCTIONAL", "Constructors", "kind_of", "with_sizes"]
