"""Activations, as an argument of layers and as the layer Activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Layer
from k2t.program import Axes, Axis, Value
from k2t.rules.base import CUSTOM, example, rule, size
from k2t.rules.builder import Builder

Activation = Callable[..., Value]
ACTIVATIONS: dict[str, Activation] = {}


def activation(*names: str) -> Callable[[Activation], Activation]:
    """Register a function as the activation of these names; its keyword arguments are Keras's."""

    def register(function: Activation) -> Activation:
        ACTIVATIONS.update(dict.fromkeys(names, function))
        return function

    return register


def activate(b: Builder, x: Value, which: Any) -> Value:
    """Apply the value of an option `activation`: None, a name, a configuration, or a layer.

    Raises:
        UntranslatableError: the activation is unknown.
    """
    if which is None:
        return x
    if isinstance(which, Layer):
        output: Value = b.apply(which, x, key="activation")
        return output
    if callable(which):
        output = which(b, x)
        return output
    name, arguments = (which["class_name"], which.get("config") or {}) if isinstance(which, dict) else (which, {})
    custom = CUSTOM.get().functions
    function = custom.get(name) or custom.get(name.rpartition(">")[2]) or ACTIVATIONS.get(name)
    if function is None:
        raise UntranslatableError(f"unknown activation {name!r}; give its source with --custom FILE")
    return function(b, x, **arguments)


def plain(*names: str, target: str) -> None:
    """Register activations that are one function of torch without options."""
    activation(*names)(lambda b, x: b.call(target, x))


activation("linear")(lambda b, x: x)
plain("tanh", target="torch.tanh")
plain("sigmoid", target="torch.sigmoid")
plain("relu6", target="F.relu6")
plain("selu", target="F.selu")
plain("silu", "swish", target="F.silu")
plain("softplus", target="F.softplus")
plain("softsign", target="F.softsign")
plain("mish", target="F.mish")
plain("hard_silu", "hard_swish", target="F.hardswish")
plain("hard_sigmoid", target="F.hardsigmoid")
plain("log_sigmoid", target="F.logsigmoid")
plain("exp", "exponential", target="torch.exp")
plain("tanh_shrink", target="F.tanhshrink")


