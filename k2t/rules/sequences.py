"""How a recurrent layer goes over the steps: direction, masks, first and last states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        shapes = [(x.shape[0], cell.units) for cell in loop.cells for _ in range(cell.states)]
        states = kept_states(b, [Value(shape, x.dtype) for shape in shapes], role)
    check_count(states, sum(cell.states for cell in loop.cells))
    final: list[Value] = []
    for number, cell in enumerate(loop.cells):
        own, states = states[: cell.states], states[cell.states :]
        last = number == len(loop.cells) - 1
        part = "_".join(word for word in (role, str(number + 1) if len(loop.cells) > 1 else "") if word)
        steps = Steps(b, cell, part, loop.return_sequences or not last, loop.return_state or loop.stateful)
        x, after = steps.run(Given(x, mask, own))
        final += after
    if mask is not None and loop.zero_output_for_mask:
        x = zero_where_masked(b, x, mask, loop.return_sequences)
    if loop.stateful:
        keep_states(b, final, role)
    return x, tuple(final)


def backwards(b: Builder, x: Value) -> Value:
    """The steps in reverse order."""
    return b.call(".flip", x, Axis(1))


def check_count(states: Sequence[Value], wanted: int) -> None:
    """Refuse another number of first states than the layer has."""
    if states and len(states) != wanted:
        raise UntranslatableError(f"takes {wanted} initial states, is given {len(states)}")


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

    def run(self, call: Given) -> tuple[Value, list[Value]]:
        """The output and the last states."""
        if self.cell.dropout:
            role = f"{self.role}_dropout".strip("_")
            dropout = self.b.module("LockedDropout", self.cell.dropout, role=role)
            call = Given(self.b.call(dropout, call.x, layout="keras"), call.mask, call.states)
        masked_state = call.mask is not None and self.state and (self.cell.states > 1 or bool(call.states))
        if not self.cell.in_torch or masked_state:
            return self.local(call)
        return self.torch(call) if call.mask is None else self.torch_masked(call, call.mask)

    def shape(self, call: Given) -> tuple[int | None, ...]:
        """(N, T, units)."""
        return (*call.x.shape[:2], self.cell.units)

    def new_states(self, call: Given) -> list[Value]:
        """New values for the last states, (N, units)."""
        return [self.b.value((call.x.shape[0], self.cell.units), call.x.dtype) for _ in range(self.cell.states)]

    def output(self, sequence: Value) -> Value:
        """All steps, or the last one."""
        if self.sequences:
            return sequence
        index = (slice(None), -1)
        return self.b.call("[]", sequence, index, shape=(sequence.shape[0], self.cell.units), layout="keras")

    def local(self, call: Given) -> tuple[Value, list[Value]]:
        """A class with a loop, for what PyTorch's layers lack."""
        module = self.cell.in_loop(self.b, call.x, self.role)
        sequence = self.b.value(self.shape(call), call.x.dtype)
        final = self.new_states(call)
        arguments: list[Any] = [call.states] if call.states else []
        options: dict[str, Any] = {} if call.mask is None else {"mask": call.mask}
        outputs = (sequence, tuple(final) if self.state else None)
        self.b.calls(module, call.x, *arguments, outputs=outputs, **options)
        if self.state and not self.sequences and call.mask is None:
            return final[0], final
        return self.output(sequence), final

    def torch(self, call: Given) -> tuple[Value, list[Value]]:
        """nn.LSTM, nn.GRU or nn.RNN, whose states have a first axis for the directions."""
        module = torch_module(self.b, call.x, {"_l0": (self.cell, self.b)}, self.role)
        sequence = self.b.value(self.shape(call), call.x.dtype)
        before = [self.b.call(".unsqueeze", h, 0, shape=(1, *h.shape), layout="keras") for h in call.states]
        after = [self.b.value((1, *h.shape), h.dtype) for h in self.new_states(call)]
        outputs = (sequence, nested(after) if self.state else None)
        self.b.calls(module, call.x, *([nested(before)] if before else []), outputs=outputs)
        if not self.state:
            return self.output(sequence), []
        final = [self.b.call("[]", h, 0, shape=h.shape[1:], layout="keras") for h in after]
        return (sequence if self.sequences else final[0]), final

    def torch_masked(self, call: Given, mask: Value) -> tuple[Value, list[Value]]:
        """The same on the valid steps alone; what follows them does not count."""
        source = self.b.call("valid_first", call.x, mask, shape=call.x.shape, layout="keras")
        steps = Steps(self.b, self.cell, self.role, True, False)
        sequence, _ = steps.torch(Given(source, None, call.states))
        last = None
        if self.state or not self.sequences:
            shape = (sequence.shape[0], self.cell.units)
            last = self.b.call("last_valid", sequence, mask, shape=shape, layout="keras")
        if not self.sequences and last is not None:
            return last, [last]
        output = self.b.call("at_valid", sequence, mask, shape=sequence.shape, layout="keras")
        return output, [] if last is None else [last]


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
    if any(state.shape[0] is None for state in states):
        raise UntranslatableError("stateful=True needs a known batch size; give the model's input a batch_shape")
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
