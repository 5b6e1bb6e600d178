"""How a recurrent layer goes over the steps: direction, masks, first and last states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axis, LayoutKind, Module, Op, Value, values
from k2t.rules.builder import Builder
from k2t.rules.cells import Cell, torch_module
from k2t.rules.masks import as_column


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How a recurrent layer goes over the steps.

    Attributes:
        cells: applied one after the other at each step.
        zero_output_for_mask: whether the output of a masked step is 0, and not that of the step before.
    """

    cells: tuple[Cell, ...]
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    def run(self, b: Builder, call: Given, role: str = "") -> tuple[Value, tuple[Value, ...]]:
        """The output and the last states of one direction, in the order in which Keras returns the steps."""
        return run(b, call, self, role)


@dataclass(frozen=True)
class Given:
    """What a recurrent layer is called with.

    Attributes:
        states: the first states, or none for zeros.
    """

    x: Value
    mask: Value | None
    states: tuple[Value, ...]

    @property
    def output_mask(self) -> Value | None:
        """The mask of an output that has all steps."""
        return self.x.mask if self.mask is None else self.mask


def given(inputs: Any, initial_state: Any, mask: Value | None) -> Given:
    """The arguments of a call.

    Keras 2 has the first states in a list behind the input. Keras 3 has an argument for them, and ignores the mask
    that the input carries when there are any (`Layer.__call__`: only a single tensor's mask becomes `mask`).
    """
    x, *rest = inputs if isinstance(inputs, list | tuple) else [inputs]
    states = tuple(values([rest, initial_state]))
    if mask is None and initial_state is None:
        mask = x.mask
    if mask is not None and mask.rank != 2:
        raise UntranslatableError(f"takes a mask of shape (batch, steps), has {mask.shape}")
    return Given(x, mask, states)


def run(b: Builder, call: Given, loop: Loop, role: str) -> tuple[Value, tuple[Value, ...]]:
    """See `Loop.run`."""
    x, mask, states = call.x, call.mask, call.states
    if loop.go_backwards:
        x = backwards(b, x)
        mask = None if mask is None else backwards(b, mask)
    if loop.stateful and not states:
        shapes = [cell.state_shape(x.shape[0], mask is None) for cell in loop.cells for _ in range(cell.states)]
        states = kept_states(b, [Value(shape, x.dtype) for shape in shapes], role)
    check_count(states, sum(cell.states for cell in loop.cells))
    final: list[Value] = []
    kept: list[Value] = []
    for number, cell in enumerate(loop.cells):
        own, states = states[: cell.states], states[cell.states :]
        last = number == len(loop.cells) - 1
        part = "_".join(word for word in (role, str(number + 1) if len(loop.cells) > 1 else "") if word)
        steps = Steps(b, cell, part, loop.return_sequences or not last, loop.return_state or loop.stateful)
        ran = steps.run(Given(x, mask, own))
        x = ran.output
        final += ran.states
        kept += ran.raw
    # unrolled, Keras forgets that the steps are in reverse order
    valid = call.mask if loop.unroll and loop.return_sequences else mask
    if valid is not None and loop.zero_output_for_mask:
        x = zero_where_masked(b, x, valid, loop.return_sequences)
    if loop.stateful:
        keep_states(b, kept, role)
    return x, tuple(final)


def backwards(b: Builder, x: Value) -> Value:
    """The steps in reverse order."""
    return b.call(".flip", x, Axis(1))


def check_count(states: Sequence[Value], wanted: int) -> None:
    """Refuse another number of first states than the layer has."""
    if states and len(states) != wanted:
        raise UntranslatableError(f"takes {wanted} initial states, is given {len(states)}")


@dataclass(frozen=True)
class Ran:
    """What a cell has made of all steps.

    Attributes:
        output: all steps, or the last one.
        states: the last states, each (N, units).
        raw: the same as the module returns them.
    """

    output: Value
    states: list[Value]
    raw: list[Value]


