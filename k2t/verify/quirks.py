"""What old releases computed and tf-keras does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k2t.errors import K2TError
from k2t.graph import Graph, Layer

# k2t's names for values that no library computes today.
LOST = {"theano_same", "cntk_same", "theano_bilinear"}
TF1_BILINEAR = "keras2_tf1_bilinear"


def refuse_lost(graph: Graph, path: str) -> None:
    """Refuse a model of which no reference can be had.

    Args:
        graph: the model as k2t reads it, with names for what backends did otherwise.

    Raises:
        K2TError: names the layers.
    """
    found = [
        f"{layer.name} ({value})"
        for layer in _layers(graph)
        for value in layer.options.values()
        if isinstance(value, str) and value in LOST
    ]
    if found:
        raise K2TError(f"{path}: no library computes any more what the old backend did: {', '.join(found)}")


def as_they_computed(model: Any, graph: Graph) -> None:
    """Change a tf-keras model, where it differs, into what the release that saved it computed."""
    bilinear = {layer.name for layer in _layers(graph) if layer.options.get("interpolation") == TF1_BILINEAR}
    for layer in model._flatten_layers():
        if layer.name in bilinear:
            layer.call = _tf1_bilinear(layer.size, layer.data_format)


def _layers(graph: Graph) -> Iterator[Layer]:
    """Every layer, nested and wrapped ones included."""
    pending = list(graph.layers())
    while pending:
        layer = pending.pop()
        yield layer
        pending += [option for option in layer.options.values() if isinstance(option, Layer)]
        pending += list(layer.graph.layers()) if layer.graph is not None else []


def _tf1_bilinear(size: tuple[int, int], data_format: str) -> Any:
    """Output pixel i lies at i / factor of the input, the last one repeated (`tf.image.resize_bilinear`)."""

    def call(x: Any) -> Any:
        import tensorflow as tf

        first = data_format == "channels_first"
        for axis, factor in zip((2, 3) if first else (1, 2), size, strict=True):
            place = tf.range(tf.shape(x)[axis] * factor)
            low = place // factor
            high = tf.minimum(low + 1, tf.shape(x)[axis] - 1)
            part = tf.cast(place % factor, x.dtype) / tf.cast(factor, x.dtype)
            part = tf.reshape(part, [-1 if index == axis else 1 for index in range(4)])
            x = tf.gather(x, low, axis=axis) * (1 - part) + tf.gather(x, high, axis=axis) * part
        return x

    return call
