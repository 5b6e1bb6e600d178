"""Attention with several heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array
from k2t.program import Module, Size, Value, Variable, Weight
from k2t.rules.attention_masks import Seen, mask_of
from k2t.rules.base import Example, example, require, rule, size
from k2t.rules.builder import Builder
from k2t.rules.masks import live_mask
from k2t.rules.normalization import inverse, permuted

# The projections that PyTorch's modules make in one product.
JOINED = ("query", "key", "value")


@dataclass(frozen=True)
class Heads:
    """Sizes of a multi-head attention.

    Attributes:
        query: number of query heads.
        key_value: number of heads of keys and values.
        key_size, value_size: features of one head.
        outputs: features of the output.
        penalty: what is added to the scores of hidden values; None, as in Keras 3: these do not count at all.
    """

    query: int
    key_value: int
    key_size: int
    value_size: int
    outputs: tuple[int, ...]
    bias: bool
    gate: bool
    dropout: float
    penalty: float | None = None


def into_heads(array: Array) -> Array:
    """(in, heads, size) -> (heads * size, in)."""
    return array.reshape(array.shape[0], -1).T


def out_of_heads(array: Array) -> Array:
    """(heads, size, ...) -> (out, heads * size)."""
    return array.reshape(array.shape[0] * array.shape[1], -1).T


def flat(array: Array) -> Array:
    """A bias of one axis."""
    return array.reshape(-1)


Projections = dict[str, tuple[Variable, Variable | None]]


def projections(b: Builder, inputs: tuple[Value, Value, Value], heads: Heads) -> Projections:
    """Kernel and bias of each projection, declared in Keras's order."""
    query, key, value = (size(x, -1) for x in inputs)
    shapes = {
        "query": (query, heads.query, heads.key_size),
        "key": (key, heads.key_value, heads.key_size),
        "gate": (query, heads.query, heads.value_size),
        "value": (value, heads.key_value, heads.value_size),
        "output": (heads.query, heads.value_size, *heads.outputs),
    }
    if not heads.gate:
        del shapes["gate"]
    made: Projections = {}
    for name, shape in shapes.items():
        summed = 2 if name == "output" else 1
        fans = prod(shape[:summed]), prod(shape[summed:])
        kernel = b.variable(f"{name}_dense/kernel", shape, fans=fans)
        bias_shape = heads.outputs if name == "output" else shape[1:]
        made[name] = kernel, b.variable(f"{name}_dense/bias", bias_shape) if heads.bias else None
    return made


def stacked(*arrays: Array) -> Array:
    """Kernels of query, key and value, one below the other."""
    return np.concatenate([into_heads(array) for array in arrays])


def joined(*arrays: Array) -> Array:
    """Biases of query, key and value, one after the other."""
    return np.concatenate([flat(array) for array in arrays])


def joined_bias_and_output(b: Builder, made: Projections, joint: str, output: str) -> dict[str, Weight | None]:
    """One bias for queries, keys and values, named `joint`, and the weights of the layer `output`."""
    biases = [bias for name in JOINED if (bias := made[name][1])]
    kernel, bias = made["output"]
    return {
        joint: b.weight(*biases, transform=joined) if biases else None,
        f"{output}.weight": b.weight(kernel, transform=out_of_heads),
        f"{output}.bias": b.weight(bias, transform=flat) if bias else None,
    }


def torch_module(b: Builder, made: Projections, heads: Heads, features: tuple[int, int, int]) -> Module:
    """nn.MultiheadAttention."""
    kernels = [made[name][0] for name in JOINED]
    weights: dict[str, Weight | None] = {}
    if len(set(features)) == 1:
        weights["in_proj_weight"] = b.weight(*kernels, transform=stacked)
    else:
        for name, kernel in zip("qkv", kernels, strict=True):
            weights[f"{name}_proj_weight"] = b.weight(kernel, transform=into_heads)
    weights |= joined_bias_and_output(b, made, "in_proj_bias", "out_proj")
    options: dict[str, Any] = {"dropout": heads.dropout} if heads.dropout else {}
    options |= {} if heads.bias else {"bias": False}
    options |= {} if len(set(features)) == 1 else {"kdim": features[1], "vdim": features[2]}
    return b.module("nn.MultiheadAttention", features[0], heads.query, weights=weights, batch_first=True, **options)


