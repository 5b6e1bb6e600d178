"""Layers around layers: Bidirectional and TimeDistributed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Layer, map_structure
from k2t.program import Size, Sizes, Value, leaves, values
from k2t.rules.base import Example, example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.cells import Cell, torch_module
from k2t.rules.core import concatenate
from k2t.rules.masks import any_last
from k2t.rules.recurrent import LOOPS, STATES, loop_of
from k2t.rules.sequences import Given, Loop, backwards, given, nested

SEQUENCE = (6, 3)
LSTM = ("LSTM", {"units": 4})
SEQUENCES = ("LSTM", {"units": 4, "return_sequences": True})
BACKWARD = ("GRU", {"units": 4, "return_sequences": True, "go_backwards": True, "reset_after": False})


@dataclass(frozen=True)
class Direction:
    """One of the two layers of a Bidirectional.

    Attributes:
        b: the builder of this layer, where its variables are.
    """

    b: Builder
    loop: Loop

    @property
    def cell(self) -> Cell:
        """The cell, where there is only one."""
        return self.loop.cells[0]


@rule(
    "Bidirectional",
    examples=[
        *(example(SEQUENCE, layer=LSTM, merge_mode=mode) for mode in ("concat", "ave", None)),
        *(example((None, 3), layer=SEQUENCES, merge_mode=mode) for mode in ("concat", "sum", "mul")),
        example(SEQUENCE, layer=("GRU", {"units": 4, "return_state": True})),
        example(SEQUENCE, layer=("GRU", {"units": 4, "reset_after": False, "dropout": 0.2})),
        example(SEQUENCE, layer=("SimpleRNN", {"units": 4, "activation": "relu", "use_bias": False})),
        example(SEQUENCE, layer=("LSTM", {"units": 4, "activation": "relu", **STATES}), merge_mode=None),
        example(SEQUENCE, layer=("RNN", {"cell": ("LSTMCell", {"units": 4})})),
        example(SEQUENCE, layer=SEQUENCES, backward_layer=BACKWARD),
        Example((SEQUENCE,), {"layer": LSTM}, mask=True),
        Example((SEQUENCE,), {"layer": SEQUENCES, "backward_layer": BACKWARD}, mask=True),
        Example((SEQUENCE, *[(4,)] * 4), {"layer": ("LSTM", {"units": 4, "return_state": True})}, states=4),
        Example((SEQUENCE, *[(4,)] * 4), {"layer": SEQUENCES, "merge_mode": "sum"}, states=4, mask=True),
    ],
)
def bidirectional(
    b: Builder,
    inputs: Any,
    *,
    layer: Layer,
    merge_mode: str | None = "concat",
    weights: Any = None,
    backward_layer: Layer | None = None,
    initial_state: Any = None,
    mask: Value | None = None,
) -> Any:
    """nn.LSTM, nn.GRU or nn.RNN with bidirectional=True, or two layers."""
    require(merge_mode, ("concat", "sum", "mul", "ave", None), "merge_mode")
    call = given(inputs, initial_state, mask)
    forward = direction(b, layer, "forward_layer")
    backward = direction(b, backward_layer or turned(layer), "backward_layer")
    if in_one_module(call, forward, backward):
        outputs, states = run_together(b, call, (forward, backward), merge_mode)
    else:
        outputs, states = run_apart(call, (forward, backward), merge_mode)
    if forward.loop.return_sequences:
        for output in outputs:
            output.mask = call.output_mask
    if forward.loop.return_state:
        return (*outputs, *states)
    return outputs[0] if merge_mode else tuple(outputs)


def turned(layer: Layer) -> Layer:
    """The layer that goes the other way."""
    backwards = not layer.options.get("go_backwards", False)
    return replace(layer, name=f"backward_{layer.name}", options={**layer.options, "go_backwards": backwards})


def direction(b: Builder, layer: Layer, key: str) -> Direction:
    """A layer inside. Keras has masked steps return 0 where Bidirectional returns all steps."""
    child = Builder(b.ops, b.parts.child(layer, key), b.call_name)
    loop = loop_of(layer)
    return Direction(child, replace(loop, zero_output_for_mask=loop.return_sequences))


def in_one_module(call: Given, forward: Direction, backward: Direction) -> bool:
    """Whether PyTorch's layer with two directions computes the same, in training too."""
    first, second = forward.loop, backward.loop
    if call.mask is not None or first.stateful or first.go_backwards or len(first.cells) != 1 or len(second.cells) != 1:
        return False
    alike = forward.cell == replace(backward.cell, path=forward.cell.path)
    return alike and forward.cell.in_torch and not forward.cell.dropout


