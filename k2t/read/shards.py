"""Weights of Keras 3 in several files: `<name>.weights.json` says which variable lies in which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2t.errors import ReadError
from k2t.graph import StoredArray
from k2t.read.h5 import Extent, Store
from k2t.read.values import expect, short

MAP = "weight_map"


@dataclass(frozen=True)
class Shards:
    """The open files."""

    label: str
    stores: tuple[Store, ...]

    def arrays(self, skip: frozenset[str]) -> Iterator[tuple[str, StoredArray]]:
        """Every array of every file with its path."""
        for store in self.stores:
            yield from store.arrays(store.root, skip)


def open_shards(path: str, config: dict[str, Any], files: ExitStack) -> Shards:
    """The files that the map names; they lie beside it.

    Raises:
        ReadError: one is missing or damaged, or lies elsewhere.
    """
    names: set[str] = set()
    for found in expect(config[MAP], dict, path).values():
        names.update(expect(name, str, path) for name in (found if isinstance(found, list) else [found]))
    stores = []
    for name in sorted(names):
        shard = Path(path).with_name(name) if Path(name).name == name else None
        if shard is None:
            raise ReadError(f"{path}: {short(name)} lies in another folder, which is not followed")
        if not shard.is_file():
            raise ReadError(f"{path}: its part {shard} is missing; copy all parts")
        stores.append(Store(Extent(str(shard), 0, shard.stat().st_size), str(shard)))
        files.callback(stores[-1].close)
    return Shards(path, tuple(stores))