def self_attention(b: Builder, made: Projections, heads: Heads, features: int) -> Module:
    """The local class for queries, keys and values that are made of one tensor."""
    weights: dict[str, Weight | None] = {"qkv.weight": b.weight(*(made[name][0] for name in JOINED), transform=stacked)}
    weights |= joined_bias_and_output(b, made, "qkv.bias", "proj")
    options: dict[str, Any] = {} if heads.bias else {"bias": False}
    options |= {"dropout": heads.dropout} if heads.dropout else {}
    return b.module("SelfAttention", features, heads.query, heads.key_size, weights=weights, **options)


def local_module(b: Builder, made: Projections, heads: Heads, features: tuple[int, int, int], scores: bool) -> Module:
    """The local class, which has all options of Keras."""
    call = "MultiHeadAttentionWithScores" if scores else "MultiHeadAttention"
    weights: dict[str, Weight | None] = {}
    for name, (kernel, bias) in made.items():
        weights[f"{name}.weight"] = b.weight(kernel, transform=out_of_heads if name == "output" else into_heads)
        weights[f"{name}.bias"] = b.weight(bias, transform=flat) if bias else None
    options: dict[str, Any] = {} if heads.key_value == heads.query else {"kv_heads": heads.key_value}
    options |= {} if heads.bias else {"bias": False}
    options |= {"gate": True} if heads.gate else {}
    options |= {"dropout": heads.dropout} if heads.dropout else {}
    sizes = heads.key_size, heads.value_size
    return b.module(call, features, heads.query, sizes, prod(heads.outputs), weights=weights, **options)


def attend(b: Builder, inputs: tuple[Value, Value, Value], heads: Heads, seen: Seen, scores: bool) -> Any:
    """Multi-head attention of sequences (N, T, features): query, key and value."""
    query, key, value = inputs
    features = size(query, -1), size(key, -1), size(value, -1)
    made = projections(b, inputs, heads)
    shape = (*query.shape[:-1], prod(heads.outputs))
    simple = heads.key_size == heads.value_size and heads.query == heads.key_value and not heads.gate
    mask = None if seen.only_causal and not scores else mask_of(b, seen, query, value)
    if simple and heads.outputs == features[:1] and query.rank == 3 and mask is None and not scores:
        if query is key is value and not b.parts.shared:
            options: dict[str, Any] = {"causal": True} if seen.causal else {}
            module = self_attention(b, made, heads, features[0])
            return b.call(module, query, shape=shape, layout="keras", **options)
        if heads.query * heads.key_size == features[0] and not seen.causal:
            y = b.value(shape, query.dtype)
            b.calls(torch_module(b, made, heads, features), *inputs, outputs=(y, None), need_weights=False)
            return y
    # the backward pass of a fused attention loses the weights where a penalty is added to all scores of a query
    explicit = scores or (mask is not None and (heads.penalty is not None or heads.dropout > 0))
    module = local_module(b, made, heads, features, explicit)
    options = {"mask": mask} if mask else {"causal": True} if seen.causal else {}
    if not explicit:
        return b.call(module, *inputs, shape=shape, dtype=query.dtype, layout="keras", **options)
    options |= {"penalty": heads.penalty} if mask and heads.penalty else {}
    y = b.value(shape, query.dtype)
    weights = b.value((query.shape[0], heads.query, query.shape[1], value.shape[1]), query.dtype)
    b.calls(module, *inputs, outputs=(y, weights if scores else None), **options)
    if mask:  # the Softmax inside leaves it on the scores
        weights.mask = mask if mask.rank == 4 else b.call("[]", mask, (None, None), shape=(1, 1, *mask.shape))
    return (y, weights) if scores else y