def run_together(
    b: Builder, call: Given, directions: tuple[Direction, Direction], merge_mode: str | None
) -> tuple[list[Value], list[Value]]:
    """Both directions in one module: the outputs, and the last states."""
    cell, loop = directions[0].cell, directions[0].loop
    suffixes = ("_l0", "_l0_reverse")
    cells = {suffix: (way.cell, way.b) for suffix, way in zip(suffixes, directions, strict=True)}
    module = torch_module(b, call.x, cells, "")
    batch = call.x.shape[0]
    pairs = zip(call.states[: cell.states], call.states[cell.states :], strict=True)
    before = [b.call("torch.stack", list(pair), shape=(2, batch, cell.units), layout="keras") for pair in pairs]
    sequence = b.value((*call.x.shape[:2], 2 * cell.units), call.x.dtype)
    after = [b.value((2, batch, cell.units), call.x.dtype) for _ in range(cell.states)]
    wanted = loop.return_state or not loop.return_sequences
    outputs = (sequence, nested(after) if wanted else None)
    b.calls(module, call.x, *([nested(before)] if before else []), outputs=outputs)
    states = [
        b.call("[]", state, way, shape=(batch, cell.units), layout="keras")
        for way in range(2)
        for state in (after if loop.return_state else [])
    ]
    if loop.return_sequences:
        if merge_mode == "concat":
            return [sequence], states
        return merge(b, halves(b, ".chunk", sequence, 2, -1), merge_mode), states
    if merge_mode == "concat":
        last = b.call(".unbind", after[0], 0, shape=after[0].shape, layout="keras")
        return [b.call("torch.cat", last, dim=-1, shape=(batch, 2 * cell.units), layout="keras")], states
    return merge(b, halves(b, ".unbind", after[0], 0), merge_mode), states


def halves(b: Builder, target: str, x: Value, *args: int) -> list[Value]:
    """What each direction has."""
    units = (x.shape[-1] or 0) // (2 if target == ".chunk" else 1)
    pair = [b.value((*(x.shape[:-1] if target == ".chunk" else x.shape[1:-1]), units), x.dtype) for _ in range(2)]
    b.calls(target, x, *args, outputs=tuple(pair))
    return pair


def run_apart(
    call: Given, directions: tuple[Direction, Direction], merge_mode: str | None
) -> tuple[list[Value], list[Value]]:
    """A module for each direction: the outputs, and the last states."""
    half = len(call.states) // 2
    parts = (call.states[:half], call.states[half:])
    outputs: list[Value] = []
    states: list[Value] = []
    for way, part, role in zip(directions, parts, ("forward", "backward"), strict=True):
        output, final = way.loop.run(way.b, replace(call, states=part), role)
        outputs.append(output)
        states += final
    b = directions[0].b
    if directions[0].loop.return_sequences:
        outputs[1] = backwards(b, outputs[1])
    return merge(b, outputs, merge_mode), states


def merge(b: Builder, pair: list[Value], mode: str | None) -> list[Value]:
    """Both directions as one tensor; as two for no mode."""
    if mode is None:
        return pair
    if mode == "concat":
        return [concatenate(b, pair, -1)]
    output = b.call("*" if mode == "mul" else "+", *pair)
    return [b.call("/", output, 2) if mode == "ave" else output]


# These see the last axis alone: nothing needs to be merged.
LAST_AXIS = frozenset({"Activation", "Dense", "ELU", "LeakyReLU", "ReLU"})
IMAGES = (4, 6, 6, 2)