@activation("relu")
def relu(
    b: Builder, x: Value, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    """max(x, 0), with Keras's slope below and limit above: https://keras.io/api/layers/activations/#relu-function."""
    if negative_slope == 0 and threshold == 0:
        if max_value is None:
            return b.call("F.relu", x)
        return b.call("F.relu6", x) if max_value == 6 else b.call("torch.clamp", x, 0, max_value)
    if threshold == 0:
        y = b.call("F.leaky_relu", x, negative_slope)
    else:
        below = b.call("*", b.call("-", x, threshold), negative_slope) if negative_slope else 0.0
        y = b.call("torch.where", b.call(">", x, threshold), x, below, shape=x.shape, dtype=x.dtype)
    return y if max_value is None else b.call("torch.clamp", y, max=max_value)


@activation("softmax")
def softmax(b: Builder, x: Value, axis: int = -1) -> Value:
    """exp(x) normalised along `axis`."""
    return b.call("F.softmax", x, dim=Axis(axis))


@activation("log_softmax")
def log_softmax(b: Builder, x: Value, axis: int = -1) -> Value:
    """Logarithm of softmax."""
    return b.call("F.log_softmax", x, dim=Axis(axis))


@activation("elu")
def elu(b: Builder, x: Value, alpha: float = 1.0) -> Value:
    """x, or alpha * (exp(x) - 1) below zero."""
    return b.call("F.elu", x, *([] if alpha == 1 else [alpha]))


@activation("leaky_relu")
def leaky_relu(b: Builder, x: Value, negative_slope: float = 0.2) -> Value:
    """x, or negative_slope * x below zero."""
    return b.call("F.leaky_relu", x, negative_slope)


@activation("gelu")
def gelu(b: Builder, x: Value, approximate: bool = False) -> Value:
    """x times the normal distribution function; `approximate` by tanh."""
    return b.call("F.gelu", x, approximate="tanh") if approximate else b.call("F.gelu", x)


@activation("celu")
def celu(b: Builder, x: Value, alpha: float = 1.0) -> Value:
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))."""
    return b.call("F.celu", x, *([] if alpha == 1 else [alpha]))


@activation("glu")
def glu(b: Builder, x: Value, axis: int = -1) -> Value:
    """One half of x times the sigmoid of the other half."""
    shape = list(x.shape)
    shape[axis] = None if x.shape[axis] is None else (x.shape[axis] or 0) // 2
    return b.call("F.glu", x, dim=Axis(axis), shape=tuple(shape))


@activation("hard_tanh")
def hard_tanh(b: Builder, x: Value) -> Value:
    """x between -1 and 1."""
    return b.call("F.hardtanh", x)


@activation("hard_shrink")
def hard_shrink(b: Builder, x: Value, threshold: float = 0.5) -> Value:
    """x where its absolute value exceeds `threshold`, else 0."""
    return b.call("F.hardshrink", x, threshold)


@activation("soft_shrink")
def soft_shrink(b: Builder, x: Value, threshold: float = 0.5) -> Value:
    """x moved towards 0 by `threshold`."""
    return b.call("F.softshrink", x, threshold)


@activation("squareplus")
def squareplus(b: Builder, x: Value, b_: float = 4) -> Value:
    """(x + sqrt(x² + 4)) / 2."""
    root = b.call("torch.sqrt", b.call("+", b.call("torch.square", x), b_))
    return b.call("/", b.call("+", x, root), 2)


@activation("threshold")
def threshold(b: Builder, x: Value, threshold: float, default_value: float) -> Value:
    """x where it exceeds `threshold`, else `default_value`."""
    return b.call("F.threshold", x, threshold, default_value)


@activation("sparse_plus")
def sparse_plus(b: Builder, x: Value) -> Value:
    """0 below -1, x above 1, (x + 1)² / 4 between."""
    middle = b.call("/", b.call("torch.square", b.call("torch.clamp", b.call("+", x, 1), 0, 2)), 4)
    return b.call("+", middle, b.call("F.relu", b.call("-", x, 1)))


@activation("sparse_sigmoid")
def sparse_sigmoid(b: Builder, x: Value) -> Value:
    """(x + 1) / 2 between 0 and 1."""
    return b.call("torch.clamp", b.call("+", b.call("*", x, 0.5), 0.5), 0, 1)


plain("keras2_hard_sigmoid", target="keras2_hard_sigmoid")


@rule(
    "Activation",
    masking=True,
    examples=[
        example((7, 5), activation=name)
        for name in sorted(ACTIVATIONS)
        if name not in {"keras2_hard_sigmoid", "glu", "threshold", "swish", "hard_swish", "exp"}
    ],
)
def activation_layer(b: Builder, x: Value, *, activation: Any) -> Value:
    """The function of the same name: F.relu, torch.tanh, …."""
    return activate(b, x, activation)


@rule(
    "ReLU",
    masking=True,
    examples=[
        example((5, 3)),
        example((5, 3), max_value=6.0),
        example((4, 3), max_value=2.0, negative_slope=0.1, threshold=0.5),
        example((4,), threshold=1.0),
    ],
)
def relu_layer(
    b: Builder, x: Value, *, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0
) -> Value:
    """F.relu, F.relu6 or F.leaky_relu."""
    return relu(b, x, negative_slope or 0.0, max_value, threshold or 0.0)


@rule("LeakyReLU", masking=True, examples=[example((5, 3)), example((5, 3), negative_slope=0.01)])
def leaky_relu_layer(b: Builder, x: Value, *, negative_slope: float = 0.3) -> Value:
    """F.leaky_relu."""
    return leaky_relu(b, x, negative_slope)


@rule("ELU", masking=True, examples=[example((5, 3)), example((5, 3), alpha=0.5)])
def elu_layer(b: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    """F.elu."""
    return elu(b, x, alpha)


@rule("ThresholdedReLU", masking=True)
def thresholded_relu(b: Builder, x: Value, *, theta: float = 1.0) -> Value:
    """F.threshold: x where it exceeds theta, else 0."""
    return threshold(b, x, theta, 0.0)


@rule(
    "PReLU",
    masking=True,
    examples=[
        example((7,)),
        example((4, 5, 3), shared_axes=[1, 2]),
        example((None, None, 3), shared_axes=[1, 2]),
        example((5, 3), shared_axes=[1]),
        example((3, 4, 5), shared_axes=[2, 3]),
        example((4, 5, 3), shared_axes=[1, 2, 3]),
        example((4, 5, 3)),
        example((4, 5, 3), shared_axes=[2]),
    ],
)
def prelu(b: Builder, x: Value, *, shared_axes: list[int] | int | None = None) -> Value:
    """nn.PReLU for one slope or one for each channel, else torch.where with a parameter."""
    shared = [shared_axes] if isinstance(shared_axes, int) else shared_axes or []
    sizes = tuple(1 if axis in shared else size(x, axis) for axis in range(1, x.rank))
    alpha = b.variable("alpha", sizes)
    own = [axis for axis, n in enumerate(sizes, 1) if n != 1]
    if own in ([], [1], [x.rank - 1]):
        weight = b.weight(alpha, transform=lambda array: array.reshape(-1))
        module = b.module("nn.PReLU", *(sizes[axis - 1] for axis in own), weights={"weight": weight})
        return b.call(module, x, layout="any" if not own else "keras" if own == [1] else "first")
    slope = b.parameter("alpha", alpha, axes=tuple(range(1 - x.rank, 0)))
    below = b.call("*", x, slope, shape=x.shape)
    return b.call("torch.where", b.call(">=", x, 0.0, dtype="bool"), x, below, shape=x.shape, dtype=x.dtype)


@rule("Softmax", masking=True, examples=[example((5, 3)), example((5, 3), axis=1), example((5, 4), axis=[1, 2])])
def softmax_layer(b: Builder, x: Value, *, axis: int | list[int] = -1, mask: Value | None = None) -> Value:
    """F.softmax; over several axes, exp(x - logsumexp(x)); nothing where a mask is False."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    mask = x.mask if mask is None else mask
    if mask is not None and mask.rank < x.rank:
        raise UntranslatableError(f"a mask {mask.shape} does not fit its input {x.shape}")
    hidden = b.call("torch.logical_not", mask, dtype="bool") if mask is not None else None
    scores = x if hidden is None else without(b, x, hidden)
    if len(axes) == 1:
        y = softmax(b, scores, axes[0])
    else:
        shape = tuple(1 if i in {a % x.rank for a in axes} else n for i, n in enumerate(x.shape))
        total = b.call("torch.logsumexp", scores, Axes(axes), keepdim=True, shape=shape)
        y = b.call("torch.exp", b.call("-", scores, total))
    if hidden is not None and not b.layer.keras_2:
        y = b.call(".masked_fill", y, hidden, 0.0, shape=x.shape)
    y.mask = mask
    return y


def without(b: Builder, x: Value, hidden: Value) -> Value:
    """Scores such that what is hidden does not count: Keras 2 subtracts a large number, Keras 3 puts one there."""
    if b.layer.keras_2:
        return b.call("-", x, b.call("*", hidden, 1e9, dtype=x.dtype), shape=x.shape)
    return b.call(".masked_fill", x, hidden, -1e9, shape=x.shape)
