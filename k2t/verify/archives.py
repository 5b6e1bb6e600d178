"""Archives of tf.keras 2.12 to 2.15 as today's releases can open them."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from k2t.read.weights import modern_paths
from k2t.verify.reference import named

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"


@contextmanager
def modern(path: Path, config: Any = None) -> Iterator[str]:
    """The archive as `model.keras`, with the paths of today and this configuration: a copy where they differ."""
    changed = {} if config is None else {CONFIG: json.dumps(config).encode()}
    with zipfile.ZipFile(path) as archive:
        weights = _moved(archive.read(WEIGHTS)) if WEIGHTS in archive.namelist() else None
        changed |= {} if weights is None else {WEIGHTS: weights}
        if not changed:
            with named(path, "model.keras") as link:
                yield link
            return
        members = {name: archive.read(name) for name in archive.namelist()} | changed
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(copy, "w") as archive:
            for name, data in members.items():
                archive.writestr(name.replace("\\", "/"), data)
        yield str(copy)


def _moved(weights: bytes) -> bytes | None:
    """The file of the weights with the paths of today; None where it has them."""
    with h5py.File(io.BytesIO(weights)) as file:
        found: dict[str, h5py.Group | h5py.Dataset] = {}
        file.visititems(found.__setitem__)
        moved = modern_paths(found)
        if all(path == new for path, new in moved.items()):
            return None
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as copy:
            for path, new in moved.items():
                if isinstance(found[path], h5py.Dataset):
                    file.copy(path, copy, new)
                else:  # a layer without variables has an empty group
                    copy.require_group(new)
        return buffer.getvalue()