@dataclass(frozen=True)
class Steps:
    """One cell over all steps.

    Attributes:
        sequences: whether the output has all steps, or the last one only.
        state: whether the last states are wanted.
    """

    b: Builder
    cell: Cell
    role: str
    sequences: bool
    state: bool

    def run(self, call: Given) -> Ran:
        """The output and the last states."""
        if self.cell.dropout:
            role = f"{self.role}_dropout".strip("_")
            dropout = self.b.module("LockedDropout", self.cell.dropout, role=role)
            call = Given(self.b.call(dropout, call.x, layout="keras"), call.mask, call.states)
        masked_state = call.mask is not None and self.state and (self.cell.states > 1 or bool(call.states))
        if not self.cell.in_torch or masked_state:
            return self.local(call)
        return self.torch(call) if call.mask is None else self.torch_masked(call, call.mask)

    def sequence(self, call: Given) -> Value:
        """A new value for all steps, (N, T, units)."""
        return self.b.value((*call.x.shape[:2], self.cell.units), call.x.dtype)

    def new_states(self, call: Given, in_torch: bool) -> list[Value]:
        """New values for the last states."""
        shape = self.cell.state_shape(call.x.shape[0], in_torch)
        return [self.b.value(shape, call.x.dtype) for _ in range(self.cell.states)]

    def output(self, sequence: Value, states: list[Value]) -> Value:
        """All steps, or the last one: the state where that is wanted anyway."""
        if self.sequences:
            return sequence
        if self.state:
            return states[0]
        index = (slice(None), -1)
        return self.b.call("[]", sequence, index, shape=(sequence.shape[0], self.cell.units), layout="keras")

    def local(self, call: Given) -> Ran:
        """A class with a loop, for what PyTorch's layers lack."""
        module = self.cell.in_loop(self.b, call.x, self.role)
        sequence, final = self.sequence(call), self.new_states(call, False)
        arguments: list[Any] = [call.states] if call.states else []
        options: dict[str, Any] = {} if call.mask is None else {"mask": call.mask}
        self.b.calls(module, call.x, *arguments, outputs=(sequence, tuple(final)), **options)
        if call.mask is not None and not self.sequences:
            # the output before the first valid step is 0, whatever the first state
            return Ran(replace(self, state=False).output(sequence, []), final, final)
        return Ran(self.output(sequence, final), final, final)

    def torch(self, call: Given) -> Ran:
        """nn.LSTM, nn.GRU or nn.RNN, whose states have a first axis for the directions."""
        module = torch_module(self.b, call.x, {"_l0": (self.cell, self.b)}, self.role)
        sequence, after = self.sequence(call), self.new_states(call, True)
        before = [
            self.b.call(".unsqueeze", h, 0, shape=(1, *h.shape), layout="keras") if h.rank == 2 else h
            for h in call.states
        ]
        self.b.calls(module, call.x, *([nested(before)] if before else []), outputs=(sequence, nested(after)))
        states = [self.b.call("[]", h, 0, shape=h.shape[1:], layout="keras") for h in after]
        return Ran(self.output(sequence, states), states, after)

    def torch_masked(self, call: Given, mask: Value) -> Ran:
        """The same on the valid steps alone; what follows them does not count."""
        source = self.b.call("valid_first", call.x, mask, shape=call.x.shape, layout="keras")
        sequence = replace(self, sequences=True).torch(Given(source, None, call.states)).output
        shape = (sequence.shape[0], self.cell.units)
        last = self.b.call("last_valid", sequence, mask, shape=shape, layout="keras")
        steps = self.b.call("at_valid", sequence, mask, shape=sequence.shape, layout="keras")
        return Ran(steps if self.sequences else last, [last], [last])


def nested(states: Sequence[Value]) -> Any:
    """As PyTorch has them: (h, c), or h alone."""
    return states[0] if len(states) == 1 else tuple(states)


def zero_where_masked(b: Builder, x: Value, mask: Value, sequences: bool) -> Value:
    """Zeros where the step is masked; for the last output alone, where the last step is."""
    if sequences:
        valid = as_column(b, mask, x.rank)
    else:
        index = (slice(None), slice(-1, None))
        valid = b.call("[]", mask, index, shape=(mask.shape[0], 1), layout="keras")
    return b.call("*", x, valid, shape=x.shape, layout="keras")


def kept_states(b: Builder, states: Sequence[Value], role: str, layout: LayoutKind = "keras") -> tuple[Value, ...]:
    """The states that the call before has left; `states` says what they are like."""
    if b.parts.shared:
        raise UntranslatableError("stateful=True and several calls in one model have no translation")
    if any(None in state.shape for state in states):
        raise UntranslatableError("stateful=True needs known sizes; give the model's input a batch_shape")
    kept = tuple(b.value(state.shape, state.dtype) for state in states)
    b.calls(state_module(b, states, role, layout), outputs=kept, layout=layout)
    return kept


def keep_states(b: Builder, states: Sequence[Value], role: str, layout: LayoutKind = "keras") -> None:
    """Keep the states for the next call."""
    b.ops.append(Op(state_module(b, states, role, layout), tuple(states), {}, None, layout))


def state_module(b: Builder, states: Sequence[Value], role: str, layout: LayoutKind) -> Module:
    """The module that holds the states of a stateful layer."""
    shapes = [state.shape for state in states]
    if layout == "first":
        shapes = [(shape[0], shape[-1], *shape[1:-1]) for shape in shapes]
    return b.module("RecurrentState", *shapes, role=f"{role}_state".strip("_"))
