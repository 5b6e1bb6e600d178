"""Folds batch normalization into the weights in front of it or behind it, for inference (`--fold-bn`).

With s = gamma / sqrt(variance + epsilon) and t = beta - s * mean, normalization is s * x + t for each channel.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from math import prod

import numpy as np

from k2t.graph import Array
from k2t.lower.fold import read_counts
from k2t.program import Block, Module, Op, Value, Weight, values

TRANSPOSED = ("nn.ConvTranspose1d", "nn.ConvTranspose2d", "nn.ConvTranspose3d")
CONVOLUTIONS = tuple(f"{name}{rank}d{same}" for rank in (1, 2, 3) for name, same in (("nn.Conv", ""), ("Conv", "Same")))
FLOATS = ("float16", "float32", "float64")


def fold_batchnorm(block: Block) -> None:
    """Given: y = bn(conv(x)). Result: y = conv(x) with other weights; as well bn behind a linear layer and in front.

    In front only where nothing pads in between, since s * 0 + t is not 0. Each of the two must be called together
    with the other only.
    """
    reads = read_counts(block)
    makers = {value: op for op in block.ops for value in values(op.outputs)}
    readers = {value: op for op in block.ops for value in values((op.args, op.kwargs)) if reads[value] == 1}
    calls: dict[Module, list[Op]] = defaultdict(list)
    for op in block.ops:
        if isinstance(op.target, Module):
            calls[op.target].append(op)
    gone: set[Op] = set()
    for norm in [module for module in calls if is_folded(module)]:
        before = [source(op.args[0], makers, reads) for op in calls[norm]]
        behind = [readers.get(op.outputs) for op in calls[norm]]
        if (module := partner(before, calls)) and all(map(leaves_channels, calls[module], calls[norm])):
            scale_outputs(module, norm)
            for op in calls[norm]:
                last = makers[op.args[0]]
                last.outputs = op.outputs
                makers[op.outputs] = last
        elif (module := partner(behind, calls)) and all(map(takes_channels, calls[module], calls[norm])):
            scale_inputs(module, norm)
            for op, reader in zip(calls[norm], calls[module], strict=True):
                reader.args = op.args
                readers[op.args[0]] = reader
        else:
            continue
        gone.update(calls[norm])
    block.ops = [op for op in block.ops if op not in gone]


def is_folded(module: Module) -> bool:
    """Whether it normalizes with the statistics of training."""
    return isinstance(module.call, str) and "BatchNorm" in module.call and "running_var" in module.weights


def source(value: Value, makers: dict[Value, Op], reads: Counter[Value]) -> Op | None:
    """The operation that makes a value for one reader, behind the slices that some transposed convolutions need."""
    op = makers.get(value)
    while op is not None and reads[value] == 1 and op.target == "[]" and isinstance(op.args[0], Value):
        value = op.args[0]
        op = makers.get(value)
    return op if reads[value] == 1 else None


def partner(ops: Sequence[Op | None], calls: dict[Module, list[Op]]) -> Module | None:
    """The layer that makes up all of `ops`, in its order, if it has weights into which a factor can go."""
    module = ops[0].target if ops[0] else None
    if not isinstance(module, Module) or calls[module] != ops:
        return None
    known = module.call in (*CONVOLUTIONS, *TRANSPOSED, "nn.Linear")
    dtypes = {variable.dtype for weight in module.weights.values() for variable in weight.variables}
    return module if known and dtypes <= set(FLOATS) else None


def channels(op: Op, value: Value) -> int:
    """The axis of the channels of what a layer reads or makes."""
    return 1 if op.layout == "keras" else value.rank - 1


def leaves_channels(before: Op, norm: Op) -> bool:
    """Whether the normalization is over the channels that the layer in front makes."""
    value: Value = norm.args[0]
    return before.outputs.rank == value.rank and channels(before, value) == channels(norm, value)


def takes_channels(behind: Op, norm: Op) -> bool:
    """Whether the layer behind reads the normalized channels, and pads nothing."""
    module, value = behind.target, norm.outputs
    if not isinstance(module, Module) or module.call not in ("nn.Linear", *CONVOLUTIONS[::2]):
        return False
    if "padding" in module.kwargs or behind.args[0] is not value:
        return False
    return channels(behind, value) == channels(norm, value)


def scale_outputs(module: Module, norm: Module) -> None:
    """y = s * (W x + b) + t."""
    axis = 1 if module.call in TRANSPOSED else 0
    weight, bias = module.weights["weight"], module.weights.get("bias")
    parts = affine(norm)

    def kernel(array: Array, *rest: Array) -> Array:
        scale, _ = factors(norm, rest)
        return array * scale.reshape(-1, *(1,) * (array.ndim - 1 - axis))

    def offset(*arrays: Array) -> Array:
        scale, shift = factors(norm, arrays[: len(parts)])
        return sum(arrays[len(parts) :], 0.0) * scale + shift

    module.weights["weight"] = combined([weight, *parts], kernel)
    module.weights["bias"] = combined([*parts, *([bias] if bias else [])], offset)
    module.kwargs.pop("bias", None)


def scale_inputs(module: Module, norm: Module) -> None:
    """y = W (s * x + t) + b."""
    groups = module.kwargs.get("groups", 1)
    weight, bias = module.weights["weight"], module.weights.get("bias")
    parts = affine(norm)

    def inputs(array: Array, factor: Array) -> Array:
        split = array.reshape(groups, array.shape[0] // groups, array.shape[1], -1)
        scaled: Array = split * factor.reshape(groups, 1, array.shape[1], 1)
        return scaled

    def kernel(array: Array, *rest: Array) -> Array:
        return inputs(array, factors(norm, rest)[0]).reshape(array.shape)

    def offset(array: Array, *rest: Array) -> Array:
        added = inputs(array, factors(norm, rest[: len(parts)])[1]).reshape(array.shape[0], prod(array.shape[1:]))
        return np.asarray(sum(rest[len(parts) :], 0.0) + added.sum(axis=1))

    module.weights["weight"] = combined([weight, *parts], kernel)
    module.weights["bias"] = combined([weight, *parts, *([bias] if bias else [])], offset)
    module.kwargs.pop("bias", None)


def affine(norm: Module) -> list[Weight]:
    """The state of a normalization, in the order of its keys."""
    return list(norm.weights.values())


def factors(norm: Module, arrays: Sequence[Array]) -> tuple[Array, Array]:
    """(s, t) from the arrays of its state."""
    state = dict(zip(norm.weights, arrays, strict=True))
    scale = state.get("weight", 1.0) / np.sqrt(state["running_var"] + norm.kwargs["eps"])
    return scale, state.get("bias", 0.0) - scale * state["running_mean"]


def combined(parts: Sequence[Weight], function: Callable[..., Array]) -> Weight:
    """An entry that is made of others; kept in float64, so that folding rounds once, where it is loaded."""

    def transform(*arrays: Array) -> Array:
        rest = iter(arrays)
        made = [part.transform(*islice(rest, len(part.variables))) for part in parts]
        return function(*(array.astype(np.float64) for array in made))

    variables = tuple(variable for part in parts for variable in part.variables)
    return Weight(variables, transform, trainable=parts[0].trainable, dtype="float64")
