"""The process that runs Keras code: `python -m k2t.verify.child REQUEST`.

Writes a recording of what the model computes, and its weights as the library saves them. Problems are one line on
stdout after `MARK`, with which the parent tells them from what the code prints.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from k2t.errors import K2TError
from k2t.graph import Array, snake_case
from k2t.verify.inputs import generate, sizes, specs
from k2t.verify.parity import NOISE, Dtype, Trace
from k2t.verify.recording import Recording, write
from k2t.verify.reference import KerasReference, Library, library
from k2t.verify.script import TRAINING, Script

MARK = "k2t: "
AUGMENTATIONS = ("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast")
MESSAGE = 600  # characters of an error that a user reads
RECORDING = "reference.safetensors"


@dataclass(frozen=True)
class Request:
    """What the parent wants.

    Attributes:
        version: of Keras, as k2t reads the code.
        input_shapes: of the inputs, batch included, for a model or layer whose code does not say them.
        weights: a file that the model loads; None for random ones.
        folder: where the results go.
    """

    path: str
    entry: str
    arguments: dict[str, Any]
    input_shapes: list[tuple[int | None, ...]]
    version: str
    weights: str | None
    seed: int
    batch: int
    folder: str


def main(path: str) -> int:
    """Run a request; 1 if the code fails."""
    request = Request(**ast.literal_eval(Path(path).read_text("utf-8")))
    try:
        run(request)
    except K2TError as error:
        print(f"\n{MARK}{' '.join(str(error).split())[:MESSAGE]}", flush=True)
        return 1
    return 0


def run(request: Request) -> None:
    """Record the model of a request in both dtypes.

    Raises:
        K2TError: it cannot be run.
    """
    found = library(legacy=not request.version.startswith("3"))
    if found.legacy:
        from k2t.verify.old_keras import install

        install(found.keras, request.version)
    without_noise(found)
    without_rounding(found)
    load = without_training(found)
    models = Models(found, request, load)
    reference = KerasReference(found, models.build)
    specs, arrays = reference.inputs(request.seed, request.batch)
    dtypes: tuple[Dtype, ...] = ("float64", "float32")
    traces: dict[Dtype, Trace] = {dtype: reference.run(arrays, dtype) for dtype in dtypes}
    folder = Path(request.folder)
    write(folder / RECORDING, Recording(reference.label, reference.kinds, specs, arrays, traces))
    if request.weights is None:
        models.save(folder)


def without_training(found: Library) -> Callable[..., Any]:
    """Training, saving and downloads do nothing; returns what loads weights all the same."""
    model = found.keras.Model
    load: Callable[..., Any] = model.load_weights
    for name in TRAINING - {"predict", "save", "save_weights", "get_weights", "set_weights", "get_layer", "to_json"}:
        for kind in (model, found.keras.Sequential):
            if hasattr(kind, name):
                setattr(kind, name, lambda *args, **kwargs: None)
    where = "data_utils" if found.legacy else "file_utils"
    inner: Any = importlib.import_module(f"{found.keras.__name__}.src.utils.{where}")
    found.keras.utils.get_file = inner.get_file = lambda *args, **kwargs: ""
    return load


def without_noise(found: Library) -> None:
    """Random numbers that a model draws in inference are `NOISE`, as those of the emitted module."""
    import tensorflow as tf

    def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, *rest: Any, **named: Any) -> Any:
        return tf.fill(shape, tf.constant(NOISE, dtype or found.keras.backend.floatx())) * stddev + mean

    def uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, *rest: Any, **named: Any) -> Any:
        return normal(shape, minval, maxval - minval, dtype)

    tf.random.normal = normal
    tf.random.uniform = uniform
    for name in AUGMENTATIONS:  # those of tf-keras compute in float32, even what they do not use
        getattr(found.keras.layers, name).call = lambda layer, inputs, training=None: inputs
    if found.legacy:
        found.keras.backend.random_normal = normal
        found.keras.backend.random_uniform = uniform
    else:
        found.keras.random.normal = normal
        found.keras.random.uniform = uniform


def without_rounding(found: Library) -> None:
    """What code for tf.keras casts to float32 has the dtype of everything else; Keras 3 promotes it."""
    import tensorflow as tf

    own = tf.cast

    def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        return own(x, found.keras.backend.floatx() if dtype in ("float32", tf.float32) else dtype, name)

    if found.legacy:
        tf.cast = cast


@dataclass
class Models:
    """Builds the model of a script, the same in each dtype.

    Attributes:
        load: loads weights from a file.
        own: the model as the script has it, which saves its weights.
        functional: whether it says itself how its layers are connected.
    """

    library: Library
    request: Request
    load: Callable[..., Any]
    own: Any = None
    functional: bool = False
    _weights: list[Array] | None = None

    def build(self, dtype: str) -> Any:
        """A functional model of that dtype."""
        self.library.keras.backend.clear_session()
        request = self.request
        found = Script(Path(request.path), request.entry, request.arguments).run()
        model, own = self.as_functional(found)
        if request.weights is not None:
            self.load(own, request.weights)
        else:
            if self._weights is None:
                self._weights = random_weights(model, own, np.random.default_rng(request.seed))
                self.own = own
            own.set_weights(self._weights)
        for layer in model._flatten_layers():
            if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
                layer.finalize_state()
        return model

    def save(self, folder: Path) -> None:
        """The weights as a file: of old subclassed models with Keras 3's paths, since tf-keras forgets attributes."""
        if not self.library.legacy:
            self.own.save_weights(str(folder / "model.weights.h5"))
        elif self.functional:
            self.own.save_weights(str(folder / "weights.h5"))
        else:
            with h5py.File(folder / "model.weights.h5", "w") as file:
                for path, variable in variables(self.own, set(dir(self.library.keras.Model()))):
                    file[path] = variable.numpy()

    def as_functional(self, found: Any) -> tuple[Any, Any]:
        """(a functional model that computes the same, the model whose weights are meant)."""
        keras = self.library.keras
        if isinstance(found, list | tuple) and found and all(isinstance(item, keras.Model) for item in found):
            if len({id(tensor) for model in found for tensor in model.inputs}) > len(found[0].inputs):
                raise K2TError(f"{self.request.entry}: returns {len(found)} models of different inputs; name one")
            found = keras.Model(found[0].inputs, [tensor for model in found for tensor in model.outputs])
        if not isinstance(found, keras.layers.Layer):
            raise K2TError(f"{self.request.entry}: is no model but {type(found).__name__}")
        if getattr(found, "inputs", None) and getattr(found, "outputs", None) and graph(found):
            self.functional = True
            return found, found
        shapes = self.request.input_shapes
        if not shapes:
            raise K2TError(f"{self.request.entry}: its code does not say the shape of its input: give --input-shape")
        inputs = [keras.Input(batch_shape=shape) for shape in shapes]
        model = keras.Model(inputs, found(inputs[0] if len(inputs) == 1 else inputs))
        return model, found if isinstance(found, keras.Model) else model


