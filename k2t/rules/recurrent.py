"""Recurrent layers: SimpleRNN, LSTM, GRU, RNN around cells, and the cells."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Layer
from k2t.program import Value
from k2t.rules.base import Example, example, rule
from k2t.rules.builder import Builder, find_rule
from k2t.rules.cells import Cell
from k2t.rules.sequences import Loop, given

LOOPS: dict[str, Callable[..., Loop]] = {}


def recurrent(kind: str, examples: Sequence[Example]) -> Callable[[Callable[..., Loop]], Callable[..., Loop]]:
    """Register a function from the options of a recurrent layer to its loop, as a rule and for wrappers."""

    def register(describe: Callable[..., Loop]) -> Callable[..., Loop]:
        def translate(
            b: Builder, inputs: Any, *, initial_state: Any = None, mask: Value | None = None, **options: Any
        ) -> Any:
            loop = describe(**options)
            call = given(inputs, initial_state, mask)
            output, states = loop.run(b, call)
            output.mask = call.output_mask if loop.return_sequences else None
            return (output, *states) if loop.return_state else output

        own = [item for item in inspect.signature(translate).parameters.values() if item.kind != item.VAR_KEYWORD]
        given_by_kind = describe.keywords if isinstance(describe, partial) else {}
        named = inspect.signature(describe).parameters.values()
        options = [item for item in named if item.name not in given_by_kind]
        translate.__signature__ = inspect.Signature([*own[:2], *options, *own[2:]])  # type: ignore[attr-defined]
        translate.__doc__ = inspect.getdoc(describe.func if isinstance(describe, partial) else describe)
        rule(kind, examples=examples)(translate)
        LOOPS[kind] = describe
        return describe

    return register


def loop_of(layer: Layer) -> Loop:
    """The loop of a recurrent layer inside a wrapper.

    Raises:
        UntranslatableError: it is no recurrent layer, or one without a translation.
    """
    arguments = find_rule(layer).arguments(layer)
    if layer.kind not in LOOPS:
        raise UntranslatableError(f"wraps {layer.kind}, which is no recurrent layer")
    return LOOPS[layer.kind](**arguments)


STATES = {"return_sequences": True, "return_state": True}
SEQUENCE = (6, 3)


def usual_examples(states: int, *options: dict[str, Any]) -> list[Example]:
    """What every recurrent layer is tested with, and with these options of its own."""
    masked: list[dict[str, Any]] = [
        {"go_backwards": True, "return_sequences": True},
        {"zero_output_for_mask": True},
        {"return_state": True},
    ]
    start = (SEQUENCE, *[(4,)] * states)
    return [
        example((None, 3), units=4),
        example(SEQUENCE, units=4, go_backwards=True, **STATES),
        example(SEQUENCE, units=4, dropout=0.2, use_bias=False),
        *(example(SEQUENCE, units=4, **own) for own in options),
        *(Example((SEQUENCE,), {"units": 4, **own}, mask=True) for own in masked),
        Example(start, {"units": 4, **STATES}, states=states),
    ]


@recurrent(
    "SimpleRNN",
    usual_examples(1, {"activation": "relu"}, {"activation": "linear"}),
)
def simple_rnn(
    *,
    units: int,
    activation: Any = "tanh",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    seed: int | None = None,
    zero_output_for_mask: bool = False,
) -> Loop:
    """nn.RNN for tanh and relu, else a local class with a loop."""
    cell = Cell("RNN", "cell", units, activation, None, use_bias, dropout, recurrent_dropout)
    return Loop(
        cells=(cell,),
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        stateful=stateful,
        unroll=unroll,
        zero_output_for_mask=zero_output_for_mask,
    )


@recurrent(
    "LSTM",
    [
        *usual_examples(
            2,
            {"activation": "relu", "recurrent_dropout": 0.3},
            {"activation": None, "recurrent_activation": "hard_sigmoid", "return_sequences": True},
            {"unit_forget_bias": False, "unroll": True},
        ),
        Example((SEQUENCE,), {"units": 4, "zero_output_for_mask": True, "return_sequences": True}, mask=True),
        Example((SEQUENCE,), {"units": 4, "activation": "softsign", **STATES}, mask=True),
        Example((SEQUENCE, (4,), (4,)), {"units": 4, "activation": "elu", **STATES}, states=2),
        Example((SEQUENCE, (4,), (4,)), {"units": 4}, states=2, mask=True),
    ],
)
def lstm(
    *,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    unit_forget_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    use_cudnn: Any = "auto",
    zero_output_for_mask: bool = False,
) -> Loop:
    """nn.LSTM, else a local class with a loop."""
    cell = Cell("LSTM", "cell", units, activation, recurrent_activation, use_bias, dropout, recurrent_dropout)
    return Loop(
        cells=(cell,),
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        stateful=stateful,
        unroll=unroll,
        zero_output_for_mask=zero_output_for_mask,
    )


@recurrent(
    "GRU",
    usual_examples(
        1,
        {"reset_after": False},
        {"reset_after": False, "return_state": True, "use_bias": False, "recurrent_dropout": 0.2},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    ),
)
def gru(
    *,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    reset_after: bool = True,
    use_cudnn: Any = "auto",
    zero_output_for_mask: bool = False,
) -> Loop:
    """nn.GRU, or a local class with a loop, such as for reset_after=False."""
    cell = Cell(
        "GRU", "cell", units, activation, recurrent_activation, use_bias, dropout, recurrent_dropout, reset_after
    )
    return Loop(
        cells=(cell,),
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        stateful=stateful,
        unroll=unroll,
        zero_output_for_mask=zero_output_for_mask,
    )


CELLS = [
    ("SimpleRNNCell", {"units": 4}),
    ("LSTMCell", {"units": 4}),
    ("GRUCell", {"units": 5, "reset_after": False, "dropout": 0.2}),
]
STACK = ("StackedRNNCells", {"cells": CELLS})


@recurrent(
    "RNN",
    [
        *(example(SEQUENCE, cell=cell) for cell in CELLS),
        example(SEQUENCE, cell=STACK, go_backwards=True, **STATES),
        Example((SEQUENCE,), {"cell": STACK, "return_sequences": True}, mask=True),
        Example((SEQUENCE, (4,), (4,)), {"cell": CELLS[1], "return_state": True}, states=2),
    ],
)
def rnn(
    *,
    cell: Layer,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
) -> Loop:
    """The layer of the cell, or one after the other for StackedRNNCells."""
    return Loop(
        cells=cells_of(cell, "cell"),
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        stateful=stateful,
        unroll=unroll,
        zero_output_for_mask=zero_output_for_mask,
    )


def cells_of(layer: Layer, path: str) -> tuple[Cell, ...]:
    """The cells of `layer`, whose variables lie below `path`.

    Raises:
        UntranslatableError: a cell has no translation.
    """
    try:
        made = find_rule(layer).function(None, **find_rule(layer).arguments(layer))
    except UntranslatableError as error:
        raise UntranslatableError(f"its cell {layer.name} ({layer.kind}): {error}") from error
    if isinstance(made, Cell):
        return (replace(made, path=path, layer=layer),)
    return tuple(cell for inner in made for cell in cells_of(inner, f"{path}/{inner.path}"))


def inside_only(inputs: tuple[Any, ...]) -> None:
    """Refuse a cell that is called like a layer."""
    if inputs:
        raise UntranslatableError("a cell outside of RNN has no translation; wrap it in RNN")


@rule("SimpleRNNCell")
def simple_rnn_cell(
    b: Builder | None,
    *inputs: Any,
    units: int,
    activation: Any = "tanh",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
) -> Cell:
    """The nn.RNN that RNN becomes."""
    inside_only(inputs)
    return Cell("RNN", "", units, activation, None, use_bias, dropout, recurrent_dropout)


@rule("LSTMCell")
def lstm_cell(
    b: Builder | None,
    *inputs: Any,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    unit_forget_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
) -> Cell:
    """The nn.LSTM that RNN becomes."""
    inside_only(inputs)
    return Cell("LSTM", "", units, activation, recurrent_activation, use_bias, dropout, recurrent_dropout)


@rule("GRUCell")
def gru_cell(
    b: Builder | None,
    *inputs: Any,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    reset_after: bool = True,
    seed: int | None = None,
) -> Cell:
    """The nn.GRU that RNN becomes."""
    inside_only(inputs)
    return Cell("GRU", "", units, activation, recurrent_activation, use_bias, dropout, recurrent_dropout, reset_after)


@rule("StackedRNNCells")
def stacked_cells(b: Builder | None, *inputs: Any, cells: list[Layer]) -> list[Layer]:
    """One layer after the other."""
    inside_only(inputs)
    return cells
