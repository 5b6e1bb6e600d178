"""Runs a live Keras model once and keeps what every call computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from k2t.graph import Array
from k2t.verify.nodes import graph_of, nodes, output_path, structure
from k2t.verify.parity import Trace

LAST = {"softmax", "sigmoid"}


@dataclass
class _Frame:
    """A model that is being called: the labels of its calls still to come, by layer."""

    prefix: str
    labels: dict[int, list[str]]


@dataclass
class Recorder:
    """Wraps `call` of every layer in a model's graph, nested models included; keeps tensors by path.

    Attributes:
        outputs: path of the call -> its output tensors, flattened.
        before: path of the call -> what entered its softmax or sigmoid, of TimeDistributed perhaps step by step.
        kinds: path of the call -> class of the layer.
    """

    outputs: dict[str, list[Any]] = field(default_factory=dict)
    before: dict[str, list[Any]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    _stack: list[_Frame] = field(default_factory=list)
    _path: str = ""

    def start(self, model: Any) -> None:
        """Forget what was recorded; the next call of `model` is the one to record."""
        self.outputs.clear()
        self.before.clear()
        self._stack = [_frame("", model)]

    def attach(self, model: Any, seen: set[int] | None = None) -> None:
        """Wrap the calls of all layers, once per layer."""
        seen = set() if seen is None else seen
        for node in nodes(model):
            layer = node.layer
            if node.is_input or id(layer) in seen:
                continue
            seen.add(id(layer))
            layer.call = self._recording(layer, layer.call)
            last = layer.layer if type(layer).__name__ == "TimeDistributed" else layer
            activation = vars(last).get("activation")
            if getattr(activation, "__name__", "") in LAST:
                last.activation = self._keeping(activation)
            if graph_of(layer) is not None:
                self.attach(layer, seen)

    def _recording(self, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            labels = self._stack[-1].labels.get(id(layer)) if self._stack else None
            if not labels:  # called from inside another layer, such as a wrapper
                return call(*args, **kwargs)
            path = self._stack[-1].prefix + labels.pop(0)
            self._path = path
            self.kinds[path] = type(layer).__name__
            if type(layer).__name__ == "Softmax":
                self.before[path] = [args[0]]
            nested = graph_of(layer) is not None
            if nested:
                self._stack.append(_frame(path + "/", layer))
            try:
                outputs = call(*args, **kwargs)
            finally:
                if nested:
                    self._stack.pop()
            self.outputs[path] = list(flatten(outputs).values())
            last = output_path(layer, graph_of(layer).outputs[0]) if nested else ""
            if len(scores := self.before.get(f"{path}/{last}", ())) == 1:
                self.outputs[f"{path}/logits"] = list(scores)
                self.kinds[f"{path}/logits"] = "logits"
            return outputs

        return recorded

    def _keeping(self, activation: Callable[..., Any]) -> Callable[..., Any]:
        def kept(x: Any, *args: Any, **kwargs: Any) -> Any:
            self.before.setdefault(self._path, []).append(x)
            return activation(x, *args, **kwargs)

        return kept


def _frame(prefix: str, model: Any) -> _Frame:
    labels: dict[int, list[str]] = {}
    for node in nodes(model):
        labels.setdefault(id(node.layer), []).append(node.label)
    return _Frame(prefix, labels)


def flatten(structure: Any, name: str = "") -> dict[str, Any]:
    """Leaves of nested outputs by path: `0`, `1`, the keys of a dict, `a/0`; a single tensor is `0`."""
    if isinstance(structure, dict):
        items = [(str(key), item) for key, item in structure.items()]
    elif isinstance(structure, list | tuple):
        items = [(str(index), item) for index, item in enumerate(structure)]
    else:
        return {name or "0": structure}
    return {path: leaf for key, item in items for path, leaf in flatten(item, f"{name}/{key}" if name else key).items()}


def trace(
    model: Any,
    recorder: Recorder,
    inputs: Any,
    numpy: Callable[[Any], Array],
    compiled: Callable[[Any], Any] | None = None,
) -> Trace:
    """Call `model` and gather outputs, logits and layers as arrays.

    Args:
        inputs: tensors in the structure that the model takes.
        numpy: turns a tensor into an array.
        compiled: `tf.function`, for what TensorFlow computes on a CPU only when compiled.
    """

    def run(tensors: Any) -> Any:
        recorder.start(model)
        outputs = model(tensors, training=False)
        return outputs, dict(recorder.outputs), dict(recorder.before)

    outputs, layers, before = (compiled(run) if compiled else run)(inputs)
    named = {path: numpy(tensor) for path, tensor in flatten(outputs).items()}
    made = Trace(named, {}, {path: tuple(map(numpy, tensors)) for path, tensors in layers.items()})
    paths = {name: output_path(model, tensor) for name, tensor in flatten(structure(model, "outputs")).items()}
    known = {name: before[path] for name, path in paths.items() if path in before}
    if known:
        made.logits = {name: _scores(list(map(numpy, known.get(name, ()))), array) for name, array in named.items()}
    return made


def _scores(parts: list[Array], output: Array) -> Array:
    """What entered the softmax of an output, in its shape; the output itself where there is none."""
    if len(parts) > 1:  # TimeDistributed, step by step
        return np.stack(parts, axis=1)
    return parts[0].reshape(output.shape) if parts else output  # or with steps and batch as one axis


def as_numpy(tensor: Any) -> Array:
    """An array of a TensorFlow, JAX or torch tensor; sparse and ragged ones are not compared."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
    array = np.asarray(tensor)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
