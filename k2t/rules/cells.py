"""What one step of a recurrent layer computes, as a module that computes all steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from k2t.graph import Array, Layer
from k2t.program import Module, Value, Weight
from k2t.rules.base import size
from k2t.rules.builder import Builder
from k2t.rules.callables import function_of

# The order of gates in PyTorch's weights, in terms of Keras's.
GATES = {"RNN": (0,), "LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2)}


@dataclass(frozen=True)
class Cell:
    """One cell of a recurrent layer.

    Attributes:
        kind: RNN, LSTM or GRU, as PyTorch names the layer.
        path: where its variables are below the layer.
        reset_after: whether a GRU's reset gate acts after the multiplication, as PyTorch's does.
        layer: the cell inside RNN, None where the layer itself says how its variables start.
    """

    kind: str
    path: str
    units: int
    activation: Any = "tanh"
    recurrent_activation: Any = "sigmoid"
    use_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    reset_after: bool = True
    layer: Layer | None = None

    @property
    def states(self) -> int:
        """How many tensors it remembers."""
        return 2 if self.kind == "LSTM" else 1

    def state_shape(self, batch: int | None, leading: bool) -> tuple[int | None, ...]:
        """The shape of a state, where PyTorch's layer takes it with an axis for the directions in front."""
        return (1, batch, self.units) if leading and self.in_torch else (batch, self.units)

    @property
    def in_torch(self) -> bool:
        """Whether PyTorch has this layer."""
        usual = ("tanh", "relu") if self.kind == "RNN" else ("tanh",)
        gates = self.kind == "RNN" or self.recurrent_activation == "sigmoid"
        return self.activation in usual and gates and self.reset_after and not self.recurrent_dropout

    def weights(self, b: Builder, features: int, suffix: str = "_l0") -> dict[str, Weight | None]:
        """Keras's variables under PyTorch's names.

        PyTorch adds two biases. Where Keras has one, the other is a constant zero.
        """
        gates = len(GATES[self.kind])
        kernel = b.variable(f"{self.path}/kernel", (features, gates * self.units), cell=self.layer)
        recurrent = b.variable(f"{self.path}/recurrent_kernel", (self.units, gates * self.units), cell=self.layer)
        found: dict[str, Weight | None] = {
            f"weight_ih{suffix}": b.weight(kernel, transform=self.turned),
            f"weight_hh{suffix}": b.weight(recurrent, transform=self.turned),
        }
        if not self.use_bias:
            return found
        two = self.kind == "GRU" and self.reset_after
        length = gates * self.units
        bias = b.variable(f"{self.path}/bias", (2, length) if two else (length,), cell=self.layer)
        first: Callable[..., Array] = (lambda array: self.ordered(array[0])) if two else self.ordered
        zero = Weight((), partial(np.zeros, length, np.float32), trainable=False, dtype="float32")
        found[f"bias_ih{suffix}"] = b.weight(bias, transform=first)
        found[f"bias_hh{suffix}"] = b.weight(bias, transform=lambda array: self.ordered(array[1])) if two else zero
        return found

    def ordered(self, array: Array) -> Array:
        """Gates along the last axis in PyTorch's order."""
        order = GATES[self.kind]
        if order == tuple(range(len(order))):
            return array
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    def turned(self, array: Array) -> Array:
        """(in, gates * units) -> (gates * units, in)."""
        return self.ordered(array).T

    def options(self, b: Builder) -> dict[str, Any]:
        """The arguments of a local class, where they are not the defaults."""
        options: dict[str, Any] = {} if self.use_bias else {"bias": False}
        if self.activation != "tanh":
            options["activation"] = function_of(b, self.activation)
        if self.kind != "RNN" and self.recurrent_activation != "sigmoid":
            options["recurrent_activation"] = function_of(b, self.recurrent_activation)
        if self.recurrent_dropout:
            options["recurrent_dropout"] = self.recurrent_dropout
        return options

    def in_loop(self, b: Builder, x: Value, role: str) -> Module:
        """A local class that loops over the steps and takes a mask."""
        features = size(x, -1)
        name = f"Loop{self.kind}" if self.reset_after else "ResetBeforeGRU"
        return b.module(name, features, self.units, role=role, weights=self.weights(b, features), **self.options(b))


def torch_module(b: Builder, x: Value, cells: dict[str, tuple[Cell, Builder]], role: str) -> Module:
    """nn.LSTM, nn.GRU or nn.RNN with one or two directions.

    Args:
        cells: the suffix of the weights' names -> the cell, and the builder of the layer that has its variables.
    """
    features = size(x, -1)
    cell = next(iter(cells.values()))[0]
    weights: dict[str, Weight | None] = {}
    for suffix, (own, builder) in cells.items():
        weights |= own.weights(builder, features, suffix)
    options: dict[str, Any] = {"nonlinearity": "relu"} if cell.activation == "relu" else {}
    options |= {} if cell.use_bias else {"bias": False}
    options |= {"bidirectional": True} if len(cells) == 2 else {}
    return b.module(f"nn.{cell.kind}", features, cell.units, role=role, weights=weights, batch_first=True, **options)