def variables(layer: Any, inherited: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, variable) of everything in a layer, named by the attributes that hold it.

    Source: `keras/src/saving/saving_lib.py` of Keras 3, `_walk_saveable` and `_save_container_state`.

    Args:
        inherited: attributes that every model has.
    """
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [(prefix, layer)]
    while pending:
        path, found = pending.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, list | tuple | set | dict):
            items = [
                item for item in (found.values() if isinstance(found, dict) else found) if hasattr(item, "weights")
            ]
            names = Counter[str]()
            inner = []
            for item in items:
                name = snake_case(type(item).__name__)
                inner.append((f"{path}{name}_{names[name]}/" if names[name] else f"{path}{name}/", item))
                names[name] += 1
            pending[:0] = inner
        elif hasattr(found, "weights"):
            own = [*found._trainable_weights, *found._non_trainable_weights]
            yield from ((f"{path}vars/{index}", variable) for index, variable in enumerate(own))
            attributes = ["layers"] if graph(found) else sorted(vars(found).keys() - inherited)
            pending[:0] = [(f"{path}{name}/", getattr(found, name)) for name in attributes]


def graph(model: Any) -> bool:
    """Whether a model is functional."""
    from k2t.verify.nodes import graph_of

    return graph_of(model) is not None


def random_weights(model: Any, own: Any, rng: np.random.Generator) -> list[Array]:
    """Values for which signals neither fade nor grow, in the order of `own.get_weights`, as float32 has them.

    Args:
        model: a functional model around `own`.
    """
    own.set_weights([random_weight(variable, rng) for variable in own.weights])
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "moving_variance", None) is not None]
    if layers:
        calibrate(model, layers, rng)
    return [array.astype(np.float32) for array in own.get_weights()]


def calibrate(model: Any, layers: list[Any], rng: np.random.Generator) -> None:
    """Moving statistics near those of random inputs: else the signal fades on its way through a deep network."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    found = specs(model)
    for size in sizes(found):
        arrays = [generate(spec, size, 2, rng) for spec in found]
        with suppress(Exception):  # a size that the network cannot take
            model(arrays[0] if len(arrays) == 1 else arrays, training=True)
            break
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        mean, variance = (np.asarray(values) for values in (layer.moving_mean, layer.moving_variance))
        layer.moving_mean.assign(mean + 0.1 * np.sqrt(variance) * rng.standard_normal(mean.shape))
        layer.moving_variance.assign(variance * rng.uniform(0.8, 1.2, variance.shape) + 1e-3)


def random_weight(variable: Any, rng: np.random.Generator) -> Array:
    """One weight: a kernel by its fan-in (He et al. 2015), variances positive, scales around one."""
    shape = tuple(variable.shape)
    name = str(getattr(variable, "path", variable.name)).split(":")[0].rpartition("/")[2]
    if "int" in str(variable.dtype):
        return np.zeros(shape)
    noise: Array = rng.standard_normal(shape)
    if "variance" in name:
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) > 1 and "embedding" not in name:
        fan_in = np.prod(shape[:-2] if "depthwise" in name else shape[:-1])
        return noise * float(np.sqrt((1 if "recurrent" in name else 2) / fan_in))
    return noise * 0.2 + (name in ("gamma", "scale"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
