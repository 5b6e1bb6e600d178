"""Normalization layers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array, Layer
from k2t.program import Axes, Axis, LayoutKind, Module, Parameter, Permutation, Value, Variable, Weight
from k2t.rules.base import Example, example, rule, size
from k2t.rules.builder import Builder
from k2t.rules.masks import as_column, mask_of
from k2t.rules.promotion import converted

# Keras's default epsilon, keras.config.epsilon().
EPSILON = 1e-7


def single_axis(axis: Any, rank: int) -> int:
    """An axis given as a number or as a list of one, counted from the front."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    if len(axes) != 1:
        raise UntranslatableError(f"axis={axis!r}: only one axis has a module in PyTorch")
    return int(axes[0]) % rank


@rule(
    "BatchNormalization",
    masking=True,
    examples=[
        example((7,)),
        example((5, 7)),
        example((4, 5, 3), epsilon=1e-5, momentum=0.9),
        example((4, 5, 3), center=False, scale=False),
        example((4, 5, 3), center=False),
        example((3, 4, 5), axis=1),
        example((4, 3, 5), axis=2),
        example((2, 3, 4, 3)),
        Example(((5, 7),), mask=True),
        Example(((5, 7),), {"axis": 1}, mask=True),
    ],
)
def batch_normalization(
    b: Builder,
    x: Value,
    *,
    axis: Any = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    renorm: bool = False,
    renorm_clipping: Any = None,
    renorm_momentum: float = 0.99,
    synchronized: bool = False,
    mode: int = 0,
    training: bool | None = None,
) -> Value:
    """nn.BatchNormNd; Keras's momentum is the weight of the old value, PyTorch's that of the new."""
    axis = single_axis(axis, x.rank)
    if axis == 0:
        raise UntranslatableError("axis=0 normalizes each sample of the batch on its own")
    features = size(x, axis)
    weights: dict[str, Weight | None] = {}
    if scale:
        weights["weight"] = b.weight(b.variable("gamma", (features,)))
    if center:
        weights["bias"] = b.weight(b.variable("beta", (features,)))
    moving = [b.variable(name, (features,), trainable=False) for name in ("moving_mean", "moving_variance")]
    if renorm:  # statistics that are used in training only
        for name in ("moving_stddev", "renorm_mean", "renorm_stddev"):
            b.variable(name, (features,), trainable=False)
    if mode == 1:
        return normalized_samples(b, x, axis, epsilon)
    weights = weights if scale == center else weights | missing_affine((features,), weights.keys())
    options: dict[str, Any] = {"eps": epsilon}
    trains = b.parts.trainable and training is not False
    if mode == 2 or (trains and training):
        options["track_running_stats"] = False
    else:
        weights |= {
            key: b.weight(variable, buffer=True)
            for key, variable in zip(("running_mean", "running_var"), moving, strict=True)
        }
        options["momentum"] = round(1 - momentum, 12)
    options |= {"weights": weights} | ({} if scale or center else {"affine": False})
    name = f"BatchNorm{max(x.rank - 2, 1)}d"
    if trains and x.mask is not None and x.rank == 3:
        margin = 0.0 if b.layer.keras_2 else EPSILON
        return along_steps(b, x, axis, b.module(f"Masked{name}", features, margin, **options))
    prefix = "nn." if trains or mode == 2 else "Frozen"
    return along(b, x, axis, b.module(f"{prefix}{name}", features, **options))


def along_steps(b: Builder, x: Value, axis: int, module: Module) -> Value:
    """Batch normalization of sequences with a mask."""
    if axis == 1:
        return b.call(module, x, as_column(b, mask_of(b, x), x.rank), shape=x.shape, layout="keras")
    return b.call(module, x, mask_of(b, x), shape=x.shape, layout="first")


