"""From a Keras graph to a PyTorch program: every call through the rule of its layer."""

from __future__ import annotations

from collections import Counter
from typing import Any

from k2t.errors import Problem, UnsupportedError, UntranslatableError
from k2t.graph import Call, Graph, Ref, refs
from k2t.program import Block, Op, Value
from k2t.rules.binding import bind
from k2t.rules.builder import Builder, apply_layer, find_rule, outputs_of, resolve
from k2t.rules.parts import Parts


def translate(graph: Graph) -> Block:
    """Translate a whole model; every variable is bound to the array that the file holds for it.

    Raises:
        UnsupportedError: names every layer without a translation.
        ReadError: the file's weights are not those of the layers.
    """
    ops: list[Op] = []
    problems: list[Problem] = []
    counts = Counter(id(call.layer) for call in graph.calls)
    inputs = [Value(declared.shape, declared.dtype, layer=declared.name) for declared in graph.inputs]
    known: dict[Ref, Any] = {Ref(declared.name): value for declared, value in zip(graph.inputs, inputs, strict=True)}
    parts: dict[int, Parts] = {}
    for call in graph.calls:
        layer = call.layer
        own = parts.setdefault(id(layer), Parts(layer, shared=counts[id(layer)] > 1))
        try:
            known.update(translate_call(call, ops, own, known))
        except UntranslatableError as error:
            problems.append(Problem(layer.name, layer.kind, str(error)))
    if problems:
        raise UnsupportedError(list(dict.fromkeys(problems)))
    for own in parts.values():
        bind(own.variables, own.layer)
    names = [declared.name for declared in graph.inputs]
    return Block(graph.name, inputs, names, ops, resolve(graph.outputs, known), keras_name=graph.name)


def translate_call(call: Call, ops: list[Op], parts: Parts, known: dict[Ref, Any]) -> dict[Ref, Any]:
    """The outputs of one call; nothing where an input is missing because its own layer has no translation."""
    if any(ref not in known for ref in refs((call.args, call.kwargs))):
        if call.layer.graph is None:
            find_rule(call.layer).arguments(call.layer)
        return {}
    args, kwargs = resolve(call.args, known), resolve(call.kwargs, known)
    output = apply_layer(Builder(ops, parts, call.name), args, kwargs)
    return outputs_of(call.name, output)
