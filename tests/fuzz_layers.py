"""Single layers with random options, for random models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import parity

import k2t.rules.translate  # noqa: F401 - registers the rules
from k2t.rules.base import RULES, Example

SMALL = (1, 2, 3, 4, 5)
ACTIVATIONS = (
    None,
    "relu",
    "tanh",
    "sigmoid",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "gelu",
    "silu",
    "hard_sigmoid",
    "softmax",
    "leaky_relu",
    "relu6",
)
# (the maker, the shape of the input) -> a layer, or None where none fits
Step = Callable[[Any, Any], Any]


def conv(rank: int) -> Step:
    return lambda m, s: getattr(m.layers, f"Conv{rank}D")(
        m.choose(*SMALL), use_bias=m.maybe(0.8), activation=m.activation(), **m.conv_options(rank)
    )


def depthwise(rank: int) -> Step:
    def make(m: Any, s: Any) -> Any:
        options = m.conv_options(rank)
        options["kernel_size"] = options["kernel_size"][0]
        options["strides"] = m.choose(1, 2) if "dilation_rate" not in options else 1
        return getattr(m.layers, f"DepthwiseConv{rank}D")(
            depth_multiplier=m.choose(1, 2), activation=m.activation(), **options
        )

    return make


def separable(rank: int) -> Step:
    return lambda m, s: getattr(m.layers, f"SeparableConv{rank}D")(
        m.choose(*SMALL), m.choose(2, 3), strides=m.choose(1, 2), padding=m.choose("same", "valid")
    )


def transposed(rank: int) -> Step:
    return lambda m, s: getattr(m.layers, f"Conv{rank}DTranspose")(
        m.choose(*SMALL), m.choose(1, 2, 3, 4), strides=m.choose(1, 2, 3), padding=m.choose("same", "valid")
    )


def pooling(rank: int) -> Step:
    return lambda m, s: getattr(m.layers, f"{m.choose('Max', 'Average')}Pooling{rank}D")(
        m.choose(2, 3), strides=m.choose(None, 1, 2, 3), padding=m.choose("same", "valid")
    )


def named(kind: str, **choices: tuple[Any, ...]) -> Step:
    """A layer with options chosen from these."""

    def make(m: Any, s: Any) -> Any:
        return getattr(m.layers, kind)(**{key: m.choose(*values) for key, values in choices.items()})

    return make


def recurrent(kind: str) -> Step:
    def make(m: Any, s: Any) -> Any:
        options: dict[str, Any] = {"return_sequences": m.maybe(), "go_backwards": m.maybe(0.2)}
        if m.maybe(0.2):
            options["zero_output_for_mask"] = True
        options["unroll"] = s[1] is not None and m.maybe(0.2)
        if m.maybe(0.2):
            options["activation"] = m.choose("relu", "sigmoid", "softsign")
        if kind == "GRU":
            options["reset_after"] = m.maybe(0.7)
        layer = getattr(m.layers, kind)(m.choose(*SMALL), use_bias=m.maybe(0.9), **options)
        if m.maybe(0.25) and not options["go_backwards"]:
            return m.layers.Bidirectional(layer, merge_mode=m.choose("concat", "sum", "mul", "ave"))
        return layer

    return make


def reshape(m: Any, s: Any) -> Any:
    """The same elements in another shape."""
    sizes = [n for n in s[1:] if n is not None]
    if len(sizes) != len(s) - 1:
        return None
    total = int(np.prod(sizes))
    divisor = m.choose(*[n for n in range(1, total + 1) if total % n == 0])
    return m.layers.Reshape(
        m.choose([divisor, total // divisor], [total], [1, divisor, total // divisor], [-1, divisor])
    )


def permute(m: Any, s: Any) -> Any:
    dims = list(range(1, len(s)))
    m.random.shuffle(dims)
    return m.layers.Permute(dims) if len(dims) > 1 else None


def time_distributed(m: Any, s: Any) -> Any:
    """A layer or a model for each step."""
    inner = m.inner_model((s[0], *s[2:])) if m.maybe(0.2) else m.layer((s[0], *s[2:]))
    if inner is None or isinstance(inner, m.layers.TimeDistributed | m.layers.Masking):
        return None
    return m.layers.TimeDistributed(inner)


def cell(m: Any) -> Any:
    """A cell, or several in a stack."""

    def one() -> Any:
        options = {"recurrent_dropout": 0.2} if m.maybe(0.1) else {}
        return getattr(m.layers, m.choose("SimpleRNNCell", "LSTMCell", "GRUCell"))(m.choose(*SMALL), **options)

    return one() if m.maybe() else [one() for _ in range(m.choose(1, 2, 3))]


def cells(m: Any, s: Any) -> Any:
    """A cell in a loop."""
    options = {"return_sequences": m.maybe(0.7), "go_backwards": m.maybe(0.2), "unroll": s[1] is not None and m.maybe()}
    layer = m.layers.RNN(cell(m), **options)
    return m.layers.Bidirectional(layer) if m.maybe(0.2) else layer


def convolutional_recurrent(rank: int) -> Step:
    return lambda m, s: getattr(m.layers, f"ConvLSTM{rank}D")(
        m.choose(1, 2, 3),
        m.choose(1, 2, 3),
        padding=m.choose("same", "valid"),
        strides=m.choose(1, 1, 2),
        return_sequences=m.maybe(),
        go_backwards=m.maybe(0.2),
    )


def channels_first(rank: int) -> Step:
    """A layer that takes the channels in front."""

    def make(m: Any, s: Any) -> Any:
        options = {"data_format": "channels_first"}
        padding = m.choose("same", "valid")
        return m.choose(
            lambda: getattr(m.layers, f"Conv{rank}D")(m.choose(*SMALL), m.choose(1, 2, 3), padding=padding, **options),
            lambda: getattr(m.layers, f"Conv{rank}DTranspose")(m.choose(*SMALL), m.choose(2, 3), strides=2, **options),
            lambda: getattr(m.layers, f"{m.choose('Max', 'Average')}Pooling{rank}D")(2, padding=padding, **options),
            lambda: getattr(m.layers, f"Global{m.choose('Max', 'Average')}Pooling{rank}D")(**options),
            lambda: m.layers.Flatten(**options),
            lambda: m.layers.BatchNormalization(axis=1),
            lambda: m.layers.PReLU(shared_axes=list(range(2, rank + 2))),
            lambda: getattr(m.layers, f"UpSampling{rank}D")(**({} if rank == 1 else options)),
            lambda: getattr(m.layers, f"ZeroPadding{rank}D")(**options),
        )()

    return make


def singles() -> dict[int, dict[str, list[Example]]]:
    """The examples of the rules that take one real tensor: rank -> group of kinds -> examples, with their kind."""
    found: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for kind, rule in RULES.items():
        group = "augmentation" if rule.function.__module__.endswith(".augmentation") else kind
        for example in rule.examples:
            if len(example.shapes) == 1 and not (example.refuses or example.integers or example.words or example.calls):
                found[len(example.shapes[0]) + 1][group].append((kind, example))
    return found


SINGLES = singles()


def example(m: Any, s: Any) -> Any:
    """A layer as it is in an example of its rule, with the options of another example here and there."""
    groups = SINGLES[len(s)]
    if not groups:
        return None
    examples = groups[m.choose(*groups)]
    kind, chosen = m.choose(*examples)
    _, other = m.choose(*examples)
    if kind == "ContrastLimitedAdaptiveHistogramEqualization":  # Keras computes it in float32, whatever the dtype
        return None
    options = dict(chosen.options)
    if m.maybe(0.3):
        options |= {key: value for key, value in other.options.items() if m.maybe()}
    return parity.make_layer(m.keras, kind, options) if hasattr(m.layers, kind) else None


COMMON: list[Step] = [
    lambda m, s: m.layers.Dense(m.choose(*SMALL), activation=m.activation(), use_bias=m.maybe(0.8)),
    lambda m, s: m.layers.Activation(m.choose(*ACTIVATIONS[1:])),
    named("BatchNormalization", scale=(True, True, False), center=(True, True, False), epsilon=(1e-3, 1e-5)),
    named("LayerNormalization", epsilon=(1e-3, 1e-6), scale=(True, False)),
    named("Dropout", rate=(0.0, 0.3)),
    named("Flatten"),
    named("LeakyReLU"),
    named("ReLU", max_value=(None, 6.0, 1.0), negative_slope=(0.0, 0.1)),
    named("ELU"),
    named("PReLU"),
    named("Softmax", axis=(-1, 1)),
    named("UnitNormalization"),
    named("Rescaling", scale=(2.0, 0.5), offset=(0.0, -1.0)),
    reshape,
    permute,
    example,
    example,
    example,
    example,
]
SEQUENCE: list[Step] = [
    conv(1),
    conv(1),
    depthwise(1),
    separable(1),
    transposed(1),
    pooling(1),
    named("GlobalAveragePooling1D", keepdims=(True, False)),
    named("GlobalMaxPooling1D", keepdims=(True, False)),
    named("UpSampling1D", size=(2, 3)),
    named("ZeroPadding1D", padding=(1, (2, 0))),
    named("Cropping1D", cropping=(1, (0, 2))),
    named("SpatialDropout1D", rate=(0.2,)),
    named("Masking", mask_value=(0.0,)),
    recurrent("LSTM"),
    recurrent("GRU"),
    recurrent("SimpleRNN"),
    cells,
    channels_first(1),
    time_distributed,
]
IMAGE: list[Step] = [
    conv(2),
    conv(2),
    conv(2),
    depthwise(2),
    separable(2),
    transposed(2),
    pooling(2),
    pooling(2),
    named("GlobalAveragePooling2D", keepdims=(True, False)),
    named("GlobalMaxPooling2D", keepdims=(True, False)),
    named("UpSampling2D", size=(2, (1, 2)), interpolation=("nearest", "bilinear")),
    named("ZeroPadding2D", padding=(1, ((0, 1), (2, 0)))),
    named("Cropping2D", cropping=(1, ((0, 1), (1, 0)))),
    named("SpatialDropout2D", rate=(0.2,)),
    named("GroupNormalization", groups=(1, -1)),
    named("Resizing", height=(4, 7), width=(5,), interpolation=("nearest", "bilinear")),
    channels_first(2),
    convolutional_recurrent(1),
    time_distributed,
]
VOLUME: list[Step] = [
    conv(3),
    transposed(3),
    pooling(3),
    named("GlobalAveragePooling3D"),
    named("GlobalMaxPooling3D"),
    named("UpSampling3D"),
    named("ZeroPadding3D"),
    channels_first(3),
    convolutional_recurrent(2),
    time_distributed,
]
BY_RANK = {3: SEQUENCE, 4: IMAGE, 5: VOLUME, 2: [named("RepeatVector", n=(2, 3))]}
