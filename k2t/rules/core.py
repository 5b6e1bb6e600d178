"""Dense, shapes, and what does nothing at inference."""

from __future__ import annotations

import math
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axis, Permutation, Size, Sizes, Value
from k2t.rules.activations import activate
from k2t.rules.base import example, refuse, rule, size
from k2t.rules.builder import Builder
from k2t.rules.lora import adapt
from k2t.rules.quantized import quantized_linear


def linear(b: Builder, x: Value, units: int, use_bias: bool, role: str = "") -> Value:
    """nn.Linear over the last axis, with the layer's `kernel` (in, out) and `bias`."""
    features = size(x, -1)
    kernel = b.variable("kernel", (features, units))
    bias = b.variable("bias", (units,)) if use_bias else None
    module = b.module(
        "nn.Linear",
        features,
        units,
        role=role,
        weights={
            "weight": b.weight(kernel, transform=lambda array: array.T),
            "bias": b.weight(bias) if bias else None,
        },
        absorbs={"weight": 1},
        **({} if use_bias else {"bias": False}),
    )
    return b.call(module, x, shape=(*x.shape[:-1], units), layout="linear")


@rule(
    "Dense",
    masking=True,
    examples=[
        example((7,), units=4),
        example((7,), units=4, activation="relu", use_bias=False),
        example((5, 7), units=3, activation="softmax"),
        example((3, 5, 7), units=4, activation="tanh"),
        example((None, 7), units=4),
        example((7,), units=4, lora_rank=2, lora_alpha=3),
    ],
)
def dense(
    b: Builder,
    x: Value,
    *,
    units: int,
    activation: Any = None,
    use_bias: bool = True,
    lora_rank: int | None = None,
    lora_alpha: int | None = None,
    quantization_config: Any = None,
) -> Value:
    """nn.Linear; Int8Linear or GroupedLinear where it is quantized."""
    features, bias = size(x, -1), (units,) if use_bias else None
    adapt(b, "kernel", (features, units), bias, lora_rank, lora_alpha)
    if quantization_config is None:
        return activate(b, linear(b, x, units, use_bias), activation)
    y = quantized_linear(b, x, (features, units), bias, (units,), quantization_config)
    return activate(b, y, activation)


@rule("Flatten", examples=[example((3, 5, 2)), example((4, 3)), example((6,)), example((None, 3))])
def flatten(b: Builder, x: Value, *, data_format: str | None = None) -> Value:
    """.flatten(1), in Keras's order of features."""
    if data_format == "channels_first" and x.rank > 2:
        order = (0, *range(2, x.rank), 1)
        x = b.call(".permute", x, Permutation(order), shape=tuple(x.shape[i] for i in order), layout="permute")
    if x.rank <= 2:
        return x if x.rank == 2 else b.call(".unsqueeze", x, 1, shape=(*x.shape, 1), layout="keras")
    features = None if None in x.shape[1:] else math.prod(n or 0 for n in x.shape[1:])
    return b.call(".flatten", x, 1, shape=(x.shape[0], features), layout="flatten")


def reshape(b: Builder, x: Value, target: tuple[int | None, ...]) -> Value:
    """`.reshape` to a shape with batch; -1 stands for the one unknown size, the batch for itself."""
    shape = tuple(None if n == -1 else n for n in target)
    if x.shape == shape and None not in shape[1:]:
        return x
    entries: list[Any] = [-1 if n is None else n for n in shape]
    if entries.count(-1) > 1:
        entries[0] = Size(x, 0)
    return b.call(".reshape", x, Sizes(tuple(entries)), shape=shape, layout="reshape")


@rule(
    "Reshape",
    examples=[
        example((12,), target_shape=[3, 4]),
        example((3, 4, 2), target_shape=[4, 6]),
        example((3, 4, 2), target_shape=[-1, 2]),
        example((5,), target_shape=[1, 1, 5]),
        example((1, 1, 5), target_shape=[5]),
        example((None, 4), target_shape=[-1, 2]),
    ],
)
def reshape_layer(b: Builder, x: Value, *, target_shape: list[int]) -> Value:
    """.reshape, in Keras's order of elements."""
    target = [-1 if n is None else n if isinstance(n, int) else int(n) for n in target_shape]
    if -1 in target and None not in x.shape[1:]:
        place = target.index(-1)
        kept = len(target) - place - 1
        kept = kept if 0 < kept < x.rank and target[-kept:] == list(x.shape[-kept:]) else 0
        known = math.prod(n for n in target[: len(target) - kept] if n != -1)
        if known:
            target[place] = math.prod(n or 0 for n in x.shape[1 : x.rank - kept]) // known
    return reshape(b, x, (x.shape[0], *target))


@rule("Permute", examples=[example((3, 4, 5), dims=[2, 3, 1]), example((3, 4), dims=[2, 1])])
def permute(b: Builder, x: Value, *, dims: list[int]) -> Value:
    """.permute."""
    order = (0, *dims)
    if sorted(order) != list(range(x.rank)):
        raise UntranslatableError(f"dims={dims!r} is no permutation of 1 to {x.rank - 1}")
    return b.call(".permute", x, Permutation(order), shape=tuple(x.shape[i] for i in order), layout="permute")


