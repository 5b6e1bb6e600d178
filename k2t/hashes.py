"""The hash that says whether a source, or its file of weights, has changed."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

BLOCK = 1 << 23  # bytes in memory at a time


def sha256(path: str | Path) -> str:
    """Of a file's bytes; of several files, of the bytes of all, in the order of their paths."""
    digest = hashlib.sha256()
    for part in files(Path(path)):
        with part.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def files(path: Path) -> list[Path]:
    """A file, those of a folder, or those of a checkpoint of TensorFlow, whose names begin with the path."""
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.is_file())
    return [path] if path.is_file() else sorted(path.parent.glob(f"{glob.escape(path.name)}.*"))
