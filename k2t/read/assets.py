"""Vocabularies that layers have learned: an archive keeps each as a text file, a word a line."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from k2t.errors import ReadError
from k2t.graph import Layer
from k2t.read.archive import BROKEN, members
from k2t.read.config import Model, saved

FILE = "vocabulary.txt"
NUMBERS = "IntegerLookup"


def attach_vocabularies(model: Model, path: str) -> None:
    """Give each layer that has an option `vocabulary` and no value of it the words of the archive at `path`.

    Raises:
        ReadError: a file of words is damaged.
    """
    wanting = dict(without_vocabulary(saved(model.layers), ""))
    if not wanting:
        return
    for place, text in texts(path, wanting):
        words = text.splitlines()
        while words and not words[-1]:
            words.pop()
        layer = wanting[place]
        try:
            layer.options["vocabulary"] = [int(word) for word in words] if layer.kind == NUMBERS else words
        except ValueError as error:
            raise ReadError(f"{path}: the vocabulary of the layer {layer.name} is damaged: {error}") from error


def without_vocabulary(layers: Iterable[Layer], folder: str) -> Iterator[tuple[str, Layer]]:
    """Such layers by their place in the archive, those of nested models included."""
    for layer in layers:
        place = f"{folder}{layer.path or layer.name}"
        if layer.options.get("vocabulary", "") is None:
            yield place, layer
        if layer.graph is not None:
            yield from without_vocabulary(layer.graph.layers(), f"{place}/")


def texts(path: str, places: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files of words at these places, of an archive or a folder."""
    names = {place: f"assets/{place}/{FILE}" for place in places}
    try:
        if Path(path).is_dir():
            found = {place: Path(path, name) for place, name in names.items()}
            yield from ((place, file.read_text("utf-8")) for place, file in found.items() if file.is_file())
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                known = members(archive, path)
                for place, name in names.items():
                    if name in known:
                        yield place, archive.read(known[name]).decode()
    except BROKEN as error:
        raise ReadError(f"{path}: a vocabulary in it cannot be read: {error}") from error
