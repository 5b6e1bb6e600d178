"""Lowering: layout, fusing and names; turns a program in Keras's axes into one that can be written down."""

from __future__ import annotations

from k2t.lower.batchnorm import fold_batchnorm
from k2t.lower.fold import fold_hard_sigmoid, fold_padding, fold_reshape, plain_constants, plain_dropout
from k2t.lower.initial import begin, write_constants
from k2t.lower.layout import decide
from k2t.lower.names import collect, name_everything
from k2t.lower.prune import prune
from k2t.lower.schedule import schedule
from k2t.lower.scores import lift_probabilities
from k2t.lower.stack import stack_recurrent
from k2t.program import Block


def lower(main: Block, *, layout: str = "torch", name: str | None = None, fold_bn: bool = False) -> list[Block]:
    """Decide the layout of every tensor, simplify, name; returns the classes to write, the main one last.

    Args:
        main: changed in place.
        layout: `torch` or `keras`, the order of axes at the model's inputs and outputs.
        name: the class name that the user wants.
        fold_bn: whether batch normalization goes into the layers around it.
    """
    blocks: list[Block] = []
    collect(main, blocks)
    lift_probabilities(blocks)
    for block in blocks:  # the layout of a nested block is part of its caller's problem
        prune(block)  # what nothing reads must not take part in the decision
        schedule(block)
        if fold_bn:
            fold_batchnorm(block)
        decide(block, layout if block is main else "torch")
        fold_padding(block)  # these read the order of axes that was decided
        fold_reshape(block)
        fold_hard_sigmoid(block)
        stack_recurrent(block)
        plain_dropout(block)
        plain_constants(block)
        write_constants(block)
        if not fold_bn:  # what is folded cannot be trained
            begin(block)
    return name_everything(main, name)
