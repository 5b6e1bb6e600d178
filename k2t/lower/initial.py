"""How the first values of a tensor are drawn in PyTorch, as statements with `{}` for the tensor."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from k2t.lower.constants import expression
from k2t.program import Block, Initializer, Variable, Weight

Statements = tuple[str, ...]
LARGEST = 1 << 22
# What a distribution that is cut at two standard deviations loses, as Keras counts it.
CUT = 0.87962566103423978


def begin(block: Block) -> None:
    """Say of each weight of a block how training begins."""
    for module in block.modules():
        for inner in module.tree():
            inner.weights = {key: replace(weight, start=statements(weight)) for key, weight in inner.weights.items()}
    for item in block.parameters():
        if item.weight.variables:
            item.weight = replace(item.weight, start=statements(item.weight))


def write_constants(block: Block) -> None:
    """Say of each short constant of a block what it is."""
    for item in block.parameters():
        if not item.weight.variables:
            item.weight = replace(item.weight, text=expression(item.weight.transform()))


def statements(weight: Weight) -> Statements | None:
    """What draws the values of an entry as Keras does; None where that is not known.

    They name no size where one of torch.nn.init's functions finds it in the tensor, so that they serve layers of
    all sizes. A transform moves elements only, so that independent ones stay so.
    """
    if not weight.variables:
        return constant(np.unique(weight.transform()))
    first = weight.variables[0]
    starts = {(variable.initializer, variable.fans) for variable in weight.variables}
    if len(starts) != 1 or first.initializer is None:
        return None
    whole, count = draw(first.initializer, first, weight), len(weight.variables)
    if count == 1 or not are_behind_each_other(weight):
        return whole
    part = replace(weight, variables=(first,), transform=lambda x: np.split(weight.transform(*[x] * count), count)[0])
    found = draw(first.initializer, first, part)
    if found is None or found == whole:
        return whole
    return tuple(f"for part in {{}}.chunk({count}): {line.format('part')}" for line in found)


def are_behind_each_other(weight: Weight) -> bool:
    """Whether each variable is one of so many equal parts of the tensor along its first axis."""
    numbered = [np.broadcast_to(np.float32(i), variable.shape) for i, variable in enumerate(weight.variables)]
    made = weight.transform(*numbered)
    if not made.ndim or made.shape[0] % len(numbered):
        return False
    return all((part == i).all() for i, part in enumerate(np.split(made, len(numbered))))


def constant(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Statements | None:
    """One value for all."""
    return fill(values[0].item()) if len(values) == 1 else None


def fill(value: float) -> Statements:
    """`nn.init.zeros_` and its like."""
    named = {0.0: "nn.init.zeros_({})", 1.0: "nn.init.ones_({})"}
    return (named.get(value, f"nn.init.constant_({{}}, {number(value)})"),)


def draw(initializer: Initializer, variable: Variable, weight: Weight) -> Statements | None:
    """The statements of one initializer for the only variable, or for several that start alike."""
    values = initializer.values
    if initializer.kind == "constant":
        return fill(values[0])
    if initializer.kind == "forget_gate":
        base = draw(values[0], variable, weight)
        return base and (*base, "nn.init.ones_({}.chunk(4)[1])  # the forget gate")
    if initializer.kind == "uniform":
        return (f"nn.init.uniform_({{}}, {number(values[0])}, {number(values[1])})",)
    if initializer.kind == "normal":
        return normal(*values)
    if initializer.kind == "truncated_normal":
        return truncated(*values)
    shape = shape_of(weight)
    if initializer.kind == "variance_scaling":
        return variance_scaling(initializer, variable, shape)
    if initializer.kind == "orthogonal":
        return orthogonal(values[0], variable.shape, shape)
    return identity(values[0], variable.shape, weight) if len(shape) == 2 else None


def shape_of(weight: Weight) -> tuple[int, ...]:
    """The shape of the tensor."""
    zeros = [np.broadcast_to(np.zeros((), np.float32), variable.shape) for variable in weight.variables]
    return weight.transform(*zeros).shape


def normal(mean: float, std: float) -> Statements:
    """`nn.init.normal_`."""
    return (f"nn.init.normal_({{}}, {f'{number(mean)}, ' if mean else ''}std={number(std)})",)


def truncated(mean: float, std: float) -> Statements:
    """`nn.init.trunc_normal_`; Keras cuts at two standard deviations, torch by default at 2."""
    bounds = f"a={number(mean - 2 * std)}, b={number(mean + 2 * std)}"
    return (f"nn.init.trunc_normal_({{}}, {f'{number(mean)}, ' if mean else ''}std={number(std)}, {bounds})",)


def variance_scaling(initializer: Initializer, variable: Variable, shape: tuple[int, ...]) -> Statements | None:
    """By the fans of the tensor, where these are Keras's; else with the numbers that Keras computes."""
    scale, mode, distribution = initializer.values
    if len(shape) >= 2:
        found = by_fans(scale, mode, distribution, variable.fans, fans_of(shape))
        if found is not None:
            return (found,)
    fans = {"fan_in": variable.fans[0], "fan_out": variable.fans[1], "fan_avg": sum(variable.fans) / 2}
    if mode not in fans or scale <= 0:
        return None
    std = math.sqrt(scale / max(1.0, fans[mode]))
    if distribution == "uniform":
        limit = math.sqrt(3) * std
        return (f"nn.init.uniform_({{}}, {number(-limit)}, {number(limit)})",)
    return truncated(0, std / CUT) if distribution == "truncated_normal" else normal(0, std)


