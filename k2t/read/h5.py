"""HDF5: attributes, groups and arrays, in a file of its own or inside an archive. Arrays are read on demand."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import h5py
import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array, StoredArray

MAGIC = b"\x89HDF\r\n\x1a\n"
# An array may declare this much more than the file stores for it: deflate cannot expand more.
MAX_EXPANSION = 1032
ALWAYS_ALLOWED = 1 << 26
MAX_DEPTH = 64


@dataclass(frozen=True)
class Extent:
    """Where the bytes of an HDF5 file lie: `size` bytes from `start` of the file at `path`."""

    path: str
    start: int
    size: int

    def open(self) -> BinaryIO:
        """A seekable stream of these bytes alone."""
        return io.BufferedReader(_Slice(self)) if self.start else open(self.path, "rb")


class _Slice(io.RawIOBase):
    """A part of a file, as a file: what h5py needs to read a stored member of an archive in place."""

    def __init__(self, extent: Extent) -> None:
        self._file = open(extent.path, "rb")  # noqa: SIM115 closed by close()
        self._extent = extent
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._extent.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._extent.start + self._position)
        view = memoryview(buffer)[: max(self._extent.size - self._position, 0)]
        count = self._file.readinto(view)
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class Store:
    """An open HDF5 file. Its arrays keep it open for as long as they live.

    Args:
        source: where the file lies, or its bytes in memory (then nothing is read around h5py).
        label: what messages call it.
    """

    def __init__(self, source: Extent | BinaryIO, label: str) -> None:
        self.label = label
        self.extent = source if isinstance(source, Extent) else None
        try:
            if self.extent and not self.extent.start:
                self.root: h5py.Group = h5py.File(self.extent.path, "r")
            else:
                self.root = h5py.File(source.open() if isinstance(source, Extent) else source, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise ReadError(f"{label}: truncated or damaged HDF5 file ({error}); copy it again") from error
        self._fileno = h5py.h5o.get_info(self.root.id).fileno

    def text(self, group: h5py.Group, name: str) -> str | None:
        """An attribute that holds one string, as bytes or str."""
        value = group.attrs.get(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        return _decode(value) if isinstance(value, str | bytes) else None

    def names(self, group: h5py.Group, name: str) -> list[str] | None:
        """An attribute that holds a list of strings, in one piece or cut into `name0`, `name1`, ..."""
        if name in group.attrs:
            pieces = [group.attrs[name]]
        else:
            pieces = []
            while (key := f"{name}{len(pieces)}") in group.attrs:
                pieces.append(group.attrs[key])
        if not pieces:
            return None
        return [_decode(item) for piece in pieces for item in np.asarray(piece).ravel().tolist()]

    def group(self, parent: h5py.Group, name: str) -> h5py.Group | None:
        """The group of that name, None where there is none."""
        found = self._member(parent, name)
        return found if isinstance(found, h5py.Group) else None

    def array(self, parent: h5py.Group, name: str) -> StoredArray:
        """The array of that name.

        Raises:
            ReadError: it is missing, lies in another file, or declares a size that the file cannot hold.
        """
        found = self._member(parent, name)
        if not isinstance(found, h5py.Dataset):
            raise ReadError(f"{self.label}: the array {parent.name}/{name} is missing; save the model again")
        return self._stored(found)

    def arrays(self, parent: h5py.Group, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, StoredArray]]:
        """Every array below a group with its path; `skip` names members of the group itself to leave out."""
        seen: set[int] = set()
        stack: list[tuple[str, h5py.Group, int]] = [("", parent, 0)]
        while stack:
            prefix, group, depth = stack.pop()
            if depth > MAX_DEPTH:
                raise ReadError(f"{self.label}: groups are nested more than {MAX_DEPTH} deep at {group.name}")
            for name in group:
                member = None if depth == 0 and name in skip else self._member(group, name)
                if isinstance(member, h5py.Dataset):
                    yield prefix + name, self._stored(member)
                elif isinstance(member, h5py.Group) and (address := h5py.h5o.get_info(member.id).addr) not in seen:
                    seen.add(address)
                    stack.append((f"{prefix}{name}/", member, depth + 1))

    def _member(self, parent: h5py.Group, name: str) -> Any:
        found = parent.get(name)
        if found is not None and h5py.h5o.get_info(found.id).fileno != self._fileno:
            raise ReadError(f"{self.label}: {parent.name}/{name} points into another file, which is not followed")
        return found

    def _stored(self, dataset: h5py.Dataset) -> StoredArray:
        where = f"{self.label}: the array {dataset.name}"
        plist = dataset.id.get_create_plist()
        if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
            raise ReadError(f"{where} lies in another file, which is not followed")
        if dataset.shape is None:
            raise ReadError(f"{where} is empty; save the model again")
        stored = dataset.id.get_storage_size()
        size = dataset.size * dataset.dtype.itemsize
        if size > max(ALWAYS_ALLOWED, MAX_EXPANSION * stored):
            raise ReadError(f"{where} declares {size:,} bytes where the file stores {stored:,}; it is damaged")
        dtype, load = self._loader(dataset, plist)
        return StoredArray(dataset.name.lstrip("/"), dataset.shape, dtype, partial(_checked, load, where))

    def _loader(self, dataset: h5py.Dataset, plist: Any) -> tuple[np.dtype[Any], Callable[[], Array]]:
        dtype = dataset.dtype
        if dtype.kind == "V" and dtype.itemsize == 2:  # Keras stores bfloat16 as two opaque bytes
            return np.dtype(np.float32), lambda: _from_bfloat16(dataset[()])
        plain = dtype.kind in "fiu" and h5py.h5t.py_create(dtype) == dataset.id.get_type()
        native = dtype.newbyteorder("=")
        offset = dataset.id.get_offset()
        if self.extent and plain and plist.get_layout() == h5py.h5d.CONTIGUOUS and offset is not None:
            if offset + dataset.id.get_storage_size() > self.extent.size:
                raise ReadError(f"{self.label}: the file ends within the array {dataset.name}; copy it again")
            return native, partial(_read, self.extent.path, self.extent.start + offset, dtype, dataset.shape)
        return native, lambda: np.asarray(dataset[()], native)


def _read(path: str, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The array at `offset`, read without HDF5: a tenth of the time, and other threads may run."""
    count = int(np.prod(shape, dtype=np.int64))
    values = np.fromfile(path, dtype, count, offset=offset)
    if values.size != count:
        raise OSError("the file has become shorter")
    return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _checked(load: Callable[[], Array], where: str) -> Array:
    try:
        return load()
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise ReadError(f"{where} cannot be read ({error}); the file is damaged or was changed") from error


def _from_bfloat16(raw: Array) -> Array:
    """Two bytes each, the upper half of a float32."""
    return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _decode(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
