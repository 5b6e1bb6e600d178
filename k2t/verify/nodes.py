"""The graph of a live Keras model, the same for Keras 3 and tf-keras.

Neither library has a public way to walk its nodes: this is the one place that touches their private attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """One call of a layer in a functional graph.

    Attributes:
        label: the layer's name, with `#k` for its k-th further call.
        inputs: the symbolic tensors that it reads.
        outputs: those that it made.
        is_input: whether it is an InputLayer.
    """

    layer: Any
    label: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    is_input: bool


def graph_of(layer: Any) -> Any:
    """The functional graph inside a model (Keras 3 keeps a Sequential's in an attribute), or None."""
    inner = getattr(layer, "_functional", None)
    model = layer if inner is None else inner
    return model if getattr(model, "_nodes_by_depth", None) else None


def nodes(model: Any) -> list[Node]:
    """The calls of a model in the order in which Keras executes them."""
    graph = graph_of(model)
    by_depth = graph._nodes_by_depth if graph is not None else {}
    found = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    calls: dict[int, list[Any]] = {}
    for node in found:
        calls.setdefault(id(_layer(node)), []).append(node)
    labels = {}
    for made in calls.values():
        layer = _layer(made[0])
        order = {id(node): index for index, node in enumerate(layer._inbound_nodes)}
        for index, node in enumerate(sorted(made, key=lambda node: order.get(id(node), len(order)))):
            labels[id(node)] = f"{layer.name}#{index}" if index else str(layer.name)
    return [
        Node(_layer(node), labels[id(node)], _tensors(node, "input"), _tensors(node, "output"), bool(node.is_input))
        for node in found
    ]


def input_names(model: Any) -> list[str]:
    """Names of a model's inputs, in its order."""
    made = {id(tensor): node.layer.name for node in nodes(model) for tensor in node.outputs if node.is_input}
    return [str(made.get(id(tensor), f"input_{index}")) for index, tensor in enumerate(model.inputs)]


def structure(model: Any, side: str) -> Any:
    """The model's symbolic `inputs` or `outputs` in the nesting in which it takes and returns them."""
    graph = graph_of(model)
    if hasattr(graph, f"_{side}_struct"):  # Keras 3
        return getattr(graph, f"_{side}_struct")
    return getattr(graph, f"_nested_{side}")


def producer(model: Any, tensor: Any) -> tuple[Node, int] | None:
    """The node of `model` that made a symbolic tensor, and which of its outputs it is."""
    for node in nodes(model):
        for index, made in enumerate(node.outputs):
            if made is tensor:
                return node, index
    return None


def output_path(model: Any, tensor: Any) -> str:
    """The path of the call that computes a symbolic output, through nested models: `decoder/dense_1`."""
    found = producer(model, tensor)
    if found is None:
        return ""
    node, index = found
    if graph_of(node.layer) is None:
        return node.label
    return f"{node.label}/{output_path(node.layer, graph_of(node.layer).outputs[index])}"


def _layer(node: Any) -> Any:
    return node.operation if hasattr(node, "operation") else node.layer


def _tensors(node: Any, side: str) -> tuple[Any, ...]:
    if hasattr(node, "operation"):  # Keras 3
        return tuple(node.input_tensors if side == "input" else node.outputs)
    made = node.keras_inputs if side == "input" else _flat(node.outputs)
    return tuple(made)


def _flat(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in _flat(item)]
    return [structure]
