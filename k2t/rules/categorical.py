"""Categories: encodings, bins, vocabularies of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.base import Example, example, refuse, require, rule
from k2t.rules.builder import Builder

MODES = ("int", "one_hot", "multi_hot", "count")


def encode(b: Builder, x: Value, mode: str, depth: int, weights: Value | None = None) -> Value:
    """Indices as vectors of `depth` numbers: one for each index, or for each sample."""
    if mode == "int":
        return x
    if mode == "one_hot" and x.rank > 1 and x.shape[-1] == 1:
        x = b.call(".squeeze", x, -1, shape=x.shape[:-1], layout="keras")
    shape, dtype = (*x.shape, depth), b.layer.dtype if "float" in b.layer.dtype else "float32"
    y = b.call(b.module("OneHot", depth), x, shape=shape, dtype=dtype, layout="keras")
    if mode == "one_hot":
        return y
    if x.rank > 2:
        raise UntranslatableError(f"output_mode={mode!r} of an input of shape {x.shape} is not supported")
    if weights is not None:
        column = b.call("[]", weights, (..., None), shape=(*weights.shape, 1), layout="keras")
        y = b.call("*", y, column, layout="keras")
    method = ".sum" if mode == "count" else ".amax"
    return b.call(method, y, x.rank - 1, shape=(*x.shape[:-1], depth), layout="keras")


@rule(
    "CategoryEncoding",
    examples=[
        Example(((4,),), {"num_tokens": 6}, integers=6),
        Example(((4,),), {"num_tokens": 6, "output_mode": "one_hot"}, integers=6),
        Example(((1,),), {"num_tokens": 6, "output_mode": "one_hot"}, integers=6),
        Example(((4,),), {"num_tokens": 6, "output_mode": "count"}, integers=6),
    ],
)
def category_encoding(
    b: Builder,
    x: Value,
    *,
    num_tokens: int,
    output_mode: str = "multi_hot",
    sparse: bool = False,
    count_weights: Value | None = None,
) -> Value:
    """A local module: ones where an index is, and their sum or maximum."""
    mode = "multi_hot" if output_mode == "binary" else output_mode
    require(mode, MODES[1:], "output_mode")
    return encode(b, x, mode, num_tokens, count_weights)


@rule(
    "Discretization",
    examples=[
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7]),
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7], output_mode="one_hot"),
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7], output_mode="count"),
        example((5,), bin_boundaries=[-0.5, 0.0, 0.7], output_mode="multi_hot"),
    ],
)
def discretization(
    b: Builder,
    x: Value,
    *,
    bin_boundaries: list[float] | None = None,
    num_bins: int | None = None,
    epsilon: float = 0.01,
    output_mode: str = "int",
    sparse: bool = False,
) -> Value:
    """torch.bucketize."""
    require(output_mode, MODES, "output_mode")
    if bin_boundaries is None:
        raise UntranslatableError("has no bin_boundaries: adapt it to data before saving")
    bounds = b.constant("boundaries", np.asarray(bin_boundaries, np.float32).astype(np.float64))
    indices = b.call("discretize", x, bounds, shape=x.shape, dtype="int64", layout="keras")
    return encode(b, indices, output_mode, len(bin_boundaries) + 1)


@rule(
    "IntegerLookup",
    examples=[
        Example(((4,),), {"vocabulary": [3, 5, 1]}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "mask_token": 0}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "output_mode": "multi_hot"}, integers=7),
        Example(((1,),), {"vocabulary": [3, 5, 1], "output_mode": "one_hot"}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "output_mode": "count"}, integers=7),
    ],
)
def integer_lookup(
    b: Builder,
    x: Value,
    *,
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    vocabulary: Any = None,
    vocabulary_dtype: str = "int64",
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    sparse: bool = False,
    pad_to_max_tokens: bool = False,
    vocabulary_size: int | None = None,
    has_input_vocabulary: bool | None = None,
    encoding: str = "utf-8",
    oov_method: str | None = None,
    salt: Any = None,
) -> Value:
    """A comparison with the vocabulary."""
    require(output_mode, MODES, "output_mode")
    require(num_oov_indices, (1,), "num_oov_indices")
    require(invert, (False,), "invert")
    if not isinstance(vocabulary, list):
        raise UntranslatableError("its vocabulary is not in the configuration; give it one with vocabulary=[...]")
    missing = 1 if mask_token is not None and output_mode == "int" else 0
    words = b.constant("vocabulary", np.asarray(vocabulary, np.int64))
    y = b.call("look_up", x, words, missing + 1, missing, shape=x.shape, dtype="int64", layout="keras")
    if mask_token is not None:
        hidden = b.call("==", x, mask_token, dtype="bool", layout="keras")
        y = b.call(".masked_fill", y, hidden, 0 if output_mode == "int" else -1, shape=y.shape, layout="keras")
    depth = max_tokens if pad_to_max_tokens and max_tokens else len(vocabulary) + 1
    return encode(b, y, output_mode, depth)


STRINGS = "works on strings or on hashes of them, which tensors of PyTorch do not hold; do that part before the network"
for _kind in ("Hashing", "HashedCrossing", "StringLookup", "TextVectorization"):
    refuse(_kind, STRINGS)
