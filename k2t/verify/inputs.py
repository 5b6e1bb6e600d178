"""Random inputs that a network can take: tokens in the range of their Embedding, masked steps, sizes that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from k2t.graph import Array, Shape
from k2t.verify.nodes import graph_of, input_names, nodes, producer

# Unknown sizes, tried in this order: small and odd, then multiples of what networks stride by.
SIZES = (
    (7, 9, 11),
    (33, 39, 45),
    (45, 51, 57),
    (32, 64, 96),
    (64, 96, 32),
    (75, 107, 139),
    (128, 160, 96),
    (224,) * 3,
    (256,) * 3,
)

# Layers that hand their input's values on, so that tokens stay tokens.
PASS_THROUGH = {
    *(
        "Activation",
        "ActivityRegularization",
        "Concatenate",
        "Cropping1D",
        "Dropout",
        "Flatten",
        "GetItem",
        "InputLayer",
    ),
    *("Masking", "Permute", "RepeatVector", "Reshape", "SlicingOpLambda", "SpatialDropout1D", "ZeroPadding1D", "Cast"),
}


@dataclass
class InputSpec:
    """An input of the model and what its values must be.

    Attributes:
        name: Keras's name of it.
        shape: in Keras's order, batch included, None where unknown.
        dtype: Keras's name of it.
        tokens: values are integers below this, 0 where they need not be.
        mask_value: a value that marks a step as masked, None where nothing is masked.
        words: what inputs of strings hold.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    tokens: int = 0
    mask_value: float | None = None
    words: tuple[str, ...] = ("apple", "Pear", "")


@dataclass
class _Demand:
    tokens: int = 0
    mask_value: float | None = None
    words: tuple[str, ...] = ()


def specs(model: Any) -> list[InputSpec]:
    """The inputs of a live model, in its order."""
    demands = _demands(model)
    found = []
    for index, (name, tensor) in enumerate(zip(input_names(model), model.inputs, strict=True)):
        demand = demands.get(index, _Demand())
        dtype = str(getattr(tensor.dtype, "name", tensor.dtype))
        words = demand.words + InputSpec.words
        found.append(InputSpec(name, tuple(tensor.shape), dtype, demand.tokens, demand.mask_value, words))
    return found


def _demands(model: Any) -> dict[int, _Demand]:
    """Input index -> what the Embedding and Masking layers behind it need, nested models included."""
    demands: dict[int, _Demand] = {}
    for node in nodes(model):
        inner = getattr(node.layer, "layer", node.layer)  # TimeDistributed of an Embedding or of a model
        if type(inner).__name__ in ("Embedding", "ReversibleEmbedding"):
            needs = {0: _Demand(int(inner.input_dim), 0.0 if inner.mask_zero else None)}
        elif type(inner).__name__ == "Masking":
            needs = {0: _Demand(0, float(inner.mask_value))}
        elif type(inner).__name__ in ("StringLookup", "TextVectorization"):
            needs = {0: _Demand(words=_words(inner))}
        elif graph_of(inner) is not None:
            needs = _demands(inner)
        else:
            needs = _inside(inner, node.inputs)
        for index, need in needs.items():
            if index < len(node.inputs):
                _trace_back(model, node.inputs[index], need, demands)
    return demands


def _words(layer: Any) -> tuple[str, ...]:
    """Words that a layer knows, and texts of these; most of the others are unknown to it."""
    known = [] if getattr(layer, "invert", False) else [str(word) for word in layer.get_vocabulary()[:100]]
    texts = [" ".join(known[start : start + 4]) for start in range(0, len(known), 4)]
    return (*known, *(texts if type(layer).__name__ == "TextVectorization" else ()))


def _inside(layer: Any, inputs: Sequence[Any]) -> dict[int, _Demand]:
    """What a custom layer or model needs that looks things up: tokens, in inputs that can be such."""
    inside = layer._flatten_layers() if hasattr(layer, "_flatten_layers") else ()  # operations have no layers
    sizes = [int(part.input_dim) for part in inside if type(part).__name__ == "Embedding"]
    few = [index for index, tensor in enumerate(inputs) if len(tensor.shape) <= 2]
    return {index: _Demand(min(sizes)) for index in few} if sizes else {}


def _trace_back(model: Any, tensor: Any, need: _Demand, demands: dict[int, _Demand]) -> None:
    for index, symbolic in enumerate(model.inputs):
        if symbolic is tensor:
            known = demands.setdefault(index, _Demand())
            known.tokens = min(filter(None, (known.tokens, need.tokens)), default=0)
            known.words += need.words
            known.mask_value = need.mask_value if known.mask_value is None else known.mask_value
            return
    found = producer(model, tensor)
    if found is not None and type(found[0].layer).__name__ in PASS_THROUGH:
        for source in found[0].inputs:
            _trace_back(model, source, need, demands)


def sizes(found: Sequence[InputSpec]) -> Iterator[tuple[int, ...]]:
    """Choices for the unknown axes after the batch; a single empty one where all are known."""
    unknown = any(size is None for spec in found for size in spec.shape[1:])
    sequence = all(len(spec.shape) < 4 for spec in found)
    yield from (SIZES if sequence else SIZES[1:]) if unknown else ((),)


def generate(spec: InputSpec, size: tuple[int, ...], batch: int, rng: np.random.Generator) -> Array:
    """Values for one input: normal floats, rounded to float32; integers where the network looks them up."""
    shape = [spec.shape[0] or batch]
    shape += [known or size[min(axis, len(size) - 1)] for axis, known in enumerate(spec.shape[1:])]
    if spec.dtype == "string":
        return rng.choice(np.array(spec.words, object), shape)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if spec.tokens or not _is_float(spec.dtype):
        low = 1 if spec.tokens > 1 and spec.mask_value is not None else 0
        array: Array = rng.integers(low, max(spec.tokens or 10, low + 1), shape)
    else:
        array = rng.standard_normal(shape)
    if spec.mask_value is not None and len(shape) > 1:
        array[_masked(shape[0], shape[1])] = spec.mask_value
    return array.astype(np.float32 if _is_float(spec.dtype) else spec.dtype)


def _masked(batch: int, steps: int) -> Array:
    """(batch, steps), True where masked: the first row not at all, then at the end, at the start, in the middle."""
    masked = np.zeros((batch, steps), bool)
    third = max(steps // 3, 1) if steps > 1 else 0
    for row in range(1, batch):
        start = (steps - third, 0, third)[(row - 1) % 3]
        masked[row, start : start + third] = True
    return masked


def _is_float(dtype: str) -> bool:
    return "float" in dtype
