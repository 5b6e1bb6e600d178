"""Emitted networks against the same networks written by hand, and against Keras 3 on its torch backend.

`python tests/benchmarks/speed.py [--runs N] [NAME ...]`: two threads, the contenders in turn, ratios of the fastest
runs. A pass is forward in eval mode, or forward and backward in training mode. Emitted networks may take 1.03 times as
long as those by hand, Keras must take 1.3 times as long, and MobileNetV2 with `--fold-bn` at most 0.85 times as long as
without. Timings mean something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import networks
import torch
from parity import load_net
from torch import Tensor, nn

import k2t

BY_HAND, KERAS, FOLDED = 1.03, 1.3, 0.85
IMAGES = ("ResNet50", "MobileNetV2", "VGG16", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny")
LEAST = 3.0
BATCHES = {"forward": (1, 8), "backward": (8,)}


def keras_model(name: str) -> Any:
    """A network of keras.applications, or one for sequences."""
    if name in IMAGES:
        return getattr(keras.applications, name)(weights=None)
    return lstm() if name == "LSTM" else transformer()


def lstm() -> Any:
    """Two LSTM(128)."""
    layers = keras.layers
    x = keras.Input(networks.SEQUENCE)
    y = layers.LSTM(128)(layers.LSTM(128, return_sequences=True)(x))
    return keras.Model(x, layers.Dense(10, activation="softmax")(y))


def transformer() -> Any:
    """Four blocks of attention and two dense layers."""
    layers, width, heads = keras.layers, networks.WIDTH, networks.HEADS
    tokens = keras.Input((networks.TOKENS,), dtype="int32")
    x = layers.Embedding(networks.WORDS, width)(tokens)
    for _ in range(networks.BLOCKS):
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.MultiHeadAttention(heads, width // heads)(x, x))
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(x + y)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, layers.Dense(10, activation="softmax")(x))


def emitted(model: Any, **options: Any) -> nn.Module:
    """The model, converted."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "net.keras")
        k2t.convert(Path(folder) / "net.keras", **options).write(Path(folder) / "net.py")
        network: nn.Module = load_net(Path(folder) / "net.py").load()
    return network


def inputs(name: str, batch: int) -> tuple[Tensor, Tensor]:
    """What the modules take, and what Keras takes."""
    if name in IMAGES:
        images = torch.rand(batch, 3, 224, 224)
        return images, images.permute(0, 2, 3, 1).contiguous()
    if name == "LSTM":
        steps = torch.rand(batch, *networks.SEQUENCE)
        return steps, steps
    tokens = torch.randint(1, networks.WORDS, (batch, networks.TOKENS))
    return tokens, tokens


def seconds(run: Callable[[], Tensor], backward: bool) -> float:
    """Seconds of one pass."""
    start = time.perf_counter()
    if backward:
        run().square().sum().backward()
    else:
        with torch.inference_mode():
            run()
    return time.perf_counter() - start


def fastest(passes: dict[str, Callable[[], Tensor]], backward: bool, runs: int) -> dict[str, float]:
    """The best of so many times of each contender, or as many as `LEAST` seconds hold; two before do not count.

    Who runs behind whom changes, as the processor's caches remember.
    """
    times: dict[str, list[float]] = {key: [] for key in passes}
    order = list(passes)
    start = time.perf_counter()
    while len(times[order[0]]) < runs + 2 or time.perf_counter() - start < LEAST:
        for key in order:
            times[key].append(seconds(passes[key], backward))
        order = [*order[1:], order[0]]
    return {key: min(found[2:]) for key, found in times.items()}


def compare(name: str, runs: int) -> bool:
    """Print the rows of one network; whether all are within the targets."""
    model = keras_model(name)
    contenders = {"emitted": emitted(model), "by hand": networks.BY_HAND[name]()}
    sizes = {sum(item.numel() for item in network.parameters()) for network in contenders.values()}
    if len(sizes) > 1:
        raise SystemExit(f"{name}: the two are not the same network: {sizes} parameters")
    ok = True
    for mode, batches in BATCHES.items():
        training = mode == "backward"
        for network in contenders.values():
            network.train(training)
        for batch in batches:
            given, keras_given = inputs(name, batch)
            passes = {key: partial(network, given) for key, network in contenders.items()}
            passes["Keras"] = partial(model, keras_given, training=training)
            best = fastest(passes, training, runs)
            ratio, faster = best["emitted"] / best["by hand"], best["Keras"] / best["emitted"]
            ok &= ratio <= BY_HAND and faster >= KERAS
            numbers = [1000 * best[key] for key in ("emitted", "by hand", "Keras")]
            print("{:15} {:9} {:5} {:9.1f} {:9.1f} {:9.1f}".format(name, mode, batch, *numbers), end="")
            print(f" {ratio:8.3f} {faster:8.2f}", flush=True)
    return ok


def compare_folded(runs: int) -> bool:
    """MobileNetV2 with and without `--fold-bn`, batch 1."""
    model = keras_model("MobileNetV2")
    plain, folded = emitted(model), emitted(model, fold_bn=True)
    given, _ = inputs("MobileNetV2", 1)
    best = fastest({"plain": partial(plain, given), "folded": partial(folded, given)}, False, runs)
    print(f"MobileNetV2 --fold-bn, batch 1: {best['folded'] / best['plain']:.3f} times as long")
    return best["folded"] / best["plain"] <= FOLDED


def main() -> int:
    """The table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(networks.BY_HAND))
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_flush_denormal(True)  # gradients that vanish over steps are slow otherwise, whatever the code
    columns = ("network", "pass", "batch", "emitted", "by hand", "Keras", "ratio", "faster")
    print("{:15} {:9} {:>5} {:>9} {:>9} {:>9} {:>8} {:>8}   milliseconds".format(*columns))
    ok = [compare(name, options.runs) for name in options.names or networks.BY_HAND]
    if not options.names or "MobileNetV2" in options.names:
        ok.append(compare_folded(options.runs))
    return int(not all(ok))


if __name__ == "__main__":
    sys.exit(main())
