"""Folds operations into the module behind them."""

from __future__ import annotations

from collections import Counter

from k2t.graph import map_structure
from k2t.program import Block, Device, Module, Op, Parameter, Size, Value, leaves, plain, values

# The options of a convolution in PyTorch's order.
CONVOLUTION = ("stride", "padding", "dilation", "groups", "bias", "padding_mode")
# What has no value below zero.
POSITIVE = ("F.relu", "F.relu6", "torch.sigmoid")
REDUCTIONS = (".mean", ".amax")
SIXTH = (("*", 1 / 6), ("/", 6.0))


def read_counts(block: Block) -> Counter[Value]:
    """How often each value is read, as an output of the block too."""
    reads = Counter(value for op in block.ops for value in values((op.args, op.kwargs)))
    reads.update(values(block.outputs))
    return reads


def fold_padding(block: Block) -> None:
    """Given: y = F.pad(x, (1, 1, 1, 1)); z = conv(y). Result: z = conv(x) with padding=1. A maximum pools likewise.

    Only where the padding is the same before and behind, nothing else reads y, and the module is called once.
    """
    reads = read_counts(block)
    calls = Counter(id(op.target) for op in block.ops)
    pads = {op.outputs: op for op in block.ops if op.target == "F.pad" and reads[op.outputs] == 1 and not op.kwargs}
    positive = {op.outputs for op in block.ops if op.target in POSITIVE}
    folded: set[int] = set()
    for op in block.ops:
        pad = pads.get(op.args[0]) if op.args and isinstance(op.args[0], Value) else None
        if pad is None or not isinstance(op.target, Module) or calls[id(op.target)] != 1:
            continue
        amounts = symmetric(pad.args[1], pad.outputs.rank - 2)
        if amounts is not None and takes_padding(op.target, amounts, pad.args[0] in positive):
            options = {**op.target.kwargs, "padding": plain(amounts)}
            op.target.kwargs = {name: options[name] for name in sorted(options, key=CONVOLUTION.index)}
            op.args = (pad.args[0], *op.args[1:])
            folded.add(id(pad))
    block.ops = [op for op in block.ops if id(op) not in folded]


def takes_padding(module: Module, amounts: tuple[int, ...], positive: bool) -> bool:
    """Whether it is a convolution that does not pad yet; or a maximum, which pads with what is no more than zero."""
    if module.call in ("nn.Conv1d", "nn.Conv2d", "nn.Conv3d"):
        return "padding" not in module.kwargs
    pools = module.call in ("nn.MaxPool1d", "nn.MaxPool2d", "nn.MaxPool3d") and module.kwargs.keys() <= {"stride"}
    if not (pools and positive):
        return False
    kernel = module.args[0]
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * len(amounts)
    return all(2 * amount <= size for amount, size in zip(amounts, sizes, strict=True))


def symmetric(pads: tuple[int, ...], rank: int) -> tuple[int, ...] | None:
    """The padding of each spatial axis from the argument of F.pad, or None where before and behind differ."""
    pairs = [pads[i : i + 2] for i in range(0, len(pads), 2)]
    if len(pairs) > rank or any(before != behind or before < 0 for before, behind in pairs):
        return None
    return (*(0,) * (rank - len(pairs)), *(before for before, _ in reversed(pairs)))


def fold_reshape(block: Block) -> None:
    """Given: y = x.mean((2, 3)); z = y.reshape(-1, 8, 1, 1). Result: z = x.mean((2, 3), keepdim=True)."""
    reads = read_counts(block)
    reduced = {op.outputs: op for op in block.ops if op.target in REDUCTIONS and reads[op.outputs] == 1}
    folded: set[int] = set()
    for op in block.ops:
        before = reduced.get(op.args[0]) if op.target == ".reshape" and isinstance(op.args[0], Value) else None
        if before is not None and not before.kwargs and puts_back(op, before):
            op.target, op.args, op.kwargs = before.target, before.args, {"keepdim": True}
            folded.add(id(before))
    block.ops = [op for op in block.ops if id(op) not in folded]


def puts_back(reshape: Op, reduction: Op) -> bool:
    """Whether the reshape does nothing but put axes of size 1 where the reduction took some away."""
    source, given = reduction.args
    axes = (given,) if isinstance(given, int) else given
    target = reshape.args[1:]
    if len(target) != source.rank:
        return False
    kept = [size for axis, size in enumerate(target) if axis not in axes]
    return all(target[axis] == 1 for axis in axes) and all(
        size == (-1 if known is None else known) for size, known in zip(kept, reduction.outputs.shape, strict=True)
    )


def fold_hard_sigmoid(block: Block) -> None:
    """Given: F.relu6(x + 3.0) * (1 / 6), as MobileNets were written in Keras. Result: F.hardsigmoid(x)."""
    reads = read_counts(block)
    makers = {op.outputs: op for op in block.ops if isinstance(op.outputs, Value) and reads[op.outputs] == 1}
    folded: set[int] = set()
    for op in block.ops:
        clipped = makers.get(op.args[0]) if (op.target, *op.args[1:]) in SIXTH and op.args else None
        shifted = makers.get(clipped.args[0]) if clipped and clipped.target == "F.relu6" else None
        if clipped and shifted and (shifted.target, *shifted.args[1:]) == ("+", 3.0):
            op.target, op.args = "F.hardsigmoid", shifted.args[:1]
            folded |= {id(clipped), id(shifted)}
    block.ops = [op for op in block.ops if id(op) not in folded]


def plain_dropout(block: Block) -> None:
    """Given: LockedDropout over the steps of (N, C, T). Result: nn.Dropout1d. The usual axis is not written."""
    for op in block.ops:
        module = op.target
        if not isinstance(module, Module) or module.call != "LockedDropout" or len(op.args) < 2:
            continue
        calls = [other for other in block.ops if other.target is module]
        steps = {other.args[1] for other in calls}
        if steps == {2}:
            module.call = "nn.Dropout1d"
        if len(steps) == 1:
            for other in calls:
                other.args = other.args[:1]


def plain_constants(block: Block) -> None:
    """Given: y = torch.asarray(self.positions); z = f(y). Result: z = f(self.positions)."""
    plain = [op for op in block.ops if op.target == "torch.asarray" and isinstance(op.args[0], Parameter)]
    if not plain:
        return
    read = leaves([(op.args, op.kwargs) for op in block.ops])
    kept = {*values(block.outputs)} | {leaf.value for leaf in read if isinstance(leaf, Size | Device)}
    found = {op.outputs: op.args[0] for op in plain if op.outputs not in kept}
    folded = {id(op) for op in plain if op.outputs in found}
    block.ops = [op for op in block.ops if id(op) not in folded]
    for op in block.ops:
        op.args, op.kwargs = map_structure(
            lambda leaf: found.get(leaf, leaf) if isinstance(leaf, Value) else leaf, (op.args, op.kwargs)
        )
