"""Folds operations into the module behind them."""

from __future__ import annotations

from collections import Counter

from k2t.program import Block, Module, Op, Value, plain, values


def fold_padding(block: Block) -> None:
    """Given: y = F.pad(x, (1, 1, 1, 1)); z = conv(y). Result: z = conv(x) with padding=1.

    Only where the padding is the same before and behind, nothing else reads y, and the convolution is called once.
    """
    reads = Counter(value for op in block.ops for value in values((op.args, op.kwargs)))
    reads.update(values(block.outputs))
    calls = Counter(id(op.target) for op in block.ops)
    pads = {op.outputs: op for op in block.ops if op.target == "F.pad" and reads[op.outputs] == 1 and not op.kwargs}
    folded: set[int] = set()
    for op in block.ops:
        padded = op.args[0] if op.args else None
        if not isinstance(padded, Value) or padded not in pads or not takes_padding(op) or calls[id(op.target)] != 1:
            continue
        amounts = symmetric(pads[padded].args[1], padded.rank - 2)
        if amounts is not None and isinstance(op.target, Module):
            op.target.kwargs["padding"] = plain(amounts)
            op.args = (pads[padded].args[0], *op.args[1:])
            folded.add(id(pads[padded]))
    block.ops = [op for op in block.ops if id(op) not in folded]


def takes_padding(op: Op) -> bool:
    """Whether it is a convolution that does not pad yet."""
    module = op.target
    return (
        isinstance(module, Module)
        and module.call in ("nn.Conv1d", "nn.Conv2d", "nn.Conv3d")
        and "padding" not in module.kwargs
    )


def symmetric(pads: tuple[int, ...], rank: int) -> tuple[int, ...] | None:
    """The padding of each spatial axis from the argument of F.pad, or None where before and behind differ."""
    pairs = [pads[i : i + 2] for i in range(0, len(pads), 2)]
    if len(pairs) > rank or any(before != behind or before < 0 for before, behind in pairs):
        return None
    return (*(0,) * (rank - len(pairs)), *(before for before, _ in reversed(pairs)))
