"""One step of training on both sides in float64: gradients, moving statistics, what is trained and what is frozen.

A torch parameter holds the values of Keras variables in another order, possibly joined or split. Within a layer,
elements are therefore paired by their value: that is the exact map wherever values differ, and a comparison of
sorted gradients where they repeat (biases of zeros).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from k2t.errors import K2TError
from k2t.graph import Array
from k2t.verify.candidate import Candidate
from k2t.verify.loading import keras_reference
from k2t.verify.nodes import graph_of, nodes
from k2t.verify.parity import FLOAT64_LIMIT
from k2t.verify.recorder import as_numpy, flatten
from k2t.verify.reference import KerasReference

# Attributes of layers and modules that make training random.
NOISE = ("rate", "p", "stddev", "dropout", "recurrent_dropout")
# Gradients that are zero but for rounding, such as of a bias before BatchNormalization, are compared on this part of
# the largest gradient, that of the outputs included.
SMALL = 1e-6


@dataclass(frozen=True)
class State:
    """Variables of one layer: their values, and a gradient for each element (None: not trained)."""

    values: Array
    gradients: Array | None


@dataclass(frozen=True)
class TrainingRow:
    """One Keras layer.

    Attributes:
        parameters: elements that Keras trains.
        gradient: largest error of their gradients, relative to the largest gradient.
        state: largest error of what is not trained, after the step.
        problem: a difference in what is trained.
    """

    layer: str
    parameters: int
    gradient: float = 0.0
    state: float = 0.0
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether both errors are within the limit of float64."""
        return not self.problem and max(self.gradient, self.state) <= FLOAT64_LIMIT


