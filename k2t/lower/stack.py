"""Recurrent layers behind each other: one nn.LSTM of several layers, which PyTorch computes faster than several."""

from __future__ import annotations

from collections import Counter

from k2t.lower.fold import read_counts
from k2t.lower.names import is_automatic
from k2t.program import Block, Module, Op, Value, values

RECURRENT = ("nn.LSTM", "nn.GRU", "nn.RNN")
FIRST = "_l0"  # in the names of the weights of the first layer


def stack_recurrent(block: Block) -> None:
    """Given: y, _ = lstm1(x); z, _ = lstm2(y). Result: z, _ = lstm(x) with num_layers=2.

    Only where both are alike, called once and without first states, nothing else reads y, nothing reads the last
    states, and no person has named the layers.
    """
    reads = read_counts(block)
    calls = Counter(op.target for op in block.ops if isinstance(op.target, Module))
    makers: dict[Value, tuple[Op, Module]] = {}
    ops = []
    for op in block.ops:
        module = plain_layer(op, reads)
        if module is None or calls[module] != 1:
            ops.append(op)
            continue
        below, stack = makers.get(op.args[0], (op, module))
        if below is not op and reads[op.args[0]] == 1 and put_above(stack, module):
            below.outputs, below.layer = op.outputs, op.layer
            makers[op.outputs[0]] = below, stack
        else:
            ops.append(op)
            makers[op.outputs[0]] = op, module
    block.ops = ops


def plain_layer(op: Op, reads: Counter[Value]) -> Module | None:
    """The recurrent layer that the operation calls, if it takes no states and nothing reads those that it returns."""
    module = op.target
    if not isinstance(module, Module) or module.call not in RECURRENT or not is_automatic(module.layer):
        return None
    return None if len(op.args) > 1 or any(reads[value] for value in values(op.outputs[1])) else module


def put_above(stack: Module, module: Module) -> bool:
    """Make a layer the last one of the stack, if it is like the others there."""
    options = dict(stack.kwargs)
    count = options.pop("num_layers", 1)
    units = stack.args[1]
    inputs = units * (2 if "bidirectional" in options else 1)
    if (stack.call, options, (inputs, units)) != (module.call, module.kwargs, module.args):
        return False
    stack.kwargs = {"num_layers": count + 1, **options}
    stack.weights |= {key.replace(FIRST, f"_l{count}"): weight for key, weight in module.weights.items()}
    return True
