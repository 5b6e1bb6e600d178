"""Embedding and Masking: where masks come from."""

from __future__ import annotations

from typing import Any

from k2t.program import Value
from k2t.rules.base import Example, example, rule
from k2t.rules.builder import Builder
from k2t.rules.lora import adapt
from k2t.rules.masks import any_last, as_column, differs
from k2t.rules.quantized import quantized_table


@rule(
    "Embedding",
    examples=[
        Example(((5,),), {"input_dim": 7, "output_dim": 3}, integers=7),
        Example(((None,),), {"input_dim": 7, "output_dim": 3, "mask_zero": True}, integers=7),
        Example(((4, 5),), {"input_dim": 7, "output_dim": 3}, integers=7),
        Example(((5,),), {"input_dim": 7, "output_dim": 3, "lora_rank": 2}, integers=7),
    ],
)
def embedding(
    b: Builder,
    x: Value,
    *,
    input_dim: int,
    output_dim: int,
    mask_zero: bool = False,
    weights: Any = None,
    lora_rank: int | None = None,
    lora_alpha: float | None = None,
    quantization_config: Any = None,
) -> Value:
    """nn.Embedding, Int8Embedding or GroupedEmbedding; with mask_zero, index 0 is masked for the layers behind."""
    adapt(b, "embeddings", (input_dim, output_dim), None, lora_rank, lora_alpha)
    index = x if x.dtype in ("int32", "int64") else b.call(".long", x, dtype="int64")
    if quantization_config is not None:
        output = quantized_table(b, index, input_dim, output_dim, quantization_config)
    else:
        table = b.variable("embeddings", (input_dim, output_dim))
        module = b.module("nn.Embedding", input_dim, output_dim, weights={"weight": b.weight(table)})
        output = b.call(module, index, shape=(*x.shape, output_dim), dtype=b.layer.dtype, layout="keras")
    if mask_zero:
        output.mask = differs(b, x, 0)
    return output


@rule("Masking", examples=[example((5, 3)), example((5, 3), mask_value=-1.0), example((4, 5, 3))])
def masking(b: Builder, x: Value, *, mask_value: float = 0.0) -> Value:
    """A comparison: a step whose features all equal mask_value becomes zeros, and is masked for the layers behind."""
    mask = any_last(b, differs(b, x, mask_value))
    output = b.call("*", x, as_column(b, mask, x.rank), shape=x.shape, layout="keras")
    output.mask = mask
    return output
