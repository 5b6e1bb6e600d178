"""Reading: a saved Keras model, of any release and backend, as data. Nothing in the file is executed."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from k2t.errors import ReadError
from k2t.graph import Source
from k2t.hashes import sha256
from k2t.read import archive, bundle, h5, live, savedmodel, shards
from k2t.read.assets import attach_vocabularies
from k2t.read.config import Model, read_model
from k2t.read.eras import Era
from k2t.read.h5 import Extent, Store
from k2t.read.infer import with_input_shape
from k2t.read.raw import refuse_pointer
from k2t.read.values import parsed
from k2t.read.weights import Stored, attach
from k2t.sources import code_parts

__all__ = ["read", "read_weights", "weights_of"]

# What a damaged file makes h5py, zipfile and json raise, and what is left of a configuration that is not Keras's.
DAMAGE = (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, MemoryError)
MAX_JSON = 1 << 28
# The beginning of the first eight bytes of what `to_yaml` wrote.
YAML = (b"backend:", b"class_na", b"config:")
# The files in which a folder of Keras 3 has its weights.
FOLDER_WEIGHTS = (archive.WEIGHTS, "model.weights.json")


@dataclass(frozen=True)
class _File:
    """What one file holds of a model."""

    config: Any = None
    keras_version: str = ""
    backend: str = ""
    weights: Stored | None = None


def read(path: Any, *, weights: str | Path | None = None) -> Source:
    """Read a saved model; its arrays stay in the file until each is loaded.

    Args:
        path: `.h5`, `.keras`, a SavedModel folder or the JSON of an architecture, whatever its name ends in; or a
            live model.
        weights: the file that holds the weights, for an architecture without them.

    Raises:
        ReadError: the file is damaged, of a kind that is not supported, or no model.
    """
    try:
        if live.is_live(path):
            return _read_live(live.open_live(path))
        return _read(str(path), None if weights is None else str(weights))
    except ReadError as error:
        raise error if str(path) in str(error) else ReadError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ReadError(f"{path}: the configuration is nested too deep; the file is damaged") from error
    except DAMAGE as error:
        raise ReadError(f"{path}: damaged, or no Keras model ({type(error).__name__}: {error})") from error


def _read(path: str, weights: str | None) -> Source:
    with ExitStack() as files:
        file = _open(path, files)
        if file.config is None:
            raise ReadError(f"{path}: holds weights but no model; give the model's JSON, and this file as its weights")
        other = file if weights is None else _open(weights, files)
        if other.weights is None and weights is not None:
            raise ReadError(
                f"{weights}: holds no weights; expected an HDF5 file, their .weights.json or a .keras archive"
            )
        version = file.keras_version or other.keras_version
        era = Era.guess(version or ("3" if "module" in file.config else ""), file.backend or other.backend, file.config)
        model = read_model(file.config, era)
        surplus = attach(model, other.weights, era) if other.weights else ()
        attach_vocabularies(model, weights or path)
        graph = with_input_shape(model.graph)
        files.pop_all()  # the arrays keep open what they need
    return Source(path, graph, version, era.backend, functools.partial(sha256, path), surplus)


def _read_live(found: live.Live) -> Source:
    version, backend = found.config["keras_version"], found.config["backend"]
    era = Era.guess(version, backend, found.config)
    model = read_model(found.config, era)
    surplus = attach(model, found, era)
    graph = with_input_shape(model.graph)
    return Source(found.label, graph, version, era.backend, functools.cache(found.sha256), surplus, code=found.code)


def read_weights(path: str | Path, model: Model, era: Era) -> tuple[str, ...]:
    """Give the layers of a model the arrays of a file; returns the names of those that belong to none.

    Raises:
        ReadError: the file is damaged, holds no weights, or those of another model.
    """
    try:
        with ExitStack() as files:
            stored = _open(str(path), files).weights
            if stored is None:
                raise ReadError(f"{path}: holds no weights; expected .weights.h5, .h5 or a .keras archive")
            surplus = attach(model, stored, era)
            files.pop_all()  # the arrays keep open what they need
            return surplus
    except DAMAGE as error:
        raise ReadError(f"{path}: damaged, or no weights of Keras ({type(error).__name__}: {error})") from error


def _open(path: str, files: ExitStack) -> _File:
    """A file by its content, whatever its name."""
    if Path(path).is_dir():
        return _folder(Path(path), files)
    if code_parts(path):
        raise ReadError(f"{path}: is Keras code, not a saved model")
    if (prefix := bundle.prefix_of(path)) is not None:
        return _File(weights=bundle.Bundle(prefix))
    if not Path(path).is_file():  # opening a pipe or a device would wait, or never end
        raise ReadError(f"{path}: there is no such file")
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            size = file.seek(0, 2)
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror})") from error
    if head.startswith(archive.MAGIC):
        return _keras(path, files)
    if head == h5.MAGIC or h5py.is_hdf5(path):
        return _hdf5(path, size, files)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b'"') and size <= MAX_JSON:
        return _json(path, files)
    if head.startswith(YAML):
        raise ReadError(
            f"{path}: an architecture in YAML is not read; turn it into JSON with "
            """`python -c "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"`"""
        )
    refuse_pointer(path)
    raise ReadError(f"{path}: not a Keras model; expected HDF5 (.h5), a .keras archive or an architecture's JSON")


def _hdf5(path: str, size: int, files: ExitStack) -> _File:
    store = Store(Extent(path, 0, size), path)
    files.callback(store.close)
    group = store.group(store.root, "model_weights") or store.root
    config = store.text(store.root, "model_config")
    version, backend = (
        store.text(store.root, name) or store.text(group, name) or "" for name in ("keras_version", "backend")
    )
    return _File(None if config is None else parsed(config, path), version, backend, store)


def _keras(path: str, files: ExitStack) -> _File:
    found = archive.open_archive(path)
    files.callback(found.weights.close)
    return _modern(found.config.decode(), found.metadata.decode(), path, found.weights)


def _modern(config: str, metadata: str, path: str, weights: Stored | None) -> _File:
    """What Keras 3 keeps side by side, in an archive or in a folder."""
    noted = parsed(metadata, f"{path}:{archive.METADATA}")
    version = noted.get("keras_version", "") if isinstance(noted, dict) else ""
    return _File(parsed(config, f"{path}:{archive.CONFIG}"), str(version), "", weights)


def _folder(folder: Path, files: ExitStack) -> _File:
    """A SavedModel, or an archive of Keras 3 that is a folder."""
    if (folder / savedmodel.GRAPH).is_file():
        found = savedmodel.open_savedmodel(folder)
        return _File(found.config, found.keras_version, "tensorflow", found.variables)
    if not (folder / archive.CONFIG).is_file():
        raise ReadError(f"{folder}: a folder without a model; expected a SavedModel, or {archive.CONFIG} and weights")
    metadata = folder / archive.METADATA
    noted = metadata.read_text("utf-8") if metadata.is_file() else "{}"
    weights = _open(str(weights_of(folder)), files).weights
    return _modern((folder / archive.CONFIG).read_text("utf-8"), noted, str(folder), weights)


def weights_of(folder: Path) -> Path:
    """The file in which a folder of Keras 3 has its weights.

    Raises:
        ReadError: there is none.
    """
    for name in FOLDER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise ReadError(f"{folder}: holds no weights; expected {' or '.join(FOLDER_WEIGHTS)}")


def _json(path: str, files: ExitStack) -> _File:
    config = parsed(Path(path).read_text("utf-8-sig"), path)
    if isinstance(config, str):  # json.dump(model.to_json())
        config = parsed(config, path)
    if isinstance(config, dict) and shards.MAP in config:
        return _File(weights=shards.open_shards(path, config, files))
    if not isinstance(config, dict) or "class_name" not in config:
        raise ReadError(f"{path}: JSON, but not of a Keras model, which names a class_name")
    return _File(config, str(config.get("keras_version", "")), str(config.get("backend", "")))