def normalized_samples(b: Builder, x: Value, axis: int, epsilon: float) -> Value:
    """Mode 1 of Keras 1: each sample by itself, over the features; epsilon is added twice."""
    if axis != x.rank - 1:
        raise UntranslatableError(f"mode=1 with axis={axis} mixes two axes")
    gamma, beta = (b.parameter(name, b.variable(name, (x.shape[-1] or 0,)), axes=(-1,)) for name in ("gamma", "beta"))
    single = (*x.shape[:-1], 1)
    mean = b.call(".mean", x, Axis(-1), keepdim=True, shape=single)
    variance = b.call(".var", x, Axis(-1), correction=0, keepdim=True, shape=single)
    deviation = b.call("+", b.call("torch.sqrt", b.call("+", variance, epsilon)), epsilon)
    y = b.call("/", b.call("-", x, mean), deviation)
    return b.call("+", b.call("*", y, gamma), beta)


def along(b: Builder, x: Value, axis: int, module: Module) -> Value:
    """A module that takes channels first, for channels along any axis."""
    layout: LayoutKind = "keras" if axis == 1 else "first"
    if axis in (1, x.rank - 1):
        return b.call(module, x, shape=x.shape, layout=layout)
    order = (*(i for i in range(x.rank) if i != axis), axis)
    y = b.call(module, permuted(b, x, order), shape=tuple(x.shape[i] for i in order), layout=layout)
    return permuted(b, y, inverse(order))


def permuted(b: Builder, x: Value, order: tuple[int, ...]) -> Value:
    """Axis i of the result is axis order[i]."""
    if order == tuple(range(x.rank)):
        return x
    return b.call(".permute", x, Permutation(order), shape=tuple(x.shape[i] for i in order), layout="permute")


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `order`."""
    return tuple(order.index(axis) for axis in range(len(order)))


def missing_affine(shape: tuple[int, ...], given: Collection[str]) -> dict[str, Weight | None]:
    """PyTorch has both scale and offset or neither: the missing one is a frozen constant."""
    fill = {"weight": np.ones, "bias": np.zeros}
    return {
        key: Weight((), partial(make, shape, np.float32), trainable=False, dtype="float32")
        for key, make in fill.items()
        if key not in given
    }


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """An option of one axis or several, counted from the front, in order."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    return tuple(sorted(int(item) % rank for item in axes))


