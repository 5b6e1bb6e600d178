"""Layers that only Keras 1 and 2 had; their tests are files of those releases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array
from k2t.program import Parameter, Value, Weight
from k2t.rules.activations import activate
from k2t.rules.base import require, rule, size
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry
from k2t.rules.merge import dot
from k2t.rules.normalization import EPSILON
from k2t.rules.padding import to_tuple


def patches_first(array: Array, kernel_size: tuple[int, ...]) -> Array:
    """(places, rows * columns * channels, filters) -> (places, channels * rows * columns, filters)."""
    places, inner, filters = array.shape
    split = array.reshape(places, *kernel_size, -1, filters)
    return split.transpose(0, 3, 1, 2, 4).reshape(places, inner, filters)


def bias_first(array: Array) -> Array:
    """(places, filters) or (rows, columns, filters) -> (filters, rows, columns)."""
    image = array[None] if array.ndim == 2 else array
    return image.transpose(2, 0, 1)


def same(array: Array) -> Array:
    """The array as it is."""
    return array


def windows(lengths: tuple[int, ...], window: tuple[int, ...], steps: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """The part of the input that belongs to each place of the output, row by row."""
    return [
        tuple(slice(i * step, i * step + k) for i, step, k in zip(place, steps, window, strict=True))
        for place in np.ndindex(*lengths)
    ]


def from_dense(array: Array, rank: int, parts: list[tuple[Any, ...]], first: bool) -> Array:
    """Implementation 2 has weights between all inputs and outputs; those of each window -> (places, inner, filters)."""
    if first:  # (channels, *inputs, filters, *outputs) -> (*inputs, channels, *outputs, filters)
        array = np.moveaxis(np.moveaxis(array, 0, rank), rank + 1, -1)
    spread = array.reshape(*array.shape[: rank + 1], -1, array.shape[-1])
    found = np.stack([spread[part][..., place, :] for place, part in enumerate(parts)])
    if first:
        found = np.moveaxis(found, rank + 1, 1)
    return found.reshape(len(parts), -1, array.shape[-1])


def from_sparse(array: Array, places: int, filters: int, first: bool) -> Array:
    """Implementation 3 has the weights of all windows in one list -> (places, inner, filters)."""
    if first:
        return array.reshape(filters, places, -1).transpose(1, 2, 0)
    return array.reshape(places, filters, -1).transpose(0, 2, 1)


def stored_kernel(
    implementation: int,
    inputs: tuple[int, ...],
    lengths: tuple[int, ...],
    parts: list[tuple[Any, ...]],
    channels: int,
    filters: int,
    last: bool,
) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """The shape in which an implementation has the weights, and what makes (places, inner, filters) of them."""
    area = prod(cut.stop - cut.start for cut in parts[0])
    if implementation == 1:
        return (len(parts), area * channels, filters), same
    if implementation == 2:
        shape = (*inputs, channels, *lengths, filters) if last else (channels, *inputs, filters, *lengths)
        return shape, partial(from_dense, rank=len(inputs), parts=parts, first=not last)
    read = partial(from_sparse, places=len(parts), filters=filters, first=not last)
    return (len(parts) * area * channels * filters,), read


def locally_connected(rank: int) -> Any:
    """The rule of LocallyConnectedND."""

    def translate(
        b: Builder,
        x: Value,
        *,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        implementation: int = 1,
    ) -> Value:
        require(padding, ("valid",), "padding")
        require(implementation, (1, 2, 3), "implementation")
        geometry = Geometry(x, rank, data_format)
        window, steps = to_tuple(kernel_size, rank), to_tuple(strides, rank)
        lengths = tuple(
            (size(x, axis) - k) // step + 1 for axis, k, step in zip(geometry.spatial, window, steps, strict=True)
        )
        lone = (1,) * (2 - rank)
        channels = size(x, geometry.channels)
        last = geometry.layout == "first"
        inputs = tuple(size(x, axis) for axis in geometry.spatial)
        parts = windows(lengths, window, steps)
        shape, read = stored_kernel(implementation, inputs, lengths, parts, channels, filters, last)
        kernel = b.variable("kernel", shape)
        turned = partial(patches_first, kernel_size=lone + window) if last else same
        weights: dict[str, Weight | None] = {"weight": b.weight(kernel, transform=lambda array: turned(read(array)))}
        options: dict[str, Any] = {} if set(steps) == {1} else {"stride": lone + steps}
        if use_bias:
            stored = (b.layer.weights.flat if b.layer.weights else None) or ()
            first = (filters, *lengths)  # as Keras 1 has it
            known = any(array.shape == first for array in stored[1:])
            bias = b.variable("bias", first if known and not last else (*lengths, filters))
            # Keras reshapes where it should transpose
            turn = bias_first if last else lambda array: array.reshape(filters, *lone, *lengths)
            weights["bias"] = b.weight(bias, transform=turn)
        else:
            options["bias"] = False
        name = f"LocallyConnected{rank}d"
        module = b.module(name, channels, filters, lone + lengths, lone + window, weights=weights, **options)
        y = b.call(module, x, shape=geometry.shape(x, lengths, filters), layout=geometry.layout)
        return activate(b, y, activation)

    translate.__doc__ = "A local module: a convolution with weights of its own at each place."
    return translate


rule("LocallyConnected1D")(locally_connected(1))
rule("LocallyConnected2D")(locally_connected(2))


@rule("Highway")
def highway(b: Builder, x: Value, *, activation: Any = None, use_bias: bool = True) -> Value:
    """Two nn.Linear: torch.lerp from the input to its transformation, by a gate."""
    features = size(x, -1)
    kernels = [b.variable(name, (features, features)) for name in ("kernel", "carry_kernel")]
    biases = [b.variable(name, (features,)) if use_bias else None for name in ("bias", "carry_bias")]
    outputs = []
    for role, kernel, bias in zip(("transform", "carry"), kernels, biases, strict=True):
        weights = {"weight": b.weight(kernel, transform=np.transpose), "bias": b.weight(bias) if bias else None}
        options: dict[str, Any] = {} if use_bias else {"bias": False}
        module = b.module("nn.Linear", features, features, role=role, weights=weights, **options)
        outputs.append(b.call(module, x, shape=x.shape, layout="linear"))
    new = activate(b, outputs[0], activation)
    return b.call("torch.lerp", x, new, b.call("torch.sigmoid", outputs[1]))


@rule("MaxoutDense")
def maxout_dense(b: Builder, x: Value, *, units: int, nb_feature: int = 4, use_bias: bool = True) -> Value:
    """nn.Linear, then the maximum over its features."""
    features = size(x, -1)
    kernel = b.variable("kernel", (nb_feature, features, units))
    bias = b.variable("bias", (nb_feature, units)) if use_bias else None
    weights = {
        "weight": b.weight(kernel, transform=lambda array: array.transpose(0, 2, 1).reshape(-1, features)),
        "bias": b.weight(bias, transform=lambda array: array.reshape(-1)) if bias else None,
    }
    options: dict[str, Any] = {} if use_bias else {"bias": False}
    total = nb_feature * units
    module = b.module("nn.Linear", features, total, weights=weights, absorbs={"weight": 1}, **options)
    y = b.call(module, x, shape=(x.shape[0], total), layout="linear")
    split = b.call(".unflatten", y, 1, (nb_feature, units), shape=(x.shape[0], nb_feature, units), layout="keras")
    return b.call(".amax", split, 1, shape=(x.shape[0], units), layout="keras")


def elementwise(b: Builder, x: Value, names: tuple[str, ...], shared_axes: list[int] | None) -> list[Parameter]:
    """Parameters with one value for each element, or for all along the shared axes."""
    sizes = tuple(1 if axis in (shared_axes or []) else size(x, axis) for axis in range(1, x.rank))
    axes = tuple(range(1 - x.rank, 0))
    return [b.parameter(name, b.variable(name, sizes), axes=axes) for name in names]


@rule("ParametricSoftplus", masking=True)
def parametric_softplus(b: Builder, x: Value, *, shared_axes: list[int] | None = None) -> Value:
    """F.softplus with two parameters."""
    alpha, beta = elementwise(b, x, ("alpha", "beta"), shared_axes)
    inner = b.call("F.softplus", b.call("*", x, beta, shape=x.shape))
    return b.call("*", inner, alpha, shape=x.shape)


@rule("SReLU", masking=True)
def srelu(b: Builder, x: Value, *, shared_axes: list[int] | None = None, theano: bool = False) -> Value:
    """A local function with four parameters."""
    parameters = elementwise(b, x, ("t_left", "a_left", "t_right", "a_right"), shared_axes)
    return b.call("srelu_theano" if theano else "srelu", x, *parameters, shape=x.shape)


@rule("Merge")
def merge(
    b: Builder,
    inputs: list[Value],
    *,
    mode: Any = "sum",
    mode_type: str = "raw",
    concat_axis: int = -1,
    dot_axes: Any = -1,
    output_shape: Any = None,
    output_shape_type: str = "raw",
    output_mask: Any = None,
    output_mask_type: str = "raw",
    arguments: Any = None,
) -> Value:
    """The cosine of two tensors; its other modes are layers of today."""
    if mode != "cos" or mode_type != "raw":
        raise UntranslatableError("merges by a function of its own; rebuild it with layers, or give its source")
    first, second = inputs
    squares = b.call("*", dot(b, [first, first], axes=dot_axes), dot(b, [second, second], axes=dot_axes))
    norm = b.call("torch.clamp", b.call("torch.sqrt", squares), min=EPSILON)
    cosine = b.call("/", dot(b, inputs, axes=dot_axes), norm)
    return b.call(".unsqueeze", cosine, 1, shape=(cosine.shape[0], 1, *cosine.shape[1:]), layout="keras")


@rule("RandomFourierFeatures")
def random_fourier_features(b: Builder, x: Value, *, output_dim: int, scale: float | None = None) -> Value:
    """torch.cos of an nn.Linear with random weights, of the input divided by a scale."""
    features = size(x, -1)
    kernel = b.variable("unscaled_kernel", (features, output_dim), trainable=False)
    bias = b.variable("bias", (output_dim,), trainable=False)
    divisor = b.parameter("scale", b.variable("kernel_scale", (1,)))
    weights: dict[str, Weight | None] = {"weight": b.weight(kernel, transform=np.transpose), "bias": b.weight(bias)}
    module = b.module("nn.Linear", features, output_dim, weights=weights)
    y = b.call(module, b.call("/", x, divisor, shape=x.shape), shape=(*x.shape[:-1], output_dim), layout="linear")
    return b.call("torch.cos", y)
