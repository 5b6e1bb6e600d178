"""How far Keras's own results move when every number in the model moves by the least.

Each weight, each input, and whatever a layer returns becomes itself or a number next to it, as rounding may leave
it; so do the gradients that go back through the layer. What moves the results of the reference as far as those of
another program differ says nothing about that program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import parity

from k2t.verify.loading import keras_reference
from k2t.verify.training import compare_steps, keras_step, random_directions

# How often the model is run so.
SHAKES = 8
UNIT = np.finfo("float64").eps


def shaken(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each number or one next to it in float64; 0, which may be masked, stays."""
    return array * (1 + UNIT * rng.integers(-1, 2, array.shape)) if array.dtype.kind == "f" else array


@contextmanager
def shaken_layers(model: Any, rng: np.random.Generator) -> Iterator[None]:
    """Within it, what the layers of a model return is shaken, masks and whole numbers excepted."""
    layers = [layer for layer in model._flatten_layers() if layer is not model]
    before = [vars(layer).get("call") for layer in layers]
    for layer in layers:
        vars(layer)["call"] = shaking(layer.call, int(rng.integers(2**31)))
    try:
        yield
    finally:
        for layer, call in zip(layers, before, strict=True):
            if call is None:
                del vars(layer)["call"]
            else:
                vars(layer)["call"] = call


def shaking(call: Callable[..., Any], seed: int) -> Callable[..., Any]:
    """The method of a layer, with its outputs shaken."""
    import tensorflow as tf

    def moved(x: Any) -> Any:
        if getattr(x, "dtype", None) != tf.float64:
            return x
        steps = tf.random.stateless_uniform(tf.shape(x), (seed, 0), -1, 2, tf.int32)
        y = x * (1 + UNIT * tf.cast(steps, tf.float64))
        if (mask := getattr(x, "_keras_mask", None)) is not None:
            y._keras_mask = mask
        return y

    @functools.wraps(call)
    def shaken_call(*args: Any, **kwargs: Any) -> Any:
        return tf.nest.map_structure(moved, call(*args, **kwargs))

    return shaken_call


def moved_outputs(model: Any, inputs: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """What Keras computes so."""
    weights = model.get_weights()
    for seed in range(SHAKES):
        rng = np.random.default_rng(seed)
        model.set_weights([shaken(array, rng) for array in weights])
        with shaken_layers(model, rng):
            yield parity.reference(model, [shaken(array, rng) for array in inputs])
    model.set_weights(weights)


def moved_gradients(source: Any) -> float:
    """How far the gradients of Keras move."""
    reference = keras_reference(source)
    inputs = reference.inputs(0, 3)[1]
    directions = random_directions(reference, inputs, 0)
    before = keras_step(reference, reference.fresh("float64"), inputs, directions)
    found = []
    for seed in range(SHAKES):
        rng, model = np.random.default_rng(seed), reference.fresh("float64")
        model.set_weights([shaken(array, rng) for array in model.get_weights()])
        with shaken_layers(model, rng):
            after = keras_step(reference, model, [shaken(array, rng) for array in inputs], directions)
        found += [row.gradient for row in compare_steps(after, before, directions).rows]
    return max(found)
