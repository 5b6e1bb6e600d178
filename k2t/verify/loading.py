"""From a file, or a live model, to a reference of the right Keras generation."""

from __future__ import annotations

import copy
import importlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from k2t.errors import K2TError, ReadError
from k2t.graph import Source
from k2t.read import read, savedmodel, weights_of
from k2t.read.bundle import prefix_of
from k2t.read.live import functional, is_live
from k2t.verify import archives
from k2t.verify import config as configs
from k2t.verify.quirks import as_they_computed, refuse_lost
from k2t.verify.reference import KerasReference, Library, library, named
from k2t.verify.safety import refuse_code

# Options that Keras 3 takes for its functions of the same name when it opens an .h5 file: `score_mode` of Attention.
OPTIONS = {"dot": "dot"}
CONVOLUTIONS = {"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D"}


def keras_reference(source: Any, weights: str | Path | None = None, run_source: bool = False) -> KerasReference:
    """The reference for a source.

    Args:
        source: `.h5`, `.keras` or architecture `.json` by their content, or a live model of keras or tf_keras.
        weights: a file with the weights, for an architecture without or to replace those of the source.
        run_source: executes code that the file holds (Lambda layers).

    Raises:
        K2TError: the reference cannot be had: what is missing, and where.
    """
    if is_live(source):
        return _live(source)
    path = Path(source)
    model = read(path, weights=weights)  # refuses what is damaged or hostile before a library sees it
    kind, config, version = sniff(path)
    file = ModelFile(path, kind, config, Path(weights) if weights else None, run_source, model)
    if kind == "json" and file.weights is None:
        raise ReadError(f"{path}: an architecture has no weights: name them with --weights")
    found = library(legacy=not version or version[0] in "12")  # Keras Core, the first Keras 3, called itself 0.1
    refuse_unknown(found, file)
    if not run_source:
        refuse_code(file.config, str(path), partial(_registered, found))
    prefix = str(path / savedmodel.VARIABLES) if kind == "savedmodel" else weights and prefix_of(str(weights))
    if prefix:
        return KerasReference(found, _checkpoint(found, file, prefix))
    flat = found.legacy and kind != "keras"
    return KerasReference(found, _flat(found, file) if flat else _loaded(found, file))


@dataclass(frozen=True)
class ModelFile:
    """What is to be opened.

    Attributes:
        kind: `keras`, `folder` (the same, unpacked), `savedmodel`, `h5` or `json`.
        config: the decoded configuration.
        weights: a file with the weights, None where `path` has them.
        run_source: whether code in the file may run.
        source: the model as k2t reads it, for what old releases meant.
    """

    path: Path
    kind: str
    config: Any
    weights: Path | None
    run_source: bool
    source: Source


def sniff(path: Path) -> tuple[str, Any, str]:
    """(the kind as `ModelFile` has it; the configuration; the Keras version or "") by the file's content."""
    if path.is_dir() and (path / savedmodel.GRAPH).is_file():
        found = savedmodel.open_savedmodel(path)
        return "savedmodel", found.config, found.keras_version
    if path.is_dir():
        return "folder", _uncompiled((path / "config.json").read_text("utf-8")), "3"
    if h5py.is_hdf5(path) and not zipfile.is_zipfile(path):  # the weights in an archive may look like the file
        with h5py.File(path) as file:
            groups = [file] + ([file["model_weights"]] if "model_weights" in file else [])
            version = next((text(g.attrs["keras_version"]) for g in groups if "keras_version" in g.attrs), "")
            return "h5", json.loads(text(file.attrs["model_config"])), version
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            version = json.loads(archive.read("metadata.json")).get("keras_version", "3")
            return "keras", _uncompiled(archive.read("config.json").decode()), str(version)
    config = json.loads(path.read_text("utf-8-sig"))
    if isinstance(config, str):  # json.dump(model.to_json())
        config = json.loads(config)
    newest = "3" if "registered_name" in config else ""  # Keras 3 writes no version
    return "json", config, str(config.get("keras_version", newest))


def _uncompiled(content: str) -> Any:
    """A configuration without losses and metrics, which may be the user's own and which no reference needs."""
    return {key: value for key, value in json.loads(content).items() if key != "compile_config"}