@dataclass(frozen=True)
class Training:
    """The result: a row for each layer that has variables."""

    rows: tuple[TrainingRow, ...]

    @property
    def ok(self) -> bool:
        """Whether all layers agree."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def parameters(self) -> int:
        """Elements that Keras trains."""
        return sum(row.parameters for row in self.rows)


Layers = dict[str, list[State]]


def compare_training(
    net: str | Path, source: Any, *, weights: str | Path | None = None, seed: int = 0, batch: int = 3
) -> Training:
    """Gradients of a random linear function of the outputs, in training mode with all dropout off.

    Args:
        net: the emitted file; its weights lie beside it.
        source: what it was made from.

    Raises:
        K2TError: either side cannot be run.
    """
    candidate = Candidate(Path(net))
    reference = keras_reference(source, weights)
    specs, arrays = reference.inputs(seed, batch)
    directions = random_directions(reference, arrays, seed)
    expected = keras_step(reference, reference.fresh("float64"), arrays, directions)
    states = _torch_step(candidate, [spec.name for spec in specs], arrays, list(directions.values()))
    return compare_steps(_by_layer(candidate, states, list(expected)), expected, directions)


def random_directions(reference: KerasReference, arrays: list[Array], seed: int) -> dict[str, Array]:
    """The factors of the outputs in the linear function, by the name of the output."""
    rng = np.random.default_rng(seed)
    outputs = reference.run(arrays, "float64").outputs
    return {name: rng.standard_normal(array.shape) for name, array in outputs.items()}


def compare_steps(actual: Layers, expected: Layers, directions: dict[str, Array]) -> Training:
    """A row for each layer of `expected`."""
    trained = [state.gradients for made in expected.values() for state in made if state.gradients is not None]
    largest = max(float(np.abs(gradients).max(initial=0.0)) for gradients in (*trained, *directions.values()))
    return Training(tuple(_row(name, actual.get(name, []), expected[name], largest) for name in expected))


def keras_step(reference: KerasReference, model: Any, arrays: list[Array], directions: dict[str, Array]) -> Layers:
    """Every variable of a model of the reference after one backward pass in training mode."""
    import tensorflow as tf

    for layer in model._flatten_layers():
        _silence(layer)
    variables = list(_variables(model, ""))
    watched = [variable if reference.library.legacy else variable.value for _, variable in variables]

    def step(tensors: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = flatten(model(tensors, training=True))
            wide = {name: tf.cast(outputs[name], "float64") for name in directions}
            loss = sum(tf.reduce_sum(wide[name] * direction) for name, direction in directions.items())
        return tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    with reference.computing("float64"):
        compiler = reference.compiler(model)
        gradients = (compiler(step) if compiler else step)(reference.tensors(model, arrays))
    trained = {id(variable) for variable in model.trainable_variables}
    found: Layers = {}
    for (path, variable), gradient in zip(variables, gradients, strict=True):
        made = as_numpy(tf.convert_to_tensor(gradient)) if id(variable) in trained else None
        found.setdefault(path, []).append(State(as_numpy(variable), made))
    return found


def _variables(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """(path of the layer, variable) for every layer of the graph, nested models included, each once."""
    seen: set[int] = set()
    for node in nodes(model):
        layer = node.layer
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if graph_of(layer) is not None:
            yield from _variables(layer, f"{prefix}{layer.name}/")
        else:
            floats = (variable for variable in getattr(layer, "weights", ()) if "float" in str(variable.dtype))
            yield from ((f"{prefix}{layer.name}", variable) for variable in floats)


def _torch_step(
    candidate: Candidate, names: list[str], arrays: list[Array], directions: list[Array]
) -> dict[str, State]:
    """Every entry of the state dict after one backward pass in training mode."""
    import torch

    model = candidate.load().to(torch.float64).train()
    for module in model.modules():
        _silence(module)
    inputs = candidate.tensors(names, arrays, "float64")
    for tensor in inputs:  # GroupNorm of PyTorch 2.13 crashes on channels-last tensors without gradients
        tensor.requires_grad_(tensor.is_floating_point())
    outputs = list(flatten(model(*inputs)).values())
    loss = torch.zeros((), dtype=torch.float64)
    for output, direction, port in zip(outputs, directions, candidate.outputs, strict=True):
        ordered = direction.transpose(port.permute) if port.permute else direction
        loss = loss + (output * torch.from_numpy(np.ascontiguousarray(ordered))).sum()
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    found = {}
    for key, tensor in (*model.named_parameters(), *model.named_buffers()):
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        found[key] = State(tensor.detach().numpy(), gradient.numpy() if tensor.requires_grad else None)
    return found


def _by_layer(candidate: Candidate, states: dict[str, State], layers: list[str]) -> Layers:
    """The state dict by Keras layer.

    Raises:
        K2TError: something is trained that Keras does not know.
    """
    found: dict[str, list[State]] = defaultdict(list)
    for key, variables in json.loads(candidate.metadata["k2t.weights"]).items():
        around = [layer for layer in layers for variable in variables if variable.startswith(f"{layer}/")]
        if around:
            found[max(around, key=len)].append(states[key])
        elif states[key].gradients is not None:
            raise K2TError(f"{candidate.net}: {key} is trained, and no Keras variable of the reference is behind it")
    return found


def _row(layer: str, actual: list[State], expected: list[State], largest: float) -> TrainingRow:
    counts = [sum(s.values.size for s in states if s.gradients is not None) for states in (actual, expected)]
    if counts[0] != counts[1]:
        return TrainingRow(layer, counts[1], problem=f"trains {counts[0]} elements, Keras {counts[1]}")
    (values, gradients), (wanted_values, wanted) = (_sorted(states, trained=True) for states in (actual, expected))
    scale = max(float(np.abs(wanted).max(initial=0.0)), SMALL * largest) or 1.0
    gradient = max(_error(values, wanted_values), float(np.abs(gradients - wanted).max(initial=0.0)) / scale)
    state = _error(_sorted(actual, trained=False)[0], _sorted(expected, trained=False)[0])
    return TrainingRow(layer, counts[1], gradient, state)


def _sorted(states: list[State], *, trained: bool) -> tuple[Array, Array]:
    """Values and gradients of a layer's elements, in the order of the values, then of the gradients."""
    chosen = [state for state in states if (state.gradients is not None) == trained]
    values = np.concatenate([[], *(state.values.ravel() for state in chosen)])
    gradients = np.concatenate([[], *(s.gradients.ravel() for s in chosen if s.gradients is not None)])
    order = np.lexsort((gradients, values)) if trained else np.argsort(values)
    return values[order], gradients[order] if trained else gradients


def _error(actual: Array, expected: Array) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    return float(np.abs(actual - expected).max(initial=0.0)) / (float(np.abs(expected).max(initial=0.0)) or 1.0)


def _silence(layer: Any) -> None:
    """Switch off what is random in training."""
    for name in NOISE:
        if isinstance(vars(layer).get(name), float):
            setattr(layer, name, 0.0)
