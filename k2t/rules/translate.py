"""From a Keras graph to a PyTorch program: every call through the rule of its layer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from k2t.graph import Graph, Layer
from k2t.program import Block, Op, Value
from k2t.rules.binding import bind
from k2t.rules.builder import build_calls
from k2t.rules.parts import Parts, Place, settled


def taught(custom: str | Path | None, code: str = "") -> AbstractContextManager[None]:
    """Within it, layers find what the user's file, or else the code, defines."""
    if custom is None and not code:
        return nullcontext()
    from k2t.rules.custom.source import custom_objects, load, parsed

    return custom_objects(load(Path(custom)) if custom is not None else parsed(code))


def translate(graph: Graph, custom: str | Path | None = None, code: str = "", *, has_weights: bool = True) -> Block:
    """Translate a whole model; every variable is bound to the array that the file holds for it.

    Args:
        custom: the file of the user's own layers and rules.
        code: Python source of the user's own layers, where there is no such file.
        has_weights: whether there is a file of the weights.

    Raises:
        UnsupportedError: names every layer without a translation.
        ReadError: the file's weights are not those of the layers.
    """
    with taught(custom, code):
        return settled(lambda varying: attempt(graph, varying, has_weights))


def attempt(graph: Graph, varying: set[Place], has_weights: bool) -> Block:
    """A translation of the whole model; adds to `varying` the layers that are called with several shapes."""
    ops: list[Op] = []
    inputs = [Value(declared.shape, declared.dtype, layer=declared.name) for declared in graph.inputs]
    parts: dict[int, Parts] = {}

    def child(layer: Layer, shared: bool) -> Parts:
        return parts.setdefault(id(layer), Parts(layer, shared=shared, varying=varying))

    outputs = build_calls(graph, inputs, ops, child)
    for own in parts.values() if has_weights else ():
        bind(own.variables, own.layer)
    names = [declared.name for declared in graph.inputs]
    return Block(graph.name, inputs, names, ops, outputs)
