"""Keras code as a model: parsed and followed, never run or imported."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from k2t.code.entry import chosen, model_of, title
from k2t.code.graphs import is_function, locate, ordered
from k2t.code.layers import era_of_code
from k2t.code.modules import parse
from k2t.code.objects import Custom, Made, Net
from k2t.code.script import Script
from k2t.errors import ReadError, UnsupportedError
from k2t.graph import Calls, Shape, Source
from k2t.read import read_weights
from k2t.read.config import Model
from k2t.read.eras import Era
from k2t.sources import code_parts

__all__ = ["entry_of", "era_of", "read_code"]


def parts_of(source: str) -> tuple[Path, str]:
    """The file and the entry of `model.py:build_unet`."""
    found = code_parts(source)
    if found is None:
        raise ReadError(f"{source}: not Keras code; expected model.py, model.py:builder or a notebook")
    path, entry = found
    if not Path(path).is_file():
        raise ReadError(f"{path}: there is no such file")
    return Path(path), entry


def era_of(source: str) -> Era:
    """The release of Keras that a file is written for."""
    return era_of_code(parse(parts_of(source)[0]))


def entry_of(source: str) -> str:
    """The entry of `model.py:build_unet`; of `model.py`, the only one that makes a model.

    Raises:
        ReadError: there is none, or there are several.
    """
    path, entry = parts_of(source)
    return entry or chosen(path, parse(path))


def read_code(
    source: str,
    arguments: Mapping[str, Any] | None = None,
    input_shapes: Sequence[Shape] = (),
    weights: str | Path | None = None,
    *,
    partial: bool = False,
) -> Source:
    """The model that Keras code builds; none of it is run.

    Args:
        source: `model.py`, `model.py:builder`, `model.py:Class.method`, `model.py:variable`, or a notebook.
        arguments: of the builder, by name; values of names that the code leaves open; `self.x` for attributes.
        input_shapes: batch first, for models whose code does not hold them.
        weights: a file with trained weights.
        partial: layers without a translation are left to be written by hand; they are taken to keep the shape of
            their input.

    Raises:
        ReadError: the code cannot be read, or a value that the model needs is not in it.
        UnsupportedError: parts of the model have no translation; each with file:line:column.
    """
    path, entry = parts_of(source)
    script = Script(path, arguments or {}, partial=partial)
    entry = entry or chosen(path, script.main.tree)
    try:
        made = model_of(script, entry, input_shapes)
    except UnsupportedError as error:
        done = f"translated {script.calls - script.failed} of {script.calls} layer calls"
        raise UnsupportedError(error.problems, done) from error
    if unused := sorted(script.given.keys() - script.used):
        raise ReadError(f"{source}: nothing is named {', '.join(unused)}")
    net = made if isinstance(made, Net) else None
    if net is None:
        raise ReadError(f"{source}: no model")
    layers = net.members if net.sequential else [one for one in ordered(net.inputs, net.outputs) if is_layer(one)]
    copies = locate(layers)
    if len(layers) == 1 and isinstance(layers[0], Custom) and layers[0].kind.library_base() == "Model":
        layers[0].layer.path = ""  # the model itself
    graph = script.graph(net)
    if not net.named:
        graph = replace(graph, name=title(entry, path))
    if weights is not None:
        read_weights(weights, Model(graph, tuple(one.layer for one in layers), copies), script.era)
    version = ".".join(map(str, script.era.version))
    return Source(
        source,
        graph,
        version,
        script.era.backend,
        functools.cache(lambda: sha256(script)),
        has_weights=weights is not None,
        calls=Calls(script.calls, script.calls - script.failed, tuple(dict.fromkeys(map(str, script.left_out)))),
    )


def is_layer(made: Made) -> bool:
    """Whether files keep it as a layer with weights of its own."""
    return made.layer.kind != "InputLayer" and not is_function(made)


def sha256(script: Script) -> str:
    """Of all files that were read, the script first."""
    digest = hashlib.sha256()
    for path in sorted(script.modules, key=lambda item: (item != script.base, str(item))):
        digest.update(path.read_bytes())
    return digest.hexdigest()
