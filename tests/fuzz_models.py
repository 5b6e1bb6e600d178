"""Random Keras models: layers, shared layers, models in models, operations, masks, several inputs and outputs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from fuzz_calls import ACTIONS
from fuzz_layers import ACTIVATIONS, BY_RANK, COMMON

from k2t.program import leaves

# What Keras raises for a layer that does not fit its input, or that it does not have.
REJECTED = (ValueError, TypeError, NotImplementedError, AttributeError, IndexError, KeyError)
# Integer inputs hold numbers below this.
TOKENS = 5
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16", "float16")


class Maker:
    """Makes one random model.

    Attributes:
        keras: Keras 3 or tf-keras.
        random: where all choices come from.
        shared: layers made before, by the shape of their input, which may be called again.
        models: models called before, by the shape of their input.
        floatx: the dtype of the inputs.
        policies: dtype policies that layers may have, besides the global one.
    """

    def __init__(self, keras: Any, seed: int, floatx: str = "float64", policies: tuple[str, ...] = ()) -> None:
        self.keras = keras
        self.layers = keras.layers
        self.keras_3 = keras.__version__.startswith("3")
        self.random = random.Random(seed)
        self.shared: dict[tuple[int | None, ...], list[Any]] = {}
        self.models: list[tuple[tuple[int | None, ...], Any]] = []
        self.floatx = floatx
        self.policies = policies

    def choose(self, *items: Any) -> Any:
        return self.random.choice(items)

    def maybe(self, probability: float = 0.5) -> bool:
        return self.random.random() < probability

    def like(self, x: Any, tensors: list[Any], any_shape: float = 0.0) -> Any:
        """A tensor of the shape of `x`; with the probability `any_shape`, one of as many axes."""
        if self.maybe(any_shape):
            return self.choose(*[other for other in tensors if len(other.shape) == len(x.shape)], x)
        return self.choose(*[other for other in tensors if tuple(other.shape) == tuple(x.shape)], x)

    def shape(self) -> tuple[int | None, ...]:
        """The shape of an input."""
        rank = self.choose(1, 2, 2, 2, 3, 3, 3, 4)
        sizes: list[int | None] = [self.random.randint(5, 9) for _ in range(rank - 1)]
        if rank in (2, 3) and self.maybe(0.25):
            sizes = [None] * (rank - 1)
        return (*sizes, self.random.randint(1, 5))

    def model(self) -> Any:
        """A model with branches, or a chain."""
        if self.maybe(0.1):
            return self.chain()
        batch = {"batch_size": 3} if self.maybe(0.1) else {}
        inputs = [self.input(batch) for _ in range(self.choose(1, 1, 1, 1, 2, 2, 3))]
        tensors = [self.entered(x) for x in inputs]
        self.grow(tensors, self.random.randint(2, 10))
        return self.keras.Model(self.packed(inputs), self.packed(self.ends(tensors, len(inputs))))

    def input(self, batch: dict[str, int]) -> Any:
        if self.maybe(0.15):
            return self.keras.Input((self.choose(6, 7, None),), dtype="int32", **batch)
        return self.keras.Input(self.shape(), **batch)

    def entered(self, x: Any) -> Any:
        """An input as real numbers, perhaps with a mask."""
        if "int" in str(x.dtype):
            return self.layers.Embedding(TOKENS, self.choose(2, 3, 4), mask_zero=self.maybe())(x)
        return self.layers.Masking()(x) if len(x.shape) == 3 and self.maybe(0.4) else x

    def chain(self) -> Any:
        """A Sequential model that begins with its input, or is built afterwards."""
        shape = (None, *self.shape())
        model, x = self.keras.Sequential(), self.keras.Input(shape[1:])
        if declared := self.maybe():
            model.add(x)
        for _ in range(self.random.randint(1, 6)):
            with self.policy():
                layer = self.layer(x.shape)
            y = self.accepted(partial(layer, x), x) if layer is not None else []
            if len(y) == 1:
                model.add(layer)
                x = y[0]
        if not model.layers:
            model.add(self.layers.Dense(2))
        if not declared:
            model(np.zeros((3, *(size or 17 for size in shape[1:]))))
        return model

    def grow(self, tensors: list[Any], steps: int) -> None:
        """So many more layers, each on the last tensor or on one before; what does not fit is tried again."""
        for _ in range(steps):
            x = self.choose(*tensors) if self.maybe(0.3) else tensors[-1]
            tensors += self.step(x, tensors) or self.step(x, tensors) or self.step(x, tensors)

    def step(self, x: Any, tensors: list[Any]) -> list[Any]:
        """What one more layer makes of `x`; nothing where the one chosen does not fit."""
        if self.maybe(0.35):
            action = self.choose(*ACTIONS)
            return self.accepted(lambda: action(self, x, tensors), x)
        known = self.shared.get(tuple(x.shape))
        if known and self.maybe(0.15):
            return self.accepted(lambda: self.choose(*known)(x), x)
        with self.policy():
            layer = self.layer(x.shape)
        if layer is None:
            return []
        made = self.accepted(lambda: layer(x), x)
        if made:
            self.shared.setdefault(tuple(x.shape), []).append(layer)
        return made

    def accepted(self, call: Any, x: Any) -> list[Any]:
        """The tensors that a call returns, where Keras takes it and none is too large."""
        try:
            made = [y for y in leaves(call()) if y is not None]
        except REJECTED:
            return []
        return [y for y in made if self.usable(y, x)]

    def usable(self, y: Any, x: Any) -> bool:
        shape = tuple(y.shape)
        if not shape or len(shape) > 6 or shape[0] != x.shape[0]:
            return False
        return all(n is None or n > 0 for n in shape) and np.prod([n or 1 for n in shape]) <= 4000

    def ends(self, tensors: list[Any], inputs: int) -> list[Any]:
        """The outputs: the last tensor, perhaps others."""
        ends = [tensors[-1]]
        while self.maybe(0.3):
            ends.append(self.choose(*tensors))
        if inputs > 1:
            ends.append(self.layers.Dense(2)(tensors[1]))
        return ends

    def packed(self, tensors: list[Any]) -> Any:
        """One tensor, or several in a list, a tuple or a dict."""
        if len(tensors) == 1 and self.maybe(0.9):
            return tensors[0]
        names = {f"part_{name}": x for name, x in zip("abcdefgh", tensors, strict=False)}
        return self.choose(tensors, tensors, tuple(tensors), names)

    def inner_model(self, *shapes: Any) -> Any:
        """A model that other models call, or None."""
        inputs = [self.keras.Input(shape[1:]) for shape in shapes]
        around, self.shared, models, self.models = self.shared, {}, self.models, []
        tensors = list(inputs)
        self.grow(tensors, self.random.randint(1, 4))
        self.shared, self.models = around, models
        if any(tensors[-1] is x for x in inputs):
            return None
        ends = [tensors[-1]]
        if len(inputs) > 1:
            ends.append(self.layers.Dense(2)(inputs[1]))
        return self.keras.Model(inputs if len(inputs) > 1 else inputs[0], ends if len(ends) > 1 else ends[0])

    def layer(self, shape: tuple[int | None, ...]) -> Any:
        """A random layer for tensors of this shape, the batch axis included; None where the one chosen does not fit."""
        try:
            return self.choose(*COMMON, *BY_RANK.get(len(shape), []))(self, shape)
        except REJECTED:
            return None

    @contextmanager
    def policy(self) -> Iterator[None]:
        """Now and then, what is made within has another dtype policy than the rest."""
        if not self.policies or self.maybe(0.7):
            yield
            return
        policies = self.keras.mixed_precision
        before = policies.dtype_policy() if self.keras_3 else policies.global_policy()
        change = policies.set_dtype_policy if self.keras_3 else policies.set_global_policy
        change(self.choose(*self.policies))
        try:
            yield
        finally:
            change(before)

    def activation(self) -> Any:
        return self.choose(*ACTIVATIONS)

    def conv_options(self, rank: int) -> dict[str, Any]:
        """Kernel, strides or dilation, padding."""
        kernel = [self.choose(1, 2, 3, 3, 4) for _ in range(rank)]
        options: dict[str, Any] = {"kernel_size": kernel, "padding": self.choose("same", "same", "valid")}
        if rank == 1 and self.maybe(0.2):
            options["padding"] = "causal"
        if self.maybe(0.4):
            options["strides"] = self.choose(2, 3) if self.maybe() else [self.choose(1, 2)] * rank
        elif self.maybe(0.3):
            options["dilation_rate"] = 2
        return options
