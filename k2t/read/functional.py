"""Functional models: which call takes whose output."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from k2t.errors import ReadError
from k2t.graph import Call, Graph, Input, Layer, Ref, refs
from k2t.read.nodes import arguments, as_run, boundary, histories, in_order
from k2t.read.values import expect

# From this release on, a list of one output is a list, and not the output.
LISTS_OF_ONE = (3, 11)
# This release wrote 0 for the number of every call.
CONFUSED = (3, 2)


def connect(
    name: str,
    config: dict[str, Any],
    inputs: dict[str, Input],
    layers: dict[str, Layer],
    version: tuple[int, ...],
) -> Graph:
    """The graph of a Functional model whose layers are read.

    Raises:
        ReadError: a call refers to one that does not exist, or the calls go round in a circle.
    """
    nodes = {item["name"]: expect(item.get("inbound_nodes"), list, item["name"]) for item in config["layers"]}
    names = call_names(nodes, layers)
    known = frozenset(nodes)
    inner = histories([nodes[own] for own in layers])
    outer = histories(config["output_layers"])
    first, last = first_nodes(inner, outer, nodes, layers, version)

    def tensor(numbered_from: dict[str, int], own: str, node: int, index: int) -> Ref:
        if own in inputs:
            return Ref(own)
        calls = names.get(own, ())
        position = node - numbered_from.get(own, 0)
        if not 0 <= position < len(calls) or index < 0:
            raise ReadError(f"{name}: output {index} of call {node} of {own!r} is used but does not exist")
        return Ref(calls[position], index)

    calls = {}
    for own, layer in layers.items():
        for call, node in zip(names[own], nodes[own], strict=True):
            given = arguments(node, partial(tensor, first), known, own)
            calls[call] = Call(call, layer, given.args, given.kwargs)
    if version[:2] == CONFUSED:
        refuse_unused_calls(name, calls, set(histories(config["output_layers"])))
    outputs = boundary(config["output_layers"], partial(tensor, last), name)
    if isinstance(outputs, list) and len(outputs) == 1 and version < LISTS_OF_ONE:
        outputs = outputs[0]
    given_to = given_inputs(name, config, inputs)
    ordered = in_order(calls, outputs)
    if version >= (3,) and any(takes_masks(layer) for layer in layers.values()):
        ordered = as_run(ordered, outputs)
    sources = {ref.call for ref in refs([outputs, *((call.args, call.kwargs) for call in ordered)])}
    if loose := sources & inputs.keys() - {item.name for item in given_to}:
        raise ReadError(f"{name}: the input {min(loose)!r} is used but is not among the model's inputs")
    return Graph(name, given_to, ordered, outputs)


def takes_masks(layer: Layer) -> bool:
    """Whether it removes the masks of its inputs, so that the order of the calls matters."""
    inside = layer.graph.layers() if layer.graph is not None else ()
    return layer.kind == "MultiHeadAttention" or any(takes_masks(inner) for inner in inside)


def refuse_unused_calls(name: str, calls: dict[str, Call], outputs: set[tuple[str, int]]) -> None:
    """Keras saves no call that nothing uses; where one is, what it feeds has been lost."""
    used = {ref.call for call in calls.values() for ref in refs((call.args, call.kwargs))}
    results = {own for own, _ in outputs}
    for key, call in calls.items():
        if key != call.layer.name and key not in used and call.layer.name not in results:
            raise ReadError(
                f"{name}: Keras 3.2 does not say which call of {call.layer.name!r} goes where; "
                "save the model again with another release"
            )


def call_names(nodes: dict[str, list[Any]], layers: dict[str, Layer]) -> dict[str, list[str]]:
    """The name of each call of each layer: the layer's, with `#k` for its k-th further call."""
    taken = set(nodes)
    names: dict[str, list[str]] = {}
    for own in layers:
        names[own] = [own] if nodes[own] else []
        for number in range(1, len(nodes[own])):
            call = f"{own}#{number}"
            while call in taken:
                call += "#"
            taken.add(call)
            names[own].append(call)
    return names


def first_nodes(
    inner: Iterable[tuple[str, int]],
    outer: Iterable[tuple[str, int]],
    nodes: dict[str, list[Any]],
    layers: dict[str, Layer],
    version: tuple[int, ...],
) -> tuple[dict[str, int], dict[str, int]]:
    """The number of the first call of nested models, for references inside the graph and for its outputs.

    A model that was built before it was called counts its own building as call 0. Keras 2 says so everywhere, Keras 3
    only in `output_layers`, and only for Functional models. Whether it does shows where the last call is used.
    """
    models = [own for own, layer in layers.items() if layer.graph is not None and nodes[own]]
    used: dict[str, set[int]] = {own: set() for own in models}
    last: dict[str, set[int]] = {own: set() for own in models}
    for where, found in ((used, inner), (last, outer)):
        for own, node in found:
            if own in where:
                where[own].add(node)
    if version < (3,):
        used = last = {own: used[own] | last[own] for own in models}
    first = {own: int(len(nodes[own]) in used[own]) for own in models}
    functional = {own for own in models if version >= (3,) and layers[own].kind != "Sequential"}
    return first, {
        own: int(0 not in last[own] and (own in functional or len(nodes[own]) in last[own])) for own in models
    }


def given_inputs(name: str, config: dict[str, Any], inputs: dict[str, Input]) -> tuple[Input, ...]:
    """The inputs in the order in which Keras takes them."""

    def given(own: str, node: int, index: int) -> Input:
        if own not in inputs:
            raise ReadError(f"{name}: the input {own!r} is no InputLayer of the model; the configuration is damaged")
        return inputs[own]

    found = flat(boundary(config.get("input_layers"), given, name))
    if len({item.name for item in found}) != len(found):
        raise ReadError(f"{name}: two inputs have the same name; the configuration is damaged")
    return tuple(found)


def flat(structure: Any) -> list[Any]:
    """The leaves of a structure, dictionaries by sorted keys."""
    if isinstance(structure, list):
        return [leaf for item in structure for leaf in flat(item)]
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flat(structure[key])]
    return [structure]