def stored_along(b: Builder, name: str, x: Value, axis: Any) -> Variable:
    """`gamma` or `beta` as Keras stores it, in the order in which it lists the axes."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    return b.variable(name, tuple(size(x, int(i)) for i in (axes if b.layer.keras_2 else sorted(axes))))


def read_as(sizes: tuple[int, ...]) -> Callable[..., Array]:
    """Keras reads what it stored as if the axes were in ascending order."""
    return lambda array: array.reshape(sizes)


def on_last_axes(b: Builder, x: Value, axes: tuple[int, ...], module: Module) -> Value:
    """A module that normalizes the last axes, for axes anywhere."""
    order = (*(axis for axis in range(x.rank) if axis not in axes), *axes)
    moved = permuted(b, x, order)
    return permuted(b, b.call(module, moved, shape=moved.shape, layout="keras"), inverse(order))


@rule(
    "LayerNormalization",
    masking=True,
    examples=[
        example((7,)),
        example((5, 7), epsilon=1e-6),
        example((4, 5, 3), center=False),
        example((4, 5, 3), scale=False),
        example((4, 5, 3), scale=False, center=False),
        example((4, 5, 3), axis=[-1, -2]),
        example((4, 5, 3), axis=[1, 2, 3]),
        example((4, 5, 3), axis=1),
        example((4, 5, 3), axis=[3, 1]),
        example((None, 7)),
        example((4, 5, 3), rms_scaling=True),
        example((4, 5, 3), rms_scaling=True, axis=[1, 3]),
    ],
)
def layer_normalization(
    b: Builder,
    x: Value,
    *,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    rms_scaling: bool = False,
) -> Value:
    """nn.LayerNorm."""
    axes = axes_of(axis, x.rank)
    sizes = tuple(size(x, i) for i in axes)
    if rms_scaling:
        gamma = b.parameter("gamma", stored_along(b, "gamma", x, axis), tuple(i - x.rank for i in axes), read_as(sizes))
        return scaled_by_variance(b, x, axes, epsilon, gamma)
    weights: dict[str, Weight | None] = {}
    if scale:
        weights["weight"] = b.weight(stored_along(b, "gamma", x, axis), transform=read_as(sizes))
    if center:
        weights["bias"] = b.weight(stored_along(b, "beta", x, axis), transform=read_as(sizes))
    options: dict[str, Any] = {} if scale or center else {"elementwise_affine": False}
    if scale and not center:
        options = {"bias": False}
    if center and not scale:
        weights |= missing_affine(sizes, weights.keys())
    shape = sizes[0] if len(sizes) == 1 else sizes
    return on_last_axes(b, x, axes, b.module("nn.LayerNorm", shape, eps=epsilon, weights=weights, **options))


def scaled_by_variance(b: Builder, x: Value, axes: tuple[int, ...], epsilon: float, gamma: Parameter) -> Value:
    """x * gamma / sqrt(variance + epsilon): what Keras calls rms_scaling."""
    reduced = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    variance = b.call(".var", x, Axes(axes), correction=0, keepdim=True, shape=reduced)
    y = b.call("*", x, b.call("torch.rsqrt", b.call("+", variance, epsilon)))
    return b.call("*", y, gamma, shape=x.shape)


@rule(
    "RMSNormalization",
    examples=[
        example((7,)),
        example((None, 7), epsilon=1e-5),
        example((4, 5, 3), axis=[-2, -1]),
    ],
)
def rms_normalization(b: Builder, x: Value, *, axis: Any = -1, epsilon: float = 1e-6) -> Value:
    """A local module: divided by the root of the mean of squares, times a parameter."""
    axes = axes_of(axis, x.rank)
    if axes != tuple(range(axes[0], x.rank)):
        raise UntranslatableError(f"axis={axis!r}: Keras computes the scale along the last axes only")
    sizes = tuple(size(x, i) for i in axes)
    weights: dict[str, Weight | None] = {"weight": b.weight(b.variable("scale", sizes))}
    return on_last_axes(b, x, axes, b.module("RMSNorm", *sizes, eps=epsilon, weights=weights))


@rule(
    "GroupNormalization",
    masking=True,
    examples=[
        example((6,), groups=3),
        example((5, 6), groups=2),
        example((4, 5, 6), groups=3, epsilon=1e-5),
        example((4, 5, 6), groups=-1),
        example((4, 5, 6), groups=3, center=False),
        example((4, 5, 6), groups=3, scale=False, center=False),
        example((6, 4, 5), groups=3, axis=1),
        example((4, 6, 5), groups=3, axis=2),
        example((None, None, 6), groups=3),
    ],
)
def group_normalization(
    b: Builder,
    x: Value,
    *,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
) -> Value:
    """nn.GroupNorm."""
    axis %= x.rank
    features = size(x, axis)
    groups = features if groups == -1 else groups
    if groups <= 0 or features % groups:
        raise UntranslatableError(f"groups={groups} divides {features} channels unevenly")
    weights: dict[str, Weight | None] = {}
    if scale:
        weights["weight"] = b.weight(b.variable("gamma", (features,)))
    if center:
        weights["bias"] = b.weight(b.variable("beta", (features,)))
    if scale != center:
        weights |= missing_affine((features,), weights.keys())
    options: dict[str, Any] = {} if scale or center else {"affine": False}
    return along(b, x, axis, b.module("nn.GroupNorm", groups, features, eps=epsilon, weights=weights, **options))


@rule(
    "UnitNormalization",
    masking=True,
    examples=[example((7,)), example((4, 5, 3)), example((4, 5, 3), axis=1), example((4, 5, 3), axis=[1, 3])],
)
def unit_normalization(b: Builder, x: Value, *, axis: Any = -1) -> Value:
    """F.normalize; over several axes, divided by torch.linalg.vector_norm."""
    axes = axes_of(axis, x.rank)
    floor: dict[str, Any] = {"eps": 1e-6} if b.layer.keras_2 else {}  # TensorFlow's 1e-12 is that of the square
    if len(axes) == 1:
        return b.call("F.normalize", x, dim=Axis(axes[0]), **floor)
    reduced = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    norm = b.call("torch.linalg.vector_norm", x, dim=Axes(axes), keepdim=True, shape=reduced)
    return b.call("/", x, b.call("torch.clamp", norm, min=floor.get("eps", 1e-12)))


@rule(
    "SpectralNormalization",
    examples=[
        example((7,), layer=("Dense", {"units": 4})),
        example((6, 5, 3), layer=("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"}), power_iterations=2),
    ],
)
def spectral_normalization(
    b: Builder, x: Value, *, layer: Layer, power_iterations: int = 1, training: bool | None = None
) -> Any:
    """The layer itself: Keras stores the kernel normalized, and normalizes it again in training only."""
    output = b.apply(layer, x, key="layer")
    if not b.layer.keras_2:
        output = converted(b, output, x.dtype)
    kernel = next(
        (v for v in b.parts.variables if v.name in ("kernel", "embeddings") and v.owner[-1] == layer.name), None
    )
    if kernel is None:
        raise UntranslatableError(f"{layer.kind} inside it has neither a kernel nor embeddings")
    if b.parts.in_archive:  # which holds the kernel here a second time
        b.variable("kernel", kernel.shape)
    b.variable("vector_u", (1, kernel.shape[-1]), trainable=False)
    return output


def given_or_learned(b: Builder, name: str, given: Any, axes: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    """`mean` or `variance`: of the configuration, a number or an array along the last of `axes`, else a variable."""
    if given is None:
        return b.parameter(name, b.variable(name, sizes, trainable=False), axes=axes, buffer=True)
    array = np.asarray(given, dtype=np.float64)
    if array.ndim == 0:
        return float(array)
    return b.constant(name, array, axes=axes[len(axes) - array.ndim :])


@rule(
    "Normalization",
    masking=True,
    examples=[
        example((7,)),
        example((4, 5, 3)),
        example((4, 5, 3), axis=None),
        example((4, 5, 3), axis=[1, 3]),
        example((4, 5, 3), invert=True),
        example((None, None, 3)),
        example((4, 5, 3), mean=[0.1, 0.2, 0.3], variance=[0.5, 1.5, 2.5]),
        example((4, 5, 3), mean=0.5, variance=0.0625),
        example((4, 5, 3), axis=[1, 3], mean=[0.1, 0.2, 0.3], variance=[0.5, 1.5, 2.5]),
        example((4, 5, 3), axis=None, mean=0.5, variance=0.3, invert=True),
    ],
)
def normalization(
    b: Builder, x: Value, *, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False
) -> Value:
    """(x - mean) / sqrt(variance), with both as buffers."""
    kept = axes_of(() if axis is None else axis, x.rank)
    if 0 in kept:
        raise UntranslatableError(f"axis={axis!r} holds the batch axis")
    sizes, axes = tuple(size(x, i) for i in kept), tuple(i - x.rank for i in kept)
    if mean is None and variance is None:
        b.variable("mean", sizes, trainable=False)
        b.variable("variance", sizes, trainable=False)
        b.variable("count", (), trainable=False)
    middle = given_or_learned(b, "mean", mean, axes, sizes)
    spread = given_or_learned(b, "variance", variance, axes, sizes)
    if not isinstance(spread, float):
        return b.call("destandardize" if invert else "standardize", x, middle, spread, shape=x.shape)
    deviation = max(spread**0.5, EPSILON)
    if invert:
        return b.call("+", b.call("*", x, deviation), middle, shape=x.shape)
    return b.call("/", b.call("-", x, middle, shape=x.shape), deviation)
