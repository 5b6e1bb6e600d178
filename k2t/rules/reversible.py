"""ReversibleEmbedding: one table for tokens and for logits."""

from __future__ import annotations

from typing import Any

from k2t.program import Value
from k2t.rules.base import Example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.lora import adapt
from k2t.rules.masks import differs
from k2t.rules.quantized import quantized_reversible

TABLE = {"input_dim": 7, "output_dim": 3}


@rule(
    "ReversibleEmbedding",
    examples=[
        Example(((5,),), TABLE, integers=7),
        Example(((None,),), TABLE | {"mask_zero": True, "tie_weights": False}, integers=7),
        Example(((5, 3),), TABLE, calls={"reverse": True}),
        Example(((5, 3),), TABLE | {"tie_weights": False, "logit_soft_cap": 2.0}, calls={"reverse": True}),
    ],
)
def reversible_embedding(
    b: Builder,
    x: Value,
    *,
    input_dim: int,
    output_dim: int,
    tie_weights: bool = True,
    mask_zero: bool = False,
    weights: Any = None,
    lora_rank: int | None = None,
    lora_alpha: float | None = None,
    quantization_config: Any = None,
    reverse_dtype: str | None = None,
    logit_soft_cap: float | None = None,
    reverse: bool = False,
) -> Value:
    """F.embedding; reversed, F.linear with the same table or, where they are not tied, with another."""
    adapt(b, "embeddings", (input_dim, output_dim), None, lora_rank, lora_alpha)
    require(reverse_dtype, (None, b.layer.dtype), "reverse_dtype")
    index = x if reverse or x.dtype in ("int32", "int64") else b.call(".long", x, dtype="int64")
    if quantization_config is not None:
        output = quantized_reversible(
            b, index, input_dim, output_dim, quantization_config, tied=tie_weights, reverse=reverse
        )
        if reverse:
            return capped(b, output, logit_soft_cap)
        output.mask = differs(b, x, 0) if mask_zero else None
        return output
    table = b.variable("embeddings", (input_dim, output_dim))
    other = None if tie_weights else b.variable("reverse_embeddings", (output_dim, input_dim))
    if not reverse:
        weight, shape = b.parameter("embeddings", table), (*x.shape, output_dim)
        output = b.call("F.embedding", index, weight, shape=shape, dtype=b.layer.dtype, layout="keras")
        output.mask = differs(b, x, 0) if mask_zero else None
        return output
    if other is None:
        weight = b.parameter("embeddings", table)
    else:
        weight = b.parameter("reverse_embeddings", other, transform=lambda array: array.T)
    logits = b.call("F.linear", x, weight, shape=(*x.shape[:-1], input_dim), layout="keras")
    return capped(b, logits, logit_soft_cap)


def capped(b: Builder, logits: Value, cap: float | None) -> Value:
    """cap * tanh(logits / cap)."""
    return logits if cap is None else b.call("*", b.call(".tanh", b.call("/", logits, cap)), cap)
