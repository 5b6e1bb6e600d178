"""Constants that are not the same in all instances: what they are called, and in which order they are filled."""

from __future__ import annotations

from dataclasses import dataclass

from k2t.program import Block, Module, Op
from k2t.recover.express import MISSING, Column
from k2t.recover.forms import Slot

POSITIONS = {
    "nn.Conv": ("in_channels", "out_channels", "kernel_size"),
    "nn.Linear": ("in_features", "out_features"),
    "nn.BatchNorm": ("num_features",),
    "nn.LayerNorm": ("normalized_shape",),
    "nn.GroupNorm": ("num_groups", "num_channels"),
    "nn.Dropout": ("dropout",),
    "StochasticDepth": ("drop_path",),
    "nn.MaxPool": ("kernel_size",),
    "nn.AvgPool": ("kernel_size",),
    "nn.LSTM": ("input_size", "hidden_size"),
    "nn.GRU": ("input_size", "hidden_size"),
    "nn.MultiheadAttention": ("embed_dim", "num_heads"),
    "SelfAttention": ("in_features", "heads", "head_size"),
}
CHANNELS = {
    "in_channels",
    "out_channels",
    "in_features",
    "out_features",
    "num_features",
    "normalized_shape",
    "num_channels",
    "groups",
    "input_size",
    "hidden_size",
    "embed_dim",
    "shape",
}
SPATIAL = ("kernel_size", "stride", "dilation", "padding", "pad")


@dataclass
class Hole:
    """A constant that is not the same in all instances."""

    step: int
    slot: Slot
    name: str
    kind: str
    column: Column


def slot_name(op: Op, slot: Slot) -> str:
    """What PyTorch calls the argument."""
    if "shape" in slot:
        return "shape"
    target = op.target
    if slot[0] == "module" and isinstance(target, Module):
        if isinstance(slot[1], str):
            return slot[1]
        if isinstance(target.call, Block):
            return target.call.arguments[slot[1]].name
        names = next((names for call, names in POSITIONS.items() if target.call.startswith(call)), ())
        return names[slot[1]] if slot[1] < len(names) else "value"
    if slot == ("target",):
        return "activation"
    if target == "F.pad":
        return "pad"
    named = [part for part in slot[1:] if isinstance(part, str)]
    return named[-1] if named else "scale" if target in ("*", "/") else "value"


def kind_of_name(name: str, column: Column) -> str:
    """Which columns may be computed from each other."""
    if name in CHANNELS or name.endswith("channels"):
        return "channels"
    if name in SPATIAL:
        return "spatial"
    return type(next(value for value in column if value is not MISSING)).__name__


def priority(hole: Hole) -> tuple[int, int, float]:
    """Channels first, small ones before large ones; then kernel, stride and padding; then the rest.

    What every instance has comes before what some lack: they take any value there.
    """
    missing = hole.column.count(MISSING)
    if hole.kind == "channels":
        return 0, missing, sum(value for value in hole.column if type(value) is int)
    if hole.name in SPATIAL:
        return 1, missing, SPATIAL.index(hole.name)
    return 2, missing, 0
