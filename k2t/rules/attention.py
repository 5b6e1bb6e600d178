"""Attention with one head: dot products and sums."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.base import Example, broadcast, example, require, rule, size
from k2t.rules.builder import Builder

ALL = slice(None)


def score_mask(b: Builder, query: Value, value: Value, mask: Value | None, causal: bool) -> Value | None:
    """Where scores (N, T, S) count: (N, 1, S), (T, S) or both; None for everywhere."""
    seen = None
    if mask is not None:
        shape = (mask.shape[0], 1, mask.shape[1])
        seen = b.call("[]", mask, (ALL, None), shape=shape, dtype="bool", layout="keras")
    if not causal:
        return seen
    square = (query.shape[1], value.shape[1])
    earlier = b.call("causal_mask", query, value, shape=square, dtype="bool", layout="keras")
    return earlier if seen is None else b.call("&", seen, earlier, shape=broadcast(seen.shape, square), layout="keras")


def pairs(b: Builder, query: Value, key: Value) -> Value:
    """query + key for each pair: (N, T, D) and (N, S, D) -> (N, T, S, D)."""
    (batch, steps, features), length = query.shape, key.shape[1]
    rows = b.call("[]", query, (ALL, ALL, None), shape=(batch, steps, 1, features), layout="keras")
    columns = b.call("[]", key, (ALL, None), shape=(batch, 1, length, features), layout="keras")
    return b.call("+", rows, columns, shape=(batch, steps, length, features), layout="keras")


def weigh(b: Builder, scores: Value, value: Value, mask: Value | None, dropout: float) -> tuple[Value, Value]:
    """The values weighted by the softmax of the scores, and the weights."""
    if mask is not None:
        penalty = b.call("additive_mask", mask, scores, shape=mask.shape, dtype=scores.dtype, layout="keras")
        scores = b.call("+", scores, penalty, shape=scores.shape, layout="keras")
    weights = b.call("F.softmax", scores, dim=-1, layout="keras")
    dropped = b.call(b.module("nn.Dropout", dropout, role="dropout"), weights) if dropout else weights
    shape = (*scores.shape[:-1], value.shape[-1])
    return b.call("@", dropped, value, shape=shape, layout="keras"), weights


def finish(b: Builder, output: Value, query: Value, query_mask: Value | None) -> Value:
    """Zeros where the query is masked; the output keeps that mask."""
    if query_mask is None:
        return output
    shape = (*query_mask.shape, 1)
    hidden = b.call("~", b.call("[]", query_mask, (..., None), shape=shape, dtype="bool", layout="keras"))
    output = b.call(".masked_fill", output, hidden, 0, shape=output.shape, layout="keras")
    output.mask = query_mask
    return output


def three(inputs: list[Value], mask: Any) -> tuple[Value, Value, Value, Value | None, Value | None]:
    """Query, value, key and the masks of the first two."""
    if len(inputs) not in (2, 3) or any(x.rank != 3 for x in inputs):
        raise UntranslatableError("takes [query, value] or [query, value, key], each (N, T, features)")
    query, value = inputs[:2]
    masks = [x.mask for x in inputs] if mask is None else list(mask)
    return query, value, inputs[-1] if len(inputs) == 3 else value, masks[0], masks[1]


PAIR, TRIPLE = ((5, 3), (4, 3)), ((5, 3), (4, 2), (4, 3))


@rule(
    "Attention",
    examples=[
        example(*PAIR),
        example((None, 3), (None, 3), dropout=0.1),
        example(*TRIPLE, use_scale=True),
        example(*TRIPLE, use_scale=True, score_mode="concat"),
        example(*PAIR, score_mode="concat"),
        Example(PAIR, calls={"use_causal_mask": True}),
        Example(PAIR, mask=True),
        Example(PAIR, mask=True, calls={"use_causal_mask": True, "return_attention_scores": True}),
    ],
)
def attention(
    b: Builder,
    inputs: list[Value],
    *,
    use_scale: bool = False,
    score_mode: str = "dot",
    dropout: float = 0.0,
    seed: int | None = None,
    mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    """F.scaled_dot_product_attention; softmax of the scores where these or dropout are wanted."""
    require(score_mode, ("dot", "concat"), "score_mode")
    query, value, key, query_mask, value_mask = three(inputs, mask)
    scale = b.parameter("scale", b.variable("scale", ())) if use_scale else None
    seen = score_mask(b, query, value, value_mask, use_causal_mask)
    if score_mode == "concat":
        weight = b.parameter("score_weight", b.variable("concat_score_weight", ()))
        both = pairs(b, query, key)
        both = b.call("*", both, scale, layout="keras") if scale else both
        total = b.call(".sum", b.call("torch.tanh", both), -1, shape=both.shape[:-1], layout="keras")
        scores = b.call("*", total, weight, layout="keras")
    else:
        query = b.call("*", query, scale, layout="keras") if scale else query
        if not (dropout or return_attention_scores):
            return finish(b, dot_product(b, query, key, value, seen), query, query_mask)
        turned = b.call(".transpose", key, 1, 2, shape=(key.shape[0], key.shape[2], key.shape[1]), layout="keras")
        scores = b.call("@", query, turned, shape=(*query.shape[:2], key.shape[1]), layout="keras")
    output, weights = weigh(b, scores, value, seen, dropout)
    output = finish(b, output, query, query_mask)
    return (output, weights) if return_attention_scores else output


def dot_product(b: Builder, query: Value, key: Value, value: Value, seen: Value | None) -> Value:
    """F.scaled_dot_product_attention without its scale."""
    options: dict[str, Any] = {}
    if seen is not None:
        options["attn_mask"] = b.call("additive_mask", seen, query, shape=seen.shape, dtype=query.dtype, layout="keras")
    shape = (*query.shape[:2], value.shape[-1])
    target = "F.scaled_dot_product_attention"
    return b.call(target, query, key, value, shape=shape, layout="keras", **options, scale=1.0)


@rule(
    "AdditiveAttention",
    examples=[
        example(*PAIR),
        example((None, 3), (None, 3), use_scale=False, dropout=0.1),
        example(*TRIPLE),
        Example(PAIR, mask=True, calls={"return_attention_scores": True}),
        Example(PAIR, calls={"use_causal_mask": True}),
    ],
)
def additive_attention(
    b: Builder,
    inputs: list[Value],
    *,
    use_scale: bool = True,
    dropout: float = 0.0,
    seed: int | None = None,
    mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    """Softmax of sums of torch.tanh(query + key), times a parameter."""
    query, value, key, query_mask, value_mask = three(inputs, mask)
    both = b.call("torch.tanh", pairs(b, query, key))
    if use_scale:
        scale = b.parameter("scale", b.variable("scale", (size(query, -1),)))
        scores = b.call("@", both, scale, shape=both.shape[:-1], layout="keras")
    else:
        scores = b.call(".sum", both, -1, shape=both.shape[:-1], layout="keras")
    seen = score_mask(b, query, value, value_mask, use_causal_mask)
    output, weights = weigh(b, scores, value, seen, dropout)
    output = finish(b, output, query, query_mask)
    return (output, weights) if return_attention_scores else output