def fans_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """What torch.nn.init counts as inputs and outputs of a tensor (out, in, ...)."""
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def by_fans(scale: float, mode: str, distribution: str, keras: tuple[int, int], torch: tuple[int, int]) -> str | None:
    """A function that finds the fans in the tensor itself; None where these are others."""
    if mode == "fan_avg":
        scale = scale * sum(torch) / sum(keras)
        if scale != round(scale):
            return None
    else:
        wanted = keras[mode == "fan_out"]
        names = [name for name, fan in zip(("fan_in", "fan_out"), torch, strict=True) if fan == wanted]
        if not names:
            return None
        mode = mode if mode in names else names[0]
    if distribution == "truncated_normal":
        return f"variance_scaling_({{}}{given(scale, 1)}{option('mode', mode, 'fan_in')})"
    kind = {"uniform": "uniform", "untruncated_normal": "normal"}.get(distribution)
    if kind is None:
        return None
    if mode == "fan_avg":
        gain = "" if scale == 1 else f", gain=math.sqrt({scale:g})"
        return f"nn.init.xavier_{kind}_({{}}{gain})"
    if scale > 2:
        return None
    named = {1: 'nonlinearity="linear"', 2: 'nonlinearity="relu"'}
    slope = named[int(scale)] if scale in named else f"a=math.sqrt({2 / scale - 1:.9g})"
    return f"nn.init.kaiming_{kind}_({{}}{option('mode', mode, 'fan_in')}, {slope})"


def given(value: float, default: float) -> str:
    """A positional argument, unless it is the default."""
    return "" if value == default else f", {number(value)}"


def option(name: str, value: str, default: str) -> str:
    """A named argument, unless it is the default."""
    return "" if value == default else f', {name}="{value}"'


def orthogonal(gain: float, keras: tuple[int, ...], shape: tuple[int, ...]) -> Statements | None:
    """`nn.init.orthogonal_`, where both see the same matrix: Keras's last axis is PyTorch's first."""
    if len(shape) < 2 or shape[0] != keras[-1] or math.prod(shape) != math.prod(keras):
        return None
    return (f"nn.init.orthogonal_({{}}{'' if gain == 1 else f', gain={number(gain)}'})",)


def identity(gain: float, keras: tuple[int, ...], weight: Weight) -> Statements | None:
    """`nn.init.eye_`, where the gates are in the same order."""
    if len(keras) != 2 or math.prod(keras) > LARGEST or len(weight.variables) != 1:
        return None
    made = weight.transform(np.eye(*keras, dtype=np.float32))
    if not np.array_equal(made, np.eye(*made.shape, dtype=np.float32)):
        return None
    return ("nn.init.eye_({})",) if gain == 1 else ("nn.init.eye_({})", f"{{}}.detach().mul_({number(gain)})")


def number(value: float) -> str:
    """A number as a person writes it."""
    if not math.isfinite(value):
        return f'float("{value}")'
    return repr(float(f"{value:.9g}")) if value != round(value) or abs(value) > 1e6 else f"{value:.1f}"
