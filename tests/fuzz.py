"""Random Keras models through k2t, compared in float64.

`python tests/fuzz.py --count 1000 --seed 0` builds, saves, converts and compares models and prints those that
differ, are refused or crash, each with the seed that makes it again.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parity

import k2t
from k2t.verify.exact import float64_kernels

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
# What Keras raises for a layer that does not fit its input.
REJECTED = (ValueError, TypeError, NotImplementedError)
Step = Callable[["Maker", Any], Any]


class Maker:
    """Makes one random model.

    Attributes:
        random: where all choices come from.
        shared: layers made before, by the rank of their input, which may be called again.
    """

    def __init__(self, keras: Any, seed: int) -> None:
        self.keras = keras
        self.layers = keras.layers
        self.random = random.Random(seed)
        self.shared: dict[tuple[int | None, ...], list[Any]] = {}

    def choose(self, *items: Any) -> Any:
        return self.random.choice(items)

    def maybe(self, probability: float = 0.5) -> bool:
        return self.random.random() < probability

    def shape(self) -> tuple[int | None, ...]:
        """The shape of an input."""
        rank = self.choose(1, 2, 2, 3, 3, 3, 4)
        sizes: list[int | None] = [self.random.randint(5, 9) for _ in range(rank - 1)]
        if rank in (2, 3) and self.maybe(0.25):
            sizes = [None] * (rank - 1)
        return (*sizes, self.random.randint(1, 5))

    def model(self) -> Any:
        """A functional model with branches."""
        inputs = [self.keras.Input(self.shape()) for _ in range(self.choose(1, 1, 1, 2))]
        tensors = list(inputs)
        for _ in range(self.random.randint(2, 9)):
            x = self.choose(*tensors) if self.maybe(0.3) else tensors[-1]
            y = self.step(x, tensors)
            if y is not None:
                tensors.append(y)
        outputs = [tensors[-1]]
        if self.maybe(0.25):
            outputs.append(self.choose(*tensors))
        if len(inputs) == 2:
            outputs.append(self.step(inputs[1], tensors) if tensors[-1] is not inputs[1] else inputs[1])
            outputs = [x for x in outputs if x is not None]
        one = inputs[0] if len(inputs) == 1 else inputs
        return self.keras.Model(one, outputs if len(outputs) > 1 else outputs[0])

    def step(self, x: Any, tensors: list[Any]) -> Any:
        """One more layer on `x`, or None where the one chosen does not fit."""
        if self.maybe(0.2):
            return self.merge(x, tensors)
        if self.maybe(0.05):
            return self.nested(x)
        known = self.shared.get(tuple(x.shape))
        if known and self.maybe(0.15):
            return self.choose(*known)(x)
        layer = self.layer(len(x.shape), x.shape)
        if layer is None:
            return None
        try:
            y = layer(x)
        except REJECTED:
            return None
        if any(n is not None and n <= 0 for n in y.shape) or np.prod([n or 1 for n in y.shape]) > 4000:
            return None
        self.shared.setdefault(tuple(x.shape), []).append(layer)
        return y

    def merge(self, x: Any, tensors: list[Any]) -> Any:
        """Two tensors joined."""
        same = [other for other in tensors if tuple(other.shape) == tuple(x.shape)]
        kind = self.choose("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate")
        return getattr(self.layers, kind)()([x, self.choose(*same)])

    def nested(self, x: Any) -> Any:
        """A model inside."""
        inner_input = self.keras.Input(x.shape[1:])
        y = inner_input
        for _ in range(self.random.randint(1, 3)):
            layer = self.layer(len(y.shape), y.shape)
            with contextlib.suppress(*REJECTED):
                y = y if layer is None else layer(y)
        if y is inner_input or np.prod([n or 1 for n in y.shape]) > 4000:
            return None
        return self.keras.Model(inner_input, y)(x)

    def layer(self, rank: int, shape: tuple[int | None, ...]) -> Any:
        """A random layer for tensors of so many axes, the batch axis included."""
        makers = [*COMMON, *BY_RANK.get(rank, [])]
        return self.choose(*makers)(self, shape)

    def activation(self) -> Any:
        return self.choose(*ACTIVATIONS)

    def conv_options(self, rank: int) -> dict[str, Any]:
        """Kernel, strides or dilation, padding."""
        kernel = [self.choose(1, 2, 3, 3, 4) for _ in range(rank)]
        options: dict[str, Any] = {"kernel_size": kernel, "padding": self.choose("same", "same", "valid")}
        if self.maybe(0.4):
            options["strides"] = self.choose(2, 3) if self.maybe() else [self.choose(1, 2)] * rank
        elif self.maybe(0.3):
            options["dilation_rate"] = 2
        return options


def conv(rank: int) -> Step:
    return lambda m, s: getattr(m.layers, f"Conv{rank}D")(
        m.choose(*SMALL), use_bias=m.maybe(0.8), activation=m.activation(), **m.conv_options(rank)
    )


def depthwise(rank: int) -> Step:
    def make(m: Maker, s: Any) -> Any:
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

    def make(m: Maker, s: Any) -> Any:
        return getattr(m.layers, kind)(**{key: m.choose(*values) for key, values in choices.items()})

    return make


def recurrent(kind: str) -> Step:
    def make(m: Maker, s: Any) -> Any:
        options: dict[str, Any] = {"return_sequences": m.maybe(), "go_backwards": m.maybe(0.2)}
        if m.maybe(0.2):
            options["activation"] = m.choose("relu", "sigmoid", "softsign")
        if kind == "GRU":
            options["reset_after"] = m.maybe(0.7)
        layer = getattr(m.layers, kind)(m.choose(*SMALL), use_bias=m.maybe(0.9), **options)
        if m.maybe(0.25) and not options["go_backwards"]:
            return m.layers.Bidirectional(layer, merge_mode=m.choose("concat", "sum", "mul", "ave"))
        return layer

    return make


def reshape(m: Maker, s: Any) -> Any:
    """The same elements in another shape."""
    sizes = [n for n in s[1:] if n is not None]
    if len(sizes) != len(s) - 1:
        return None
    total = int(np.prod(sizes))
    divisor = m.choose(*[n for n in range(1, total + 1) if total % n == 0])
    return m.layers.Reshape(
        m.choose([divisor, total // divisor], [total], [1, divisor, total // divisor], [-1, divisor])
    )


def permute(m: Maker, s: Any) -> Any:
    dims = list(range(1, len(s)))
    m.random.shuffle(dims)
    return m.layers.Permute(dims) if len(dims) > 1 else None


def time_distributed(m: Maker, s: Any) -> Any:
    inner = m.layer(len(s) - 1, (s[0], *s[2:]))
    if inner is None or isinstance(inner, m.layers.TimeDistributed | m.layers.Masking):
        return None
    return m.layers.TimeDistributed(inner)


def attention(m: Maker, s: Any) -> Any:
    layer = m.layers.MultiHeadAttention(m.choose(1, 2), m.choose(2, 3), use_bias=m.maybe(0.8))
    return lambda x: layer(x, x)


COMMON: list[Step] = [
    lambda m, s: m.layers.Dense(m.choose(*SMALL), activation=m.activation(), use_bias=m.maybe(0.8)),
    lambda m, s: m.layers.Activation(m.choose(*ACTIVATIONS[1:])),
    named("BatchNormalization", scale=(True, True, False), center=(True, True, False), epsilon=(1e-3, 1e-5)),
    named("LayerNormalization", epsilon=(1e-3, 1e-6), scale=(True, False)),
    named("Dropout", rate=(0.0, 0.3)),
    named("Flatten"),
    named("LeakyReLU", negative_slope=(0.3, 0.1)),
    named("ReLU", max_value=(None, 6.0, 1.0), negative_slope=(0.0, 0.1)),
    named("ELU"),
    named("PReLU"),
    named("Softmax", axis=(-1, 1)),
    named("UnitNormalization"),
    named("Rescaling", scale=(2.0, 0.5), offset=(0.0, -1.0)),
    reshape,
    permute,
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
    time_distributed,
    attention,
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
    time_distributed,
]
BY_RANK = {3: SEQUENCE, 4: IMAGE, 5: VOLUME, 2: [named("RepeatVector", n=(2, 3))]}


def check(keras: Any, seed: int, folder: Path) -> str:
    """`ok`, `refused: …` or `differs: …` for the model of a seed."""
    keras.backend.clear_session()
    maker = Maker(keras, seed)
    with float64_kernels():
        model = maker.model()
    parity.randomize(model, seed)
    path = folder / f"model{maker.choose('.keras', '.h5')}"
    model.save(path)
    try:
        result = k2t.convert(path)
    except k2t.UnsupportedError as error:
        return f"refused: {'; '.join(map(str, error.problems))}"
    result.write(folder / "net.py")
    net = parity.load_net(folder / "net.py").load()
    rng = np.random.default_rng(seed)
    for size in (17, 20) if any(None in x.shape[1:] for x in model.inputs) else (17,):
        inputs = [rng.normal(0, 1, (3, *(n or size for n in x.shape[1:]))) for x in model.inputs]
        want = parity.reference(model, inputs)
        for got, expected in zip(parity.run(net, result, inputs), want, strict=True):
            try:
                parity.assert_close(got, expected)
            except AssertionError as error:
                kinds = ", ".join(type(layer).__name__ for layer in model.layers)
                return f"differs: {str(error).strip().splitlines()[0]} [{kinds}]"
    return "ok"


def run(keras: Any, seeds: range) -> dict[int, str]:
    """The verdict for each seed; whatever k2t raises is one."""
    verdicts = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            try:
                verdicts[seed] = check(keras, seed, Path(folder))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                verdicts[seed] = f"crashed: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import keras

    keras.config.set_floatx("float64")
    verdicts = {}
    for seed in range(options.seed, options.seed + options.count):
        verdicts |= run(keras, range(seed, seed + 1))
        if verdicts[seed] != "ok":
            print(seed, verdicts[seed][:400], flush=True)
    print(dict(Counter(verdict.partition(":")[0] for verdict in verdicts.values())))
    return 0 if set(verdicts.values()) <= {"ok"} else 1


if __name__ == "__main__":
    sys.exit(main())
