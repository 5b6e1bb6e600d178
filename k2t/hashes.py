"""The hash that says whether a source has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

BLOCK = 1 << 23  # bytes; other threads wait for each


def sha256(path: str | Path) -> str:
    """Of a file's bytes; of a folder, of the bytes of all its files, in the order of their paths."""
    path = Path(path)
    digest = hashlib.sha256()
    for part in sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]:
        with part.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