@rule("RepeatVector", examples=[example((5,), n=3)])
def repeat_vector(b: Builder, x: Value, *, n: int) -> Value:
    """.unsqueeze(1).expand(...)."""
    batch, features = x.shape
    column = b.call(".unsqueeze", x, 1, shape=(batch, 1, features), layout="keras")
    return b.call(".expand", column, -1, n, -1, shape=(batch, n, features), layout="keras")


@rule("Identity", masking=True, examples=[example((4, 3))])
def identity(b: Builder, x: Value) -> Value:
    """Nothing; in Keras 2 it hands no mask on."""
    return b.call(".clone", x) if b.layer.keras_2 and x.mask is not None else x


@rule("ActivityRegularization", masking=True, examples=[example((4, 3), l1=0.1)])
def activity_regularization(b: Builder, x: Value, *, l1: float = 0.0, l2: float = 0.0) -> Value:
    """Nothing: it adds a term to the loss, which is the training loop's in PyTorch."""
    return x


@rule(
    "Dropout",
    masking=True,
    examples=[
        example((4, 3), rate=0.3),
        example((4, 3), rate=0.0),
        example((4, 3), rate=0.3, noise_shape=[None, 1, 3]),
        example((4, 5, 3), rate=0.3, noise_shape=[None, 1, 1, 1]),
    ],
)
def dropout(
    b: Builder,
    x: Value,
    *,
    rate: float,
    noise_shape: list[int | None] | None = None,
    seed: int | None = None,
    training: bool | None = None,
) -> Value:
    """nn.Dropout, or F.dropout where Keras drops at inference too; Keras's noise_shape drops whole slices."""
    if rate == 0 or training is False:
        return x
    if noise_shape is None or all(n is None or n == m for n, m in zip(noise_shape, x.shape, strict=False)):
        return b.call("F.dropout", x, rate) if training else b.call(b.module("nn.Dropout", rate), x)
    if training:
        raise UntranslatableError(f"noise_shape={noise_shape!r} with training=True has no function in PyTorch")
    slices = tuple(i for i, n in enumerate(noise_shape) if n == 1)
    if slices == (1,) and x.rank == 3:
        return spatial_dropout(b, x, rate)
    if slices == tuple(range(1, x.rank)):
        return b.call(b.module("StochasticDepth", rate), x)
    raise UntranslatableError(f"noise_shape={noise_shape!r} has no module in PyTorch")


def spatial_dropout(b: Builder, x: Value, rate: float) -> Value:
    """Drops whole channels; those of sequences in either order of axes."""
    if x.rank == 3:
        return b.call(b.module("LockedDropout", rate), x, Axis(1))
    return b.call(b.module(f"nn.Dropout{x.rank - 2}d", rate), x, layout="first")


@rule("SpatialDropout1D", masking=True, examples=[example((4, 3), rate=0.3)])
@rule("SpatialDropout2D", masking=True, examples=[example((4, 5, 3), rate=0.3)])
@rule("SpatialDropout3D", masking=True, examples=[example((4, 5, 2, 3), rate=0.3)])
def spatial_dropout_layer(
    b: Builder, x: Value, *, rate: float, seed: int | None = None, data_format: str | None = None
) -> Value:
    """nn.Dropout1d, nn.Dropout2d, nn.Dropout3d; a local module for sequences with the channels last."""
    if data_format == "channels_first":
        return b.call(b.module(f"nn.Dropout{x.rank - 2}d", rate), x, layout="keras")
    return spatial_dropout(b, x, rate)


@rule("AlphaDropout", masking=True, examples=[example((4, 3), rate=0.3)])
def alpha_dropout(
    b: Builder, x: Value, *, rate: float, noise_shape: list[int] | None = None, seed: int | None = None
) -> Value:
    """nn.AlphaDropout."""
    if noise_shape is not None:
        raise UntranslatableError(f"noise_shape={noise_shape!r} has no module in PyTorch")
    return b.call(b.module("nn.AlphaDropout", rate), x)


@rule("GaussianDropout", masking=True, examples=[example((4, 3), rate=0.3)])
def gaussian_dropout(b: Builder, x: Value, *, rate: float, seed: int | None = None) -> Value:
    """A local module: times noise around 1 while training."""
    return b.call(b.module("GaussianDropout", rate), x)


@rule("GaussianNoise", masking=True, examples=[example((4, 3), stddev=0.3)])
def gaussian_noise(b: Builder, x: Value, *, stddev: float, seed: int | None = None) -> Value:
    """A local module: plus noise while training."""
    return b.call(b.module("GaussianNoise", stddev), x)


def concatenate(b: Builder, tensors: list[Value], axis: int) -> Value:
    """torch.cat."""
    axis %= tensors[0].rank
    sizes = [x.shape[axis] for x in tensors]
    total = None if None in sizes else sum(n or 0 for n in sizes)
    merged = [
        next((n for n in column if n is not None), None) for column in zip(*(x.shape for x in tensors), strict=True)
    ]
    shape = (*merged[:axis], total, *merged[axis + 1 :])
    return b.call("torch.cat", tensors, dim=Axis(axis), shape=shape, dtype=tensors[0].dtype)


refuse(
    "DenseFeatures",
    "computes feature columns, which are functions of TensorFlow that no file holds; use the layers that replaced them",
)
for _kind in ("JaxLayer", "FlaxLayer", "TFSMLayer"):
    refuse(_kind, "wraps a program of another framework; rewrite that part in PyTorch and name it with --custom")