def text(value: Any) -> str:
    """An HDF5 attribute, bytes or str."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _live(model: Any) -> KerasReference:
    model = functional(model) or model
    found = library(legacy=type(model).__module__.startswith("tf_keras") or "tf_keras" in str(type(model).__mro__))
    return KerasReference(found, lambda dtype: _in_dtype(found, model, dtype))


def _in_dtype(found: Library, model: Any, dtype: str) -> Any:
    """A copy of a live model that computes in `dtype`; the arrays are handed over as the library orders them.

    What code the model holds was let in when it was made.
    """
    config = configs.with_dtype(json.loads(model.to_json()), dtype)
    if found.legacy:
        copy = _from_json(configs.for_tf_keras(config), run_source=True)
    else:
        copy = found.keras.saving.deserialize_keras_object(config, safe_mode=False)
    if not copy.built:
        copy.build([tuple(tensor.shape) for tensor in model.inputs])
    _hand_over(model, copy)
    merge_low_rank(copy)
    for layer in copy._flatten_layers():
        if hasattr(layer, "adapt_mean"):  # Normalization computes with copies of its weights
            layer.finalize_state()
    hand_over_words(model, copy)
    return copy


def merge_low_rank(model: Any) -> None:
    """LoRA's products into the kernels: Keras multiplies in float32 at all times."""
    for layer in model._flatten_layers():
        if not getattr(layer, "lora_enabled", False) or layer.quantization_mode is not None:
            continue
        name = "embeddings" if hasattr(layer, "lora_embeddings_a") else "kernel"
        kernel, first, second = (getattr(layer, key) for key in (f"_{name}", f"lora_{name}_a", f"lora_{name}_b"))
        product = np.matmul(*(np.asarray(factor.numpy(), "float64") for factor in (first, second)))
        kernel.assign(kernel.numpy() + layer.lora_alpha / layer.lora_rank * product)
        second.assign(np.zeros(second.shape))


def _hand_over(model: Any, copy: Any) -> None:
    """The arrays of a model to its copy: by path where there are paths, since Keras orders float8 layers anew."""
    arrays = {getattr(variable, "path", None): variable for variable in model.weights}
    paths = [getattr(variable, "path", None) for variable in copy.weights]
    if len(set(paths)) < len(model.weights) or set(paths) != arrays.keys():
        copy.set_weights(model.get_weights())
        return
    for variable, path in zip(copy.weights, paths, strict=True):
        variable.assign(arrays[path].numpy())


def hand_over_words(model: Any, copy: Any) -> None:
    """Vocabularies that layers of `model` have learned are no weights."""
    lookups = ([part for part in each._flatten_layers() if hasattr(part, "input_vocabulary")] for each in (model, copy))
    for layer, other in zip(*lookups, strict=True):
        if layer.input_vocabulary is None:
            words = layer.get_vocabulary()
            weights = layer.idf_weights.numpy()[: len(words)] if layer.output_mode == "tf_idf" else None
            other.set_vocabulary(words, idf_weights=weights)


def _from_json(config: Any, *, run_source: bool) -> Any:
    """A tf-keras model; its public function has no way to allow Lambda layers."""
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    with SafeModeScope(safe_mode=not run_source):
        return tf_keras.models.model_from_json(json.dumps(config))


def _loaded(found: Library, file: ModelFile) -> Callable[[str], Any]:
    """The library's own loader reads the file; copies of the model compute in each dtype."""
    loaded: list[Any] = []

    def build(dtype: str) -> Any:
        if not loaded:
            with found.floatx("float64"):  # else tf-keras rounds slopes to float32
                loaded.append(_load(found, file))
        return _in_dtype(found, loaded[0], dtype)

    return build


def _checkpoint(found: Library, file: ModelFile, prefix: str) -> Callable[[str], Any]:
    """tf-keras builds the configuration, TensorFlow reads the variables. The graphs of a SavedModel are never run."""

    def build(dtype: str) -> Any:
        try:
            stored = _from_json(configs.for_tf_keras(copy.deepcopy(file.config)), run_source=file.run_source)
            restored = stored.load_weights(prefix)
            restored.assert_existing_objects_matched().expect_partial()
        except Exception as error:
            raise K2TError(f"{file.path}: {found.label} cannot open it: {_reason(error)}") from error
        model = _in_dtype(found, stored, dtype)
        as_they_computed(model, file.source.graph)
        return model

    return build


