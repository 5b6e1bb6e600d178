"""What makes probabilities of scores: it goes to the end of the whole model, which has `logits` then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from k2t.program import Block, Module, Value

# What a classifier ends with: it makes probabilities of scores, and stays outside of blocks, so that there are scores.
PROBABILITIES = ("F.softmax", "torch.sigmoid")
SCORES = "#logits"  # behind the name of a Keras call: what comes before its last step


def lift_probabilities(blocks: Sequence[Block]) -> None:
    """Given: a model that ends in a nested one, which ends in a softmax. Result: the softmax is behind the nested one.

    Args:
        blocks: the main one last.
    """
    calls = Counter(op.target.call for block in blocks for op in block.ops if isinstance(op.target, Module))
    lift(blocks[-1], calls)


def lift(block: Block, calls: Mapping[Block | str, int]) -> None:
    """Take the softmax out of the nested model that is called last, and only there."""
    call = block.ops[-1] if block.ops else None
    inner = call.target.call if call and isinstance(call.target, Module) else None
    if call is None or not isinstance(inner, Block) or calls[inner] != 1 or call.outputs is not block.outputs:
        return
    lift(inner, calls)
    if len(inner.ops) < 2:
        return
    *ops, last = inner.ops
    if last.target not in PROBABILITIES or inner.outputs is not last.outputs:
        return
    source: Value = last.args[0]
    for op in ops:
        if op.layer == last.layer:  # its output is no longer that of the Keras layer
            op.layer = source.layer = last.layer + SCORES
    scores = Value(source.shape, source.dtype, layer=call.layer + SCORES)
    inner.ops, inner.outputs = ops, source
    block.ops.append(replace(last, args=(scores, *last.args[1:]), outputs=call.outputs, layer=call.layer))
    call.outputs, call.layer = scores, scores.layer