def to_sequences(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """(N, ..., features) -> (N, others, attended, features): the attended axes as one."""
    order = (*(axis for axis in range(x.rank - 1) if axis not in axes), *axes, x.rank - 1)
    moved = permuted(b, x, order)
    if len(axes) == 1:
        return moved
    start = x.rank - 1 - len(axes)
    steps = [moved.shape[i] for i in range(start, x.rank - 1)]
    total = None if None in steps else prod(n or 0 for n in steps)
    shape = (*moved.shape[:start], total, moved.shape[-1])
    return b.call(".flatten", moved, start, -2, shape=shape, layout="keras")


def from_sequences(b: Builder, y: Value, like: Value, axes: tuple[int, ...]) -> Value:
    """The reverse of `to_sequences`, for an output with other features."""
    order = (*(axis for axis in range(like.rank - 1) if axis not in axes), *axes, like.rank - 1)
    if len(axes) > 1:
        sizes = tuple(n if (n := like.shape[axis]) is not None else Size(like, axis) for axis in axes)
        start = like.rank - 1 - len(axes)
        shape = (*y.shape[:start], *(like.shape[axis] for axis in axes), y.shape[-1])
        y = b.call(".unflatten", y, start, sizes, shape=shape, layout="keras")
    return permuted(b, y, inverse(order))


def call_attention(
    b: Builder, inputs: tuple[Value, Value, Value | None], heads: Heads, seen: Seen, scores: bool
) -> Any:
    """One call on sequences (N, T, features): query, value, and key if it is another tensor."""
    query, value, key = inputs
    own = replace(
        seen,
        query=seen.query or live_mask(query),
        value=seen.value or live_mask(value),
        key=seen.key or live_mask(key),
    )
    output = attend(b, (query, key or value, value), heads, own, scores)
    made = output[0] if scores else output
    made.mask, made.mask_taken = seen.query or query.mask, query.mask_taken
    return output


def call_on_axes(
    b: Builder, inputs: tuple[Value, Value, Value | None], heads: Heads, seen: Seen, axes: tuple[int, ...]
) -> Value:
    """One call on tensors (N, ..., features) over some of the axes between."""
    query, value, key = inputs
    if seen != Seen() or any(x.mask for x in inputs if x):
        raise UntranslatableError(f"masks of an attention over {query.shape} are not supported")
    queries, values = to_sequences(b, query, axes), to_sequences(b, value, axes)
    keys = to_sequences(b, key, axes) if key else values
    output = attend(b, (queries, keys, values), heads, seen, False)
    result: Value = from_sequences(b, output, query, axes)
    return result


SELF, CROSS = ((5, 6), (5, 6)), ((5, 6), (4, 3))


@rule(
    "MultiHeadAttention",
    examples=[
        example(*SELF, num_heads=2, key_dim=3),
        example(*SELF, num_heads=2, key_dim=3, use_bias=False),
        example(*CROSS, num_heads=2, key_dim=3),
        example((5, 6), (4, 3), (4, 2), num_heads=2, key_dim=3),
        example(*CROSS, num_heads=2, key_dim=4, value_dim=5, output_shape=7),
        example(*CROSS, num_heads=2, key_dim=4, use_gate=True, use_bias=False),
        example((None, 6), (None, 6), num_heads=3, key_dim=2, output_shape=[2, 4]),
        example((3, 4, 6), (3, 5, 6), num_heads=2, key_dim=3, attention_axes=[2]),
        example((3, 4, 6), (2, 5, 6), num_heads=2, key_dim=3),
        example((None, 4, 6), (None, 4, 6), num_heads=2, key_dim=3, attention_axes=[1]),
        Example(SELF, {"num_heads": 2, "key_dim": 3}, calls={"use_causal_mask": True}),
        Example(SELF, {"num_heads": 2, "key_dim": 3, "sliding_window": 2}),
        Example(SELF, {"num_heads": 2, "key_dim": 3}, mask=True),
        Example(SELF, {"num_heads": 2, "key_dim": 3, "dropout": 0.1}, mask=True),
        Example(CROSS, {"num_heads": 2, "key_dim": 4}, mask=True, calls={"return_attention_scores": True}),
        Example(SELF, {"num_heads": 2, "key_dim": 3}, mask=True, calls={"use_causal_mask": True}),
    ],
)
def multi_head_attention(
    b: Builder,
    *inputs: Value,
    num_heads: int,
    key_dim: int,
    value_dim: int | None = None,
    dropout: float = 0.0,
    use_bias: bool = True,
    output_shape: Any = None,
    attention_axes: Any = None,
    sliding_window: int | None = None,
    flash_attention: bool | None = None,
    use_gate: bool = False,
    seed: int | None = None,
    softmax_robust_masking: bool = False,
    query: Value | None = None,
    value: Value | None = None,
    key: Value | None = None,
    query_mask: Value | None = None,
    value_mask: Value | None = None,
    key_mask: Value | None = None,
    attention_mask: Value | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    """A local module for a sequence and itself; nn.MultiheadAttention; another one for masks, gates and scores."""
    tensors = by_name(inputs, query, value, key)
    query = tensors[0]
    outputs = [size(query, -1)] if output_shape is None else output_shape
    outputs = (outputs,) if isinstance(outputs, int) else tuple(outputs)
    require(softmax_robust_masking, (False,), "softmax_robust_masking")
    penalty = -1e9 if b.layer.keras_2 else None
    heads = Heads(num_heads, num_heads, key_dim, value_dim or key_dim, outputs, use_bias, use_gate, dropout, penalty)
    seen = Seen(query_mask, value_mask, key_mask, attention_mask, use_causal_mask, sliding_window)
    axes = [attention_axes] if isinstance(attention_axes, int) else attention_axes or range(1, query.rank - 1)
    if query.rank != 3:
        if return_attention_scores:
            raise UntranslatableError(f"the scores of an attention over {query.shape} are not supported")
        return unflattened(b, call_on_axes(b, tensors, heads, seen, tuple(axis % query.rank for axis in axes)), outputs)
    result = call_attention(b, tensors, heads, seen, return_attention_scores)
    for x in tensors:
        if x is not None:
            x.mask_taken = not b.layer.keras_2
    return (
        (unflattened(b, result[0], outputs), result[1]) if return_attention_scores else unflattened(b, result, outputs)
    )


def unflattened(b: Builder, y: Value, sizes: tuple[int, ...]) -> Value:
    """The features as several axes, where Keras wants them so."""
    if len(sizes) == 1:
        return y
    split = b.call(".unflatten", y, -1, sizes, shape=(*y.shape[:-1], *sizes), layout="keras")
    split.mask = y.mask
    return split


def by_name(
    inputs: tuple[Value, ...], query: Value | None, value: Value | None, key: Value | None
) -> tuple[Value, Value, Value | None]:
    """Query, value and key, given by position or by name."""
    found = [*inputs, None, None, None]
    first, second, third = query or found[0], value or found[1], key or found[2]
    if first is None or second is None:
        raise UntranslatableError("is called without a query or without a value")
    return first, second, third


@rule(
    "GroupQueryAttention",
    examples=[
        example((5, 6), (4, 6), head_dim=3, num_query_heads=4, num_key_value_heads=2),
        example(*SELF, head_dim=3, num_query_heads=2, num_key_value_heads=1, use_bias=False, use_gate=True),
        Example(SELF, {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}, mask=True),
        Example(
            SELF,
            {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
            calls={"return_attention_scores": True, "use_causal_mask": True},
        ),
    ],
)
def grouped_query_attention(
    b: Builder,
    *inputs: Value,
    head_dim: int,
    num_query_heads: int,
    num_key_value_heads: int,
    dropout: float = 0.0,
    use_bias: bool = True,
    sliding_window: int | None = None,
    flash_attention: bool | None = None,
    use_gate: bool = False,
    seed: int | None = None,
    query: Value | None = None,
    value: Value | None = None,
    key: Value | None = None,
    query_mask: Value | None = None,
    value_mask: Value | None = None,
    key_mask: Value | None = None,
    attention_mask: Value | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    """A local module: attention with fewer heads of keys and values than of queries."""
    tensors = by_name(inputs, query, value, key)
    outputs = (size(tensors[0], -1),)
    heads = Heads(num_query_heads, num_key_value_heads, head_dim, head_dim, outputs, use_bias, use_gate, dropout)
    seen = Seen(query_mask, value_mask, key_mask, attention_mask, use_causal_mask, sliding_window)
    return call_attention(b, tensors, heads, seen, return_attention_scores)
