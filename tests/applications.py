"""Every network of keras.applications and tf_keras.applications, random weights, through k2t, against Keras in float64.

Prints a table: `python tests/applications.py [--library keras|tf_keras] [NAME ...]`, all networks by default.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from parity import TOLERANCE, load_net

import k2t
from k2t.verify.exact import float64_kernels

CLASSES = 10
# Inputs are small and odd-sized where the network permits it.
SIZES = {"ConvNeXt": 45, "Inception": 79, "Xception": 75, "DenseNet": 67, "MobileNet": 71, "NASNet": 67}
SIZE = 65
FORMATS = {"keras": (".keras", ".h5"), "tf_keras": (".h5",)}


@dataclass(frozen=True)
class Case:
    """What came out for one network in one format.

    Attributes:
        error: of the logits, relative to their scale.
        spread: of the logits between different inputs, relative to their scale: a dead network has none.
    """

    layers: int
    lines: int
    error: float
    spread: float
    source: str

    @property
    def ok(self) -> bool:
        """Whether the network is alive and the emitted one computes the same."""
        return self.error <= TOLERANCE and self.spread > 1e-3


def builders(library: str) -> list[str]:
    """The names of the networks that a library has."""
    applications = import_module(library).applications
    return [name for name in dir(applications) if name[0].isupper()]


@contextmanager
def float64(library: str) -> Iterator[Any]:
    """The library, whose layers are made in float64 and compute in it."""
    keras = import_module(library)
    keras.backend.clear_session()
    keras.backend.set_floatx("float64")
    with float64_kernels():
        yield keras
    keras.backend.set_floatx("float32")
    keras.backend.clear_session()
    gc.collect()


def build(keras: Any, name: str) -> Any:
    """The network for small images and few classes, every weight at random."""
    size = next((size for prefix, size in SIZES.items() if name.startswith(prefix)), SIZE)
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size + 1, 3), classes=CLASSES, classifier_activation="softmax")
    randomize(model)
    return model


def randomize(model: Any) -> None:
    """Every weight at random, the moving statistics such that the signal does not fade."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([random_weight(variable, rng) for variable in layer.weights])
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
            layer.finalize_state()
    calibrate(model, rng)


def calibrate(model: Any, rng: np.random.Generator) -> None:
    """Moving statistics near those of random images: else the signal fades on its way through a deep network."""
    layers = [layer for layer in model.layers if hasattr(layer, "moving_variance")]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(images(model, 4, rng), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        *affine, mean, variance = layer.get_weights()
        mean = mean + 0.1 * np.sqrt(variance) * rng.standard_normal(mean.shape)
        layer.set_weights([*affine, mean, variance * rng.uniform(0.8, 1.2, variance.shape) + 1e-3])


def images(model: Any, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random images in the range that the network expects: 0 to 255 where it scales them itself."""
    scaled = any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)
    return rng.uniform(0 if scaled else -1, 255 if scaled else 1, (count, *model.input_shape[1:]))


def random_weight(variable: Any, rng: np.random.Generator) -> np.ndarray:
    """Values that keep the activations of a deep network finite and different from each other."""
    shape, kind = tuple(variable.shape), getattr(variable, "path", variable.name).split(":")[0].rpartition("/")[2]
    if kind == "count":
        return np.zeros(shape, "int64")
    noise = rng.standard_normal(shape)
    if kind in ("kernel", "depthwise_kernel", "pointwise_kernel"):
        return noise * np.sqrt(2 / np.prod(shape[:-2] if kind == "depthwise_kernel" else shape[:-1]))
    return noise * 0.1 + (kind in ("gamma", "variance", "moving_variance", "variable"))


def logits(model: Any, inputs: np.ndarray, keras: Any) -> np.ndarray:
    """What the last activation of the Keras model is applied to."""
    last = model.layers[-1]
    activation, last.activation = last.activation, keras.activations.linear
    outputs = np.asarray(model(inputs, training=False))
    last.activation = activation
    return outputs


def check(keras: Any, model: Any, path: Path) -> Case:
    """Save, convert, load, compare."""
    import torch

    model.save(path)
    result = k2t.convert(path)
    net_path = path.with_suffix(".py")
    result.write(net_path)
    net = load_net(net_path).load().double()
    inputs = images(model, 2, np.random.default_rng(1))
    with torch.no_grad():
        scores = net.logits(torch.from_numpy(inputs).permute(0, 3, 1, 2))
    got = (scores if scores.ndim == 2 else scores.permute(0, 2, 3, 1)).numpy()
    want = logits(model, inputs, keras)
    scale = np.abs(want).max()
    error = float(np.abs(got - want).max() / scale) if np.isfinite(want).all() else float("nan")
    spread = float(np.abs(want[0] - want[1]).max() / scale)
    return Case(result.layers, result.source.count("\n"), error, spread, result.source)


def main() -> int:
    """The table; 1 when a network fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--library", choices=FORMATS, default="keras")
    parser.add_argument("--keep", type=Path, help="a folder for the emitted files")
    options = parser.parse_args()
    print(f"{'network':20} {'format':8} {'layers':>6} {'lines':>6} {'error':>8} {'spread':>8} {'seconds':>8}")
    failed = 0
    for name in options.names or builders(options.library):
        with float64(options.library) as keras, tempfile.TemporaryDirectory() as folder:
            model = build(keras, name)
            for suffix in FORMATS[options.library]:
                start = time.perf_counter()
                try:
                    case = check(keras, model, Path(folder) / f"{name}{suffix}")
                except k2t.K2TError as error:
                    failed += 1
                    print(f"{name:20} {suffix:8} {str(error)[:500]}", flush=True)
                    continue
                failed += not case.ok
                if options.keep:
                    (options.keep / f"{name}.py").write_text(case.source)
                print(
                    f"{name:20} {suffix:8} {case.layers:6} {case.lines:6} {case.error:8.1e} {case.spread:8.1e} "
                    f"{time.perf_counter() - start:8.1f}{'' if case.ok else '  FAILED'}",
                    flush=True,
                )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
