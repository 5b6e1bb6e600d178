"""Quantized weights of Keras 3, and LoRA: what Dense, EinsumDense, Embedding and convolutions keep then.

Formulas and orders of the variables: `variable_serialization_spec`, `quantizers.py` and `enable_lora` of Keras 3.15.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array, Shape
from k2t.program import Code, Value, Variable, Weight
from k2t.rules.base import require, size
from k2t.rules.builder import Builder

INT8_INPUTS = {"value_range": [-127, 127], "epsilon": 1e-7, "output_dtype": "int8"}


@dataclass(frozen=True)
class Scheme:
    """How a layer is quantized.

    Attributes:
        mode: int8, int4, gptq or awq.
        bits: of a weight; two weights of 4 bits share a byte.
        block: how many inputs share a scale, None for all.
        levels, eps: of the rounding of the inputs; 0 levels where these are not rounded.
    """

    mode: str
    bits: int
    block: int | None
    levels: int
    eps: float

    def groups(self, size: int) -> int:
        """The number of groups of `size` inputs."""
        return 1 if self.block is None else ceil(size / self.block)


def scheme(config: dict[str, Any]) -> Scheme:
    """What `quantization_config` says, to which the reader adds the mode of the dtype policy.

    Raises:
        UntranslatableError: a mode without a translation.
    """
    mode, *numbers = str(config.get("mode")).split("/")
    if mode == "int8":
        default: Any = {"class_name": "AbsMaxQuantizer", "config": INT8_INPUTS}
        return Scheme("int8", 8, None, *rounding(config.get("activation_quantizer", default)))
    if mode == "int4" and len(numbers) == 1:
        levels, eps = rounding(config.get("activation_quantizer"))
        return Scheme("int4", 4, size_of(numbers[0]), levels, eps)
    if mode in ("gptq", "awq") and len(numbers) == 2:
        return Scheme(mode, int(numbers[0]), size_of(numbers[1]), 0, 0.0)
    raise UntranslatableError(f"quantized as {config.get('mode')}, which has no translation; dequantize before saving")


def size_of(text: str) -> int | None:
    """The size of a group; -1 is all."""
    return int(text) if int(text) > 0 else None


def rounding(quantizer: Any) -> tuple[int, float]:
    """Levels and epsilon of the quantizer of the inputs."""
    if quantizer is None:
        return 0, 0.0
    require(quantizer["class_name"], ("AbsMaxQuantizer",), "activation_quantizer")
    options = INT8_INPUTS | quantizer["config"]
    low, high = options["value_range"]
    require(low, (-high,), "value_range")
    return int(high), float(options["epsilon"])


def quantized_linear(
    b: Builder, x: Value, shape: tuple[int, ...], bias_shape: Shape | None, scale_shape: Shape, config: dict[str, Any]
) -> Value:
    """A product over the last axis with a quantized kernel.

    Args:
        shape: of Keras's kernel; the first axes are summed over, as one, the others are those of the output.
        bias_shape, scale_shape: of these variables; the scale's only where it is one for each output.
    """
    features, units = size(x, -1), int(np.prod(shape)) // size(x, -1)
    if config.get("mode") == "float8":
        return float8_linear(b, x, shape, (features, units), bias_shape, config)
    how = scheme(config)
    if how.mode in ("gptq", "awq"):
        call, options, weights = calibrated(b, how, features, units, bias_shape)
    elif how.block is not None:
        call, options, weights = grouped(b, how, features, units, bias_shape)
    else:
        call, options, weights = per_output(b, how, shape, (features, units), bias_shape, scale_shape)
    if bias_shape is None:
        options["bias"] = False
    else:
        weights["bias"] = b.weight(b.parts.declared["bias"], transform=lambda array: array.reshape(-1))
    sizes = (features, units) if call == "Int8Linear" else (features, units, how.groups(features))
    module = b.module(call, *sizes, weights=weights, **options)
    return b.call(module, x, shape=(*x.shape[:-1], units), layout="keras")


def float8_linear(
    b: Builder,
    x: Value,
    shape: tuple[int, ...],
    sizes: tuple[int, int],
    bias_shape: Shape | None,
    config: dict[str, Any],
) -> Value:
    """Inputs and kernel are rounded to eight bits; what Keras keeps to adapt the scales in training is left."""
    kernel = b.variable("kernel", shape)
    bias = b.variable("bias", tuple(n or 0 for n in bias_shape)) if bias_shape is not None else None
    scales = []
    for name in ("inputs", "kernel", "outputs_grad"):
        scales.append(b.variable(f"{name}_scale", ()))
        b.variable(f"{name}_amax_history", (int(config.get("amax_history_length", 1024)),))
        scales[-1].initializer = None
    weights = {
        "weight": b.weight(kernel, transform=lambda array: array.reshape(sizes).T),
        "bias": b.weight(bias, transform=lambda array: array.reshape(-1)) if bias else None,
        "input_scale": b.weight(scales[0], buffer=True),
        "weight_scale": b.weight(scales[1], buffer=True),
    }
    options: dict[str, Any] = {} if bias else {"bias": False}
    module = b.module("Float8Linear", *sizes, weights=weights, **options)
    return b.call(module, x, shape=(*x.shape[:-1], sizes[1]), layout="keras")


Parts = tuple[str, dict[str, Any], dict[str, Weight | None]]


def per_output(
    b: Builder, how: Scheme, shape: tuple[int, ...], sizes: tuple[int, int], bias_shape: Any, scale_shape: Any
) -> Parts:
    """One scale for each output, by which the product is divided."""
    packed = (sizes[0], ceil(sizes[1] / 2)) if how.bits == 4 else shape
    kernel = stored(b, "kernel", packed)
    declare_bias(b, bias_shape)
    scale = stored(b, "kernel_scale", scale_shape if how.bits == 8 else (sizes[1],))

    def turned(array: Array) -> Array:
        return (unpacked(array, sizes[1], 1) if how.bits == 4 else array.reshape(sizes)).T

    weights: dict[str, Weight | None] = {
        "weight": kept(b, kernel, transform=turned),
        "scale": kept(b, scale, transform=np.ravel),
    }
    return "Int8Linear", rounded(how), weights


def grouped(b: Builder, how: Scheme, features: int, units: int, bias_shape: Any) -> Parts:
    """A scale and a zero for each output and each group of inputs."""
    kernel = stored(b, "kernel", (features, ceil(units / 2)))
    declare_bias(b, bias_shape)
    scale, zero = (stored(b, f"kernel_{name}", (how.groups(features), units)) for name in ("scale", "zero"))
    group = stored(b, "g_idx", (features,))

    def centred(kernel: Array, zero: Array, group: Array) -> Array:
        whole: Array = unpacked(kernel, units, 1) - zero[group.astype(int)]
        return whole.T

    weights: dict[str, Weight | None] = {
        "weight": kept(b, kernel, zero, group, transform=centred),
        "scale": kept(b, scale, transform=np.transpose),
        "group": kept(b, group, dtype="int64"),
    }
    return "GroupedLinear", {}, weights


def calibrated(b: Builder, how: Scheme, features: int, units: int, bias_shape: Any) -> Parts:
    """GPTQ and AWQ: likewise, in bytes without sign and the other way round."""
    declare_bias(b, bias_shape)
    kernel = stored(b, "kernel", (ceil(units / 2) if how.bits == 4 else units, features))
    scale, zero = (stored(b, f"kernel_{name}", (units, how.groups(features))) for name in ("scale", "zero"))
    own = stored(b, "awq_scales", (features,)) if how.mode == "awq" else None
    group = stored(b, "g_idx", (features,))

    def centred(kernel: Array, zero: Array, group: Array) -> Array:
        whole = unpacked(kernel, units, 0, signed=False) if how.bits == 4 else kernel
        return whole.astype("int16") - zero[:, group.astype(int)]

    weights = {
        "weight": kept(b, kernel, zero, group, transform=centred, dtype="int16"),
        "scale": kept(b, scale),
        "group": kept(b, group, dtype="int64"),
        "input_scale": kept(b, own) if own else None,
    }
    options: dict[str, Any] = {"scaled_inputs": True} if own else {}
    return "GroupedLinear", {"dtype": Code("torch.int16"), **options}, weights


def quantized_table(b: Builder, index: Value, rows: int, columns: int, config: dict[str, Any]) -> Value:
    """An embedding with a quantized table."""
    how = scheme(config)
    weights = table_weights(b, rows, columns, how)
    groups = () if how.block is None else (how.groups(columns),)
    module = b.module("GroupedEmbedding" if groups else "Int8Embedding", rows, columns, *groups, weights=weights)
    return b.call(module, index, shape=(*index.shape, columns), dtype=b.layer.dtype, layout="keras")


def table_weights(b: Builder, rows: int, columns: int, how: Scheme) -> dict[str, Weight | None]:
    """The state of an embedding; a row has one scale, or one for each group of columns."""
    table = stored(b, "embeddings", (rows, ceil(columns / 2) if how.bits == 4 else columns))
    groups = () if how.block is None else (how.groups(columns),)
    scale = stored(b, "embeddings_scale", (rows, *groups))

    def whole(array: Array) -> Array:
        return unpacked(array, columns, 1) if how.bits == 4 else array

    if not groups:
        return {"weight": kept(b, table, transform=whole), "scale": kept(b, scale)}
    zero, group = stored(b, "embeddings_zero", (rows, *groups)), stored(b, "g_idx", (columns,))

    def centred(table: Array, zero: Array, group: Array) -> Array:
        made: Array = whole(table) - zero[:, group.astype(int)]
        return made

    weight = kept(b, table, zero, group, transform=centred)
    return {"weight": weight, "scale": kept(b, scale), "group": kept(b, group, dtype="int64")}


def reverse_weights(b: Builder, rows: int, columns: int, how: Scheme) -> dict[str, Weight | None]:
    """The state of the way back from (columns) to (rows), where it has a table of its own, the other way round."""
    table = stored(b, "reverse_embeddings", (ceil(columns / 2) if how.bits == 4 else columns, rows))
    groups = () if how.block is None else (how.groups(columns),)
    scale = stored(b, "reverse_embeddings_scale", (*groups, rows))

    def whole(array: Array) -> Array:
        return (unpacked(array, columns, 0) if how.bits == 4 else array).T

    if not groups:
        return {"weight": kept(b, table, transform=whole), "scale": kept(b, scale)}
    zero, group = stored(b, "reverse_embeddings_zero", (*groups, rows)), b.parts.declared["g_idx"]

    def centred(table: Array, zero: Array, group: Array) -> Array:
        made: Array = whole(table) - zero[group.astype(int)].T
        return made

    weight = kept(b, table, zero, group, transform=centred)
    scales = kept(b, scale, transform=np.transpose)
    return {"weight": weight, "scale": scales, "group": kept(b, group, dtype="int64")}


def quantized_reversible(
    b: Builder, x: Value, rows: int, columns: int, config: dict[str, Any], *, tied: bool, reverse: bool
) -> Value:
    """A quantized table for tokens, `x` being indices, or for logits: a product with its rows, or with its own."""
    how = scheme(config)
    weights = table_weights(b, rows, columns, how)
    if not tied:
        weights = reverse_weights(b, rows, columns, how)
    if not reverse:
        return quantized_table(b, x, rows, columns, config)
    if how.block is None:
        module = b.module("Int8Linear", columns, rows, role="reverse", weights=weights, bias=False, **rounded(how))
    else:
        require(how.levels, (0,), "activation_quantizer")
        sizes = (columns, rows, how.groups(columns))
        module = b.module("GroupedLinear", *sizes, role="reverse", weights=weights, bias=False)
    return b.call(module, x, shape=(*x.shape[:-1], rows), layout="keras")


def rounded(how: Scheme) -> dict[str, Any]:
    """The options of Int8Linear that say how it rounds its inputs."""
    if not how.levels:
        return {"weight_only": True}
    options: dict[str, Any] = {} if how.levels == 127 else {"levels": how.levels}
    return options | ({} if how.eps == 1e-7 else {"eps": how.eps})


def stored(b: Builder, name: str, shape: Any) -> Variable:
    """A variable that training leaves alone; it has no distribution to start from."""
    variable = b.variable(name, tuple(shape), trainable=False)
    variable.initializer = None
    return variable


def declare_bias(b: Builder, shape: Any) -> None:
    """The bias, which Keras makes after or before the kernel."""
    if shape is not None:
        b.variable("bias", tuple(shape))


def kept(b: Builder, *variables: Variable, transform: Any = np.asarray, dtype: str = "") -> Weight:
    """A buffer."""
    return replace(b.weight(*variables, transform=transform, buffer=True), dtype=dtype)


def unpacked(packed: Array, size: int, axis: int, signed: bool = True) -> Array:
    """Two numbers of four bits from each byte, the lower first; an odd last one is left out."""
    low, high = packed & 0xF, (packed >> 4) & 0xF
    both = np.stack([low, high], axis + 1).reshape(*(n * 2 if i == axis else n for i, n in enumerate(packed.shape)))
    values = np.take(both, range(size), axis)
    return (values ^ 8) - 8 if signed else values
