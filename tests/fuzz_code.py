"""Random programs of the functional API: helpers, loops, branches, skips. Their translation against Keras, in float64.

Run by hand: `python tests/fuzz_code.py --count 300 [--seed 0]`; prints each program that fails.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import test_code

ACTIVATIONS = ("relu", "tanh", "gelu", "elu", None)
HEAD = """\
from functools import partial

import keras
from keras import layers, ops

Conv = partial(layers.Conv2D, padding="same")

"""


class Writer:
    """Writes one program.

    Attributes:
        names: helper -> whether it may change the number of channels.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.helpers: list[str] = []

    def pick(self, *choices: object) -> object:
        return self.random.choice(choices)

    def convolution(self, width: str) -> str:
        """An expression of a layer that keeps height and width."""
        activation = self.pick(*ACTIVATIONS)
        return str(
            self.pick(
                f"Conv({width}, {self.pick(1, 3)}, activation={activation!r})",
                f"Conv({width}, (3, 1), use_bias={self.pick(True, False)}, dilation_rate=(2, 1))",
                f"layers.SeparableConv2D({width}, 3, padding='same', activation={activation!r})",
                f"layers.Dense({width}, {activation!r})",
            )
        )

    def step(self) -> str:
        """A statement that maps x to x, with any number of channels."""
        return str(
            self.pick(
                "x = layers.BatchNormalization()(x)",
                f"x = layers.Activation({self.pick('relu', 'swish', 'sigmoid')!r})(x)",
                f"x = layers.LeakyReLU(negative_slope={self.pick(0.1, 0.3)})(x)",
                f"x = {self.convolution('width')}(x)",
                f"x = layers.Dropout({self.pick(0.1, 0.5)})(x)",
                "x = x * ops.sigmoid(x)",
                f"x = layers.Lambda(lambda t: t * {self.pick(0.5, 2.0)} + scale)(x)",
                "x = layers.LayerNormalization(epsilon=1e-5)(x)",
            )
        )

    def helper(self, number: int) -> str:
        """A function that takes and returns a tensor."""
        steps = "\n".join(f"    {self.step()}" for _ in range(self.random.randint(1, 3)))
        skip = self.pick(
            "if skip and y.shape[-1] == x.shape[-1]:\n        x = layers.add([x, y])",
            "if skip:\n        x = layers.Concatenate()([x, y])",
            "if not skip:\n        return x\n    y = layers.Conv2D(x.shape[-1], 1)(y)\n    x = x + y",
            "x = layers.maximum([x, x]) if skip else x",
        )
        name = f"block{number}"
        self.helpers.append(name)
        head = f"def {name}(x, width, scale=0.5, skip={self.pick(True, False)}):"
        return f"{head}\n    y = x\n{steps}\n    {skip}\n    return x\n\n\n"

    def use(self, width: str) -> str:
        """A call of a helper."""
        options = self.pick("skip=True", "scale=0.25", "0.1, False", "skip=deep")
        return f"x = {self.pick(*self.helpers)}(x, {width}, {options})"

    def body(self) -> list[str]:
        """The statements of the builder."""
        lines: list[str] = []
        for _ in range(self.random.randint(2, 4)):
            lines += self.random.choice([self.loop, self.branch, self.plain, self.branches])()
        return lines

    def plain(self) -> list[str]:
        return [self.use(str(self.random.randint(2, 5)))]

    def loop(self) -> list[str]:
        lines = [f"for i in range({self.pick('depth', '2', 'len(widths)')}):"]
        lines += [f"    {self.use('width + i')}"]
        if self.random.random() < 0.5:
            lines += [
                "    skips.append(x)",
                f"    if i == {self.pick(0, 1)}:",
                "        x = layers.AveragePooling2D(2, padding='same')(x)",
            ]
        return lines

    def branch(self) -> list[str]:
        return [f"if {self.pick('deep', 'depth > 2', 'width in (3, 4)')}:", f"    {self.use('width')}", "else:",
                f"    x = {self.convolution('width')}(x)"]  # fmt: skip

    def branches(self) -> list[str]:
        tower = self.convolution("w")
        return [f"towers = [{tower}(x) for w in widths]", "x = layers.concatenate(towers)"]

    def program(self) -> str:
        """The whole file."""
        helpers = "".join(self.helper(number) for number in range(self.random.randint(1, 3)))
        lines = "\n".join(f"    {line}" for line in self.body())
        ends = [
            "outputs = layers.Dense(3, activation='softmax')(layers.GlobalAveragePooling2D()(x))",
            "outputs = layers.Dense(2)(layers.Flatten()(x))",
            "outputs = [layers.GlobalMaxPooling2D()(x)] + [layers.GlobalAveragePooling2D()(s) for s in skips]",
            "head = keras.Sequential([layers.Reshape((-1, x.shape[-1])), layers.GRU(3)])\n    outputs = head(x)",
        ]
        head = "def build(depth=2, width=3, widths=(2, 3), deep=False):\n    inputs = keras.Input((6, 5, 2))"
        first, last = "    x, skips = inputs, []", f"    {self.pick(*ends)}\n    return keras.Model(inputs, outputs)"
        return f"{HEAD}{helpers}{head}\n{first}\n{lines}\n{last}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        source = Writer(seed).program()
        arguments = random.Random(seed).choice([{}, {"depth": 3}, {"deep": True}, {"width": 4, "widths": (3,)}])
        test_code.PROGRAMS["random"] = (source, "build", dict(arguments))
        try:
            with tempfile.TemporaryDirectory() as folder:
                test_code.test_code_computes_what_keras_computes("random", Path(folder))
        except Exception:
            failed += 1
            print(f"seed {seed} {arguments}\n{source}\n{traceback.format_exc(limit=-3)}", flush=True)
    print(f"{options.count - failed} of {options.count} programs agree")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
