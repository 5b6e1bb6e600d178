"""The input shape of a Sequential model that does not state it, from the first layer's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from k2t.errors import ReadError
from k2t.graph import Graph, Layer, Shape


def _features(leading: int) -> Callable[[Layer, Shape], Shape]:
    return lambda layer, kernel: (*(None,) * leading, kernel[0])


def _convolved(layer: Layer, kernel: Shape) -> Shape:
    """Kernels are (*window, channels of a group, filters)."""
    *window, channels, _ = kernel
    features = (channels or 0) * int(layer.options.get("groups", 1))
    sizes = (None,) * len(window)
    return (
        (None, features, *sizes) if layer.options.get("data_format") == "channels_first" else (None, *sizes, features)
    )


# Kind of the first layer -> the shape of its input, from the shape of its first array.
SHAPES: dict[str, Callable[[Layer, Shape], Shape]] = {
    "Dense": _features(1),
    "SimpleRNN": _features(2),
    "GRU": _features(2),
    "LSTM": _features(2),
    "Embedding": lambda layer, kernel: (None, None),
    "Conv1D": _convolved,
    "Conv2D": _convolved,
    "Conv3D": _convolved,
}


def with_input_shape(graph: Graph) -> Graph:
    """The graph with the shape of each input.

    Raises:
        ReadError: the shape is neither stated nor to be told from the weights.
    """
    unknown = [item for item in graph.inputs if not item.shape]
    if not unknown:
        return graph
    layer = graph.calls[0].layer
    weights = layer.weights
    tree = sorted((weights.tree or {}).items()) if weights else []
    arrays = [array for _, array in tree] or list(weights.flat or () if weights else ())
    if ">" in layer.kind:  # no rule will know it, and whoever teaches one may know the shape
        return graph
    if layer.kind not in SHAPES or not arrays:
        raise ReadError(
            f"{graph.name}: the model was saved without the shape of its input; "
            "save it again after model.build(input_shape) or with an Input layer in front"
        )
    found = SHAPES[layer.kind](layer, arrays[0].shape)
    return replace(graph, inputs=tuple(item if item.shape else replace(item, shape=found) for item in graph.inputs))
