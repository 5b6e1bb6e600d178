"""`.keras` archives: a zip of config.json, metadata.json and model.weights.h5. Nothing is unpacked to disk."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from k2t.errors import ReadError
from k2t.read.h5 import Extent, Store

MAGIC = b"PK\x03\x04"
CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
# Keras stores its members as they are; who compresses them again gains little. Anything else is a bomb.
MAX_EXPANSION = 100
ALWAYS_ALLOWED = 1 << 26
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
    struct.error,
)


@dataclass(frozen=True)
class Archive:
    """What an archive holds."""

    config: bytes
    metadata: bytes
    weights: Store


def open_archive(path: str) -> Archive:
    """The members of a `.keras` file; its arrays stay where they are.

    Raises:
        ReadError: it is damaged, a zip bomb, or no Keras model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = members(archive, path)
            for name in (CONFIG, WEIGHTS):
                if name not in found:
                    raise ReadError(f"{path}: a zip file without {name}, so not a Keras model")
            config = archive.read(found[CONFIG])
            metadata = archive.read(found[METADATA]) if METADATA in found else b"{}"
            source = _weights(archive, found[WEIGHTS], path)
    except BROKEN as error:
        raise ReadError(f"{path}: truncated or damaged zip file ({error}); copy it again") from error
    return Archive(config, metadata, Store(source, f"{path}:{WEIGHTS}"))


def members(archive: zipfile.ZipFile, path: str) -> dict[str, zipfile.ZipInfo]:
    """Members by name, checked: what a hostile archive could do happens when members are read."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise ReadError(f"{path}: the member {info.filename!r} points outside of the archive")
        if name in found:
            raise ReadError(f"{path}: the member {name!r} exists twice")
        if info.file_size > max(ALWAYS_ALLOWED, MAX_EXPANSION * info.compress_size):
            raise ReadError(f"{path}: {name} declares {info.file_size:,} bytes in {info.compress_size:,}: a zip bomb")
        found[name] = info
    return found


def _weights(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> Extent | io.BytesIO:
    """A stored member is read in place, a compressed one is unpacked into memory."""
    if info.compress_type != zipfile.ZIP_STORED:
        return io.BytesIO(archive.read(info))
    with archive.open(info) as member:  # to its end, where zipfile compares the checksum
        while member.read(1 << 20):
            pass
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        return Extent(path, start, min(info.file_size, file.seek(0, io.SEEK_END) - start))