def _load(found: Library, file: ModelFile) -> Any:
    keras = found.keras
    try:
        if file.kind == "json":
            model = keras.models.model_from_json(json.dumps(file.config))
        elif file.kind == "folder":
            model = keras.saving.deserialize_keras_object(file.config, safe_mode=not file.run_source)
            _load_weights(model, weights_of(file.path))
        else:
            # numbers that tf-keras has among its calls become float64, as all else must be then
            exact = configs.with_dtype(file.config, "float64") if found.legacy else None
            with archives.modern(file.path, exact) if file.kind == "keras" else named(file.path, "model.h5") as link:
                own = {} if found.legacy else operations(layer_names(found, file)) | OPTIONS
                options = {"compile": False, "safe_mode": not file.run_source}
                model = keras.saving.load_model(link, custom_objects=own, **options)
        if file.weights is not None:
            _load_weights(model, file.weights)
    except Exception as error:
        raise K2TError(f"{file.path}: {found.label} cannot open it: {_reason(error)}") from error
    return model


def _load_weights(model: Any, weights: Path) -> None:
    if not h5py.is_hdf5(weights):  # `.weights.json` or a folder of shards
        model.load_weights(str(weights))
        return
    with h5py.File(weights) as file:
        flat = "layer_names" in file.attrs or "model_weights" in file
    with named(weights, "model.h5" if flat else "model.weights.h5") as link:
        model.load_weights(link)


def _flat(found: Library, file: ModelFile) -> Callable[[str], Any]:
    """A legacy HDF5 file: tf-keras builds the configuration and loads the weights.

    What it cannot open is rebuilt layer by layer.
    """
    weights, graph = file.weights or file.path, file.source.graph

    def build(dtype: str) -> Any:
        refuse_lost(graph, str(file.path))
        made = configs.with_dtype(configs.for_tf_keras(copy.deepcopy(file.config)), dtype)
        with named(weights, "model.h5") as link:
            try:
                model = _from_json(made, run_source=file.run_source)
                model.load_weights(link)
            except Exception as error:
                if "Lambda" in configs.layer_classes(made):  # bytecode of another Python, as a rule
                    raise K2TError(
                        f"{file.path}: the code of its Lambda layers cannot be run: {_reason(error)}"
                    ) from error
                model = _rebuilt(found, file, Path(link), dtype, error)
        if file.source.backend == "theano":
            flip_kernels(model)
        as_they_computed(model, graph)
        return model

    return build


def _rebuilt(found: Library, file: ModelFile, weights: Path, dtype: str, error: Exception) -> Any:
    """The model from the graph that k2t reads."""
    from k2t.verify.rebuild import load_weights, rebuild

    try:
        model = rebuild(found.keras, file.source.graph, dtype)
        load_weights(model, weights)
    except Exception as second:
        raise K2TError(
            f"{file.path}: {found.label} cannot open it ({_reason(error)}), and it cannot be rebuilt: {_reason(second)}"
        ) from second
    return model


def refuse_unknown(found: Library, file: ModelFile) -> None:
    """Name the layers that the library lacks.

    Raises:
        K2TError: there are some.
    """
    lacking = layer_names(found, file) - configs.RENAMED
    lacking -= {name for name in lacking if _registered(found, name)}
    lacking -= set() if found.legacy else operations(lacking).keys()
    if lacking:
        names = ", ".join(sorted(lacking))
        raise K2TError(f"{file.path}: the reference needs custom layers that {found.label} lacks: {names}")


def layer_names(found: Library, file: ModelFile) -> set[str]:
    """The classes in the file that are neither layers nor models of the library."""
    return configs.layer_classes(file.config) - set(vars(found.keras.layers)) - configs.MODELS


def operations(names: set[str]) -> dict[str, Any]:
    """The classes of these operations of Keras 3, which its own .h5 files name and its loading does not know."""
    modules = ("core", "function", "image", "linalg", "math", "nn", "numpy")
    found: dict[str, Any] = {}
    for module in (importlib.import_module(f"keras.src.ops.{name}") for name in modules):
        found |= {name: getattr(module, name) for name in names if isinstance(getattr(module, name, None), type)}
    return found


def _registered(found: Library, name: str) -> bool:
    return found.keras.utils.get_registered_object(name) is not None


def flip_kernels(model: Any) -> None:
    """Theano convolves where TensorFlow correlates: Keras 2 turned its kernels round, tf-keras no longer does.

    Source: `preprocess_weights_for_loading` of Keras 2.0 to 2.3.
    """
    for layer in model._flatten_layers():
        if type(layer).__name__ not in CONVOLUTIONS:
            continue
        kernels = 2 if type(layer).__name__ == "ConvLSTM2D" else 1
        arrays = layer.get_weights()
        for index in range(kernels):
            spatial = tuple(range(arrays[index].ndim - 2))
            arrays[index] = np.flip(arrays[index], spatial)
        layer.set_weights(arrays)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:400] if lines else type(error).__name__
