"""What was read: a Keras model as data, in today's Keras spelling.

A layer (options, weights) is not a call (inputs, outputs): a shared layer is one `Layer` and several `Call`s.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class StoredArray:
    """An array that lies in a file and is read on demand.

    Attributes:
        name: its name or path in the file, for messages.
        shape: its shape as `load` returns it.
        dtype: its numpy dtype as `load` returns it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Array] = field(repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: all but how it is read."""
        return vars(self) | {"load": None}


@dataclass(frozen=True)
class Weights:
    """The arrays that a file holds for one layer, and for everything inside it.

    Attributes:
        flat: legacy HDF5 has one list for a layer: what is trainable first, then the rest. Names may say more.
        tree: `.keras` archives have a path for each variable, such as `cell/vars/0`, relative to the layer.
    """

    flat: tuple[StoredArray, ...] | None = None
    tree: dict[str, StoredArray] | None = None


@dataclass(frozen=True)
class Ref:
    """Output `index` of the call named `call`."""

    call: str
    index: int = 0


@dataclass(frozen=True)
class PythonFunction:
    """A function that a file holds as compiled Python, recovered as a syntax tree; never run.

    Attributes:
        node: its definition, or None where the bytes hold more than expressions and assignments.
        problem: then, why, with the disassembly.
        defaults: values of its last arguments.
        closure: values of names from the functions around it.
    """

    node: ast.FunctionDef | None
    problem: str = ""
    defaults: tuple[Any, ...] = ()
    closure: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Layer:
    """A Keras layer: what it is, how it is configured, and where its weights lie.

    Attributes:
        name: Keras's name of it, unique in its graph.
        kind: today's class name (`Conv2D`); `Package>Name` for a registered custom class.
        options: today's configuration. A wrapped layer is a `Layer`, a wrapped model a `Layer` with a graph.
        dtype: the dtype of its variables (`float32` under the policy mixed_float16).
        trainable: the layer's own flag.
        graph: the graph of a nested model, else None.
        path: where an archive keeps its weights, relative to the model around it (`layers/dense_1`).
        weights: for a layer of the outermost model, what the file holds for it.
        keras_2: whether it means what it meant before Keras 3, where the configuration is silent: how masks merge.
        rule: for a class that the model's own code defines, its translation; else None.
    """

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    trainable: bool = True
    graph: Graph | None = None
    path: str = ""
    weights: Weights | None = None
    keras_2: bool = False
    rule: Any = None


@dataclass(frozen=True)
class Call:
    """One application of a layer.

    Attributes:
        name: unique in its graph: the layer's name, with `#k` for its k-th further call.
        args: positional arguments: a `Ref`, a constant, or lists, tuples and dicts of these.
        kwargs: named arguments, likewise.
    """

    name: str
    layer: Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """An input of a graph; `shape` includes the batch axis (None where unknown)."""

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Graph:
    """A model: inputs, calls in an order in which they can be computed, outputs.

    Attributes:
        name: Keras's name of the model.
        inputs: in Keras's order. `Ref(input.name)` stands for an input.
        outputs: a `Ref`, or a list, tuple or dict of them, as Keras returns it.
    """

    name: str
    inputs: tuple[Input, ...]
    calls: tuple[Call, ...]
    outputs: Any

    def layers(self) -> Iterator[Layer]:
        """Each layer once, in the order of the calls."""
        seen: set[int] = set()
        for call in self.calls:
            if id(call.layer) not in seen:
                seen.add(id(call.layer))
                yield call.layer


@dataclass(frozen=True)
class Calls:
    """The calls of layers in code.

    Attributes:
        total: how many there are; so many of them are `translated`.
        left_out: those that are to be written by hand: `file:line:column (kind): reason`.
    """

    total: int = 0
    translated: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A model as read, with what is known of its origin.

    Attributes:
        path: the file, as the user named it.
        keras_version: the version that wrote it, or "" where the file does not say.
        backend: tensorflow, theano, cntk, jax, torch, or "".
        sha256: of the file's bytes, called when it is needed.
        surplus: arrays that belong to no layer of the model.
        has_weights: code alone has none.
        calls: of code, what became of its calls of layers.
        code: of a live model, the Python source of the user's own classes and functions in it.
    """

    path: str
    graph: Graph
    keras_version: str
    backend: str
    sha256: Callable[[], str]
    surplus: tuple[str, ...] = ()
    has_weights: bool = True
    code: str = ""
    calls: Calls = Calls()


def refs(structure: Any) -> Iterator[Ref]:
    """Every `Ref` of a nested argument, in order."""
    if isinstance(structure, Ref):
        yield structure
    elif isinstance(structure, list | tuple):
        for item in structure:
            yield from refs(item)
    elif isinstance(structure, dict):
        for item in structure.values():
            yield from refs(item)


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nesting of lists, tuples and dicts, each leaf replaced by `function(leaf)`."""
    if isinstance(structure, list | tuple):
        return type(structure)(map_structure(function, item) for item in structure)
    if isinstance(structure, dict):
        return {key: map_structure(function, item) for key, item in structure.items()}
    return function(structure)


def snake_case(name: str) -> str:
    """A class name as archives spell it: `Conv2DTranspose` -> `conv2d_transpose`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
