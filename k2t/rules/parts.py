"""What belongs to one layer: its variables and modules, made once however often it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from k2t.errors import UnsupportedError
from k2t.graph import Array, Layer, Shape
from k2t.program import Block, Module, Parameter, Variable, Weight

# Where a layer lies: the names of the layers around it and its own, and its key in an archive.
Place = tuple[tuple[str, ...], str]
T = TypeVar("T")


@dataclass(frozen=True)
class LowRank:
    """What LoRA adds to a kernel: the product of two matrices, times a factor."""

    first: Variable
    second: Variable
    factor: float

    def merged(self, kernel: Variable, transform: Callable[..., Array], trainable: bool) -> Weight:
        """The kernel with it; in float64, so that it is rounded once, where it is loaded."""

        def added(kernel: Array, first: Array, second: Array) -> Array:
            product = first.astype(np.float64) @ second.astype(np.float64)
            made: Array = transform(kernel + self.factor * product)
            return made

        return Weight((kernel, self.first, self.second), added, trainable=trainable, dtype="float64")


class Parts:
    """What belongs to one layer and is made once, however often the layer is called.

    Attributes:
        layer: the layer.
        owner: its name and those of the layers around it, outermost first.
        key: where a `.keras` archive keeps its weights, relative to the outermost layer.
        trainable: its flag and those of the layers around it.
        block: for a nested model, the class that it becomes.
        variables: those declared so far, those of wrapped layers included, in Keras's order.
        shared: whether it is called several times.
        varying: the places of the layers that are called with inputs of several shapes, as far as is known.
        nested: whether it is inside a nested model.
        in_archive: whether its weights lie in an archive by path, not in a flat list.
        low_rank: name of a kernel -> what is added to it.
    """

    def __init__(
        self,
        layer: Layer,
        around: Parts | None = None,
        key: str = "",
        shared: bool = False,
        varying: set[Place] | None = None,
    ) -> None:
        self.layer = layer
        self.owner: tuple[str, ...] = (*around.owner, layer.name) if around else (layer.name,)
        self.key: str = "/".join(part for part in (around.key if around else "", key) if part)
        self.trainable: bool = layer.trainable and (around is None or around.trainable)
        self.in_archive: bool = around.in_archive if around else bool(layer.weights and layer.weights.tree is not None)
        self.nested: bool = around is not None and (around.nested or around.layer.graph is not None)
        self.shared = shared
        self.varying: set[Place] = around.varying if around else set() if varying is None else varying
        self.shapes: tuple[Shape, ...] | None = None
        self.variables: list[Variable] = around.variables if around else []
        self.modules: dict[str, Module | Parameter] = {}
        self.declared: dict[str, Variable] = {}
        self.children: dict[str, Parts] = {}
        self.block: Block | None = None
        self.low_rank: dict[str, LowRank] = {}

    @property
    def varies(self) -> bool:
        """Whether it is called with inputs of several shapes."""
        return (self.owner, self.key) in self.varying

    def called(self, shapes: tuple[Shape, ...]) -> None:
        """Take note of the shapes of the inputs of one call."""
        if self.shapes is None:
            self.shapes = shapes
        elif self.shapes != shapes:
            self.varying.add((self.owner, self.key))

    def child(self, layer: Layer, key: str, shared: bool | None = None) -> Parts:
        """The parts of a layer inside this one, kept in an archive below `key`; shared as this one, unless said."""
        if key not in self.children:
            self.children[key] = Parts(layer, self, key, self.shared if shared is None else shared)
        return self.children[key]

    def of_class(self, layer: Layer, shared: bool) -> Parts:
        """The parts of a layer of the nested model that this is: its class is called with one size of inputs."""
        return self.child(layer, layer.path or layer.name, shared)

    def in_place(self, layer: Layer, shared: bool) -> Parts:
        """Likewise, where the nested model is written out at each of its calls."""
        return self.child(layer, layer.path or layer.name, shared or self.shared)


def settled(attempt: Callable[[set[Place]], T]) -> T:
    """What a translation gives that knows from its start which layers are called with several shapes.

    Args:
        attempt: a whole translation; adds the layers that it finds to the set that it is given.
    """
    varying: set[Place] = set()
    while True:
        known = len(varying)
        try:
            result = attempt(varying)
        except UnsupportedError:
            if len(varying) == known:
                raise
        else:
            if len(varying) == known:
                return result


def known_sizes(declared: Shape, given: Shape, varies: bool) -> Shape:
    """The declared shape; a size that it leaves open is taken from the calls, if these agree."""
    if varies or len(declared) != len(given):
        return declared
    return tuple(size if size is not None else other for size, other in zip(declared, given, strict=True))