@rule(
    "TimeDistributed",
    masking=True,
    examples=[
        example((5, 4), layer=("Dense", {"units": 3, "activation": "relu"})),
        example((5, 4), layer=("BatchNormalization", {})),
        example(IMAGES, layer=("Conv2D", {"filters": 3, "kernel_size": 3, "padding": "same"})),
        example((None, None, None, 2), layer=("Conv2D", {"filters": 3, "kernel_size": 3})),
        example(IMAGES, layer=("MaxPooling2D", {})),
        example(IMAGES, layer=("Flatten", {})),
        example(IMAGES, layer=("GlobalAveragePooling2D", {})),
        example((3, 6, 2), layer=("LSTM", {"units": 3})),
        example((3, 6, 2), layer=("Bidirectional", {"layer": SEQUENCES})),
        example((3, 4, 2), layer=("TimeDistributed", {"layer": ("Dense", {"units": 3})})),
        example((4, 6), layer=("Reshape", {"target_shape": [3, 2]})),
        Example(((3, 4),), {"layer": ("Embedding", {"input_dim": 7, "output_dim": 3})}, integers=7),
        Example(((5, 4),), {"layer": ("Dense", {"units": 3})}, mask=True),
    ],
)
def time_distributed(b: Builder, x: Any, *, layer: Layer) -> Any:
    """The layer itself on batch and steps as one axis; directly where it sees the last axis alone."""
    if layer.kind in LAST_AXIS:
        return b.apply(layer, x, key="layer")
    first = next(iter(values(x)), None)
    if first is None:
        raise UntranslatableError("is called without a tensor")
    if first.mask is not None and first.rank == 3 and b.layer.keras_2 and layer.kind == "BatchNormalization":
        return b.apply(of_sequences(layer), x, key="layer")
    if first.mask is not None and first.mask.rank == 2 and (layer.kind in LOOPS or layer.kind == "Bidirectional"):
        raise UntranslatableError(f"hands a mask with one value for each step on to {layer.kind}, which needs several")
    merged = map_structure(lambda value: merge_frames(b, value), x)
    return map_structure(lambda value: split_frames(b, value, first), b.apply(layer, merged, key="layer"))


def of_sequences(layer: Layer) -> Layer:
    """The layer for frames as one for sequences, whose axes are counted with the steps: Keras 2 trains it on both."""
    axes = [axis + 1 if axis > 0 else axis for axis in leaves(layer.options.get("axis", -1))]
    return replace(layer, options={**layer.options, "axis": axes})


def mask_in_keras_2(b: Builder, y: Value, x: Value) -> Value | None:
    """The mask of the output in Keras 2: what the layer inside makes of it, else steps with anything valid."""
    if y.mask is not None:
        return split_frames(b, y.mask, x)
    mask = x.mask
    while mask is not None and mask.rank > 2:
        mask = any_last(b, mask)
    return mask


def merge_frames(b: Builder, x: Value) -> Value:
    """(N, T, ...) -> (N * T, ...), the mask too where it has a value for more than each step."""
    split = next((op for op in reversed(b.ops) if op.outputs is x), None)
    if split is not None and split.layout == "split_frames":
        frames: Value = split.args[0]
        return frames
    batch, steps, *rest = x.shape
    count = None if batch is None or steps is None else batch * steps
    merged = b.call(".flatten", x, 0, 1, shape=(count, *rest), layout="merge_frames")
    if x.mask is not None and x.mask.rank > 2:
        merged.mask = merge_frames(b, x.mask)
    return merged


def split_frames(b: Builder, y: Value, x: Value) -> Value:
    """(N * T, ...) -> (N, T, ...) with the steps of `x`."""
    rest = [Size(y, axis) if size is None else size for axis, size in enumerate(y.shape) if axis > 0]
    steps = Size(x, 1) if x.shape[1] is None else x.shape[1]
    sizes = Sizes((-1, steps, *rest))
    output = b.call(".reshape", y, sizes, shape=(*x.shape[:2], *y.shape[1:]), layout="split_frames")
    output.mask = mask_in_keras_2(b, y, x) if b.layer.keras_2 else None
    return output
