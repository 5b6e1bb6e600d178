"""HDF5: attributes, groups and arrays, in a file of its own or inside an archive. Arrays are read on demand."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import h5py
import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array, StoredArray
from k2t.read.heaps import damaged_heap
from k2t.read.raw import RawFile, checked, widened

MAGIC = b"\x89HDF\r\n\x1a\n"
# An array may declare this much more than the file stores for it: deflate cannot expand more.
MAX_EXPANSION = 1032
ALWAYS_ALLOWED = 1 << 20
MAX_DEPTH = 64


@dataclass(frozen=True)
class Extent:
    """Where the bytes of an HDF5 file lie: `size` bytes from `start` of the file at `path`."""

    path: str
    start: int
    size: int

    def open(self) -> io.BufferedIOBase:
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

    def __init__(self, source: Extent | io.BytesIO, label: str) -> None:
        self.label = label
        self._open = source.open if isinstance(source, Extent) else partial(io.BytesIO, source.getvalue())
        self._heaps_checked = False
        self.extent = source if isinstance(source, Extent) else None
        try:
            if self.extent and not self.extent.start:
                self.root: h5py.Group = h5py.File(self.extent.path, "r", locking="best-effort")
            else:
                self.root = h5py.File(source.open() if isinstance(source, Extent) else source, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise ReadError(f"{label}: truncated or damaged HDF5 file ({error}); copy it again") from error
        self._raw = RawFile(self.extent.path) if self.extent else None
        self._fileno = h5py.h5o.get_info(self.root.id).fileno

    def close(self) -> None:
        """Close the file; arrays that are read through h5py are lost."""
        with suppress(OSError, RuntimeError, ValueError):  # a damaged file may not even close
            self.root.file.close()

    def text(self, group: h5py.Group, name: str) -> str | None:
        """An attribute that holds one string, as bytes or str."""
        value = self._attribute(group, name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        return _decode(value) if isinstance(value, str | bytes) else None

    def names(self, group: h5py.Group, name: str) -> list[str] | None:
        """An attribute that holds a list of strings, in one piece or cut into `name0`, `name1`, ..."""
        whole = self._attribute(group, name)
        pieces = [] if whole is None else [whole]
        while whole is None and (piece := self._attribute(group, f"{name}{len(pieces)}")) is not None:
            pieces.append(piece)
        if not pieces:
            return None
        return [_decode(item) for piece in pieces for item in np.asarray(piece).ravel().tolist()]

    def _attribute(self, group: h5py.Group, name: str) -> Any:
        """The value of an attribute, None where there is none."""
        if not h5py.h5a.exists(group.id, name.encode()):
            return None
        found = h5py.h5a.open(group.id, name.encode())
        kind = found.get_type()
        if isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str() and found.shape is not None:
            value = np.empty(found.shape, found.dtype)
            found.read(value)  # h5py's own way takes twice as long
            return value
        if not self._heaps_checked:
            with self._open() as file:
                place = damaged_heap(file, file.seek(0, os.SEEK_END))
            if place is not None:
                raise ReadError(f"{self.label}: damaged HDF5 file (its heap at byte {place}); copy it again")
            self._heaps_checked = True
        return group.attrs[name]

    def group(self, parent: h5py.Group, name: str) -> h5py.Group | None:
        """The group of that name, None where there is none."""
        found = self._member(parent, name)
        return h5py.Group(found) if isinstance(found, h5py.h5g.GroupID) else None

    def array(self, parent: h5py.Group, name: str, path: str) -> StoredArray:
        """The array of that name; `path` is what messages and `StoredArray.name` say.

        Raises:
            ReadError: it is missing, lies in another file, or declares a size that the file cannot hold.
        """
        found = self._member(parent, name)
        if not isinstance(found, h5py.h5d.DatasetID):
            raise ReadError(f"{self.label}: the array {path} is missing; save the model again")
        return self._stored(found, path)

    def arrays(self, parent: h5py.Group, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, StoredArray]]:
        """Every array below a group with its path; `skip` names members of the group itself to leave out."""
        seen: set[int] = set()
        stack: list[tuple[str, h5py.Group, int]] = [("", parent, 0)]
        while stack:
            prefix, group, depth = stack.pop()
            if depth > MAX_DEPTH:
                raise ReadError(f"{self.label}: groups are nested more than {MAX_DEPTH} deep at {prefix}")
            for name in group:
                path = prefix + name
                member = None if path in skip else self._member(group, name)
                if isinstance(member, h5py.h5d.DatasetID):
                    yield path, self._stored(member, path)
                elif isinstance(member, h5py.h5g.GroupID) and (address := h5py.h5o.get_info(member).addr) not in seen:
                    seen.add(address)
                    stack.append((f"{path}/", h5py.Group(member), depth + 1))

    def _member(self, parent: h5py.Group, name: str) -> Any:
        """The low-level object of that name: with thousands of arrays, h5py's objects take most of the time."""
        try:
            found = h5py.h5o.open(parent.id, name.encode("utf-8", "surrogateescape"))
        except KeyError:
            return None
        if h5py.h5o.get_info(found).fileno != self._fileno:
            raise ReadError(f"{self.label}: {parent.name}/{name} points into another file, which is not followed")
        return found

    def _stored(self, dataset: Any, path: str) -> StoredArray:
        where = f"{self.label}: the array {path}"
        plist, shape, dtype = dataset.get_create_plist(), dataset.shape, dataset.dtype
        if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
            raise ReadError(f"{where} lies in another file, which is not followed")
        if shape is None:
            raise ReadError(f"{where} is empty; save the model again")
        stored, size = dataset.get_storage_size(), math.prod(shape) * dtype.itemsize
        if size > max(ALWAYS_ALLOWED, MAX_EXPANSION * stored):
            raise ReadError(f"{where} declares {size:,} bytes where the file stores {stored:,}; it is damaged")
        native = dtype.newbyteorder("=")
        load: Callable[[], Array] = partial(_through_h5py, dataset, native)
        offset = dataset.get_offset()
        if dtype.kind == "V" and dtype.itemsize == 2:
            native, load = np.dtype(np.float32), partial(_bfloat16, dataset)
        elif self.extent and self._raw and offset is not None and size == stored and _is_plain(dataset, plist, dtype):
            if offset + size > self.extent.size:
                raise ReadError(f"{self.label}: the file ends within the array {path}; copy it again")
            load = self._raw.array(self.extent.start + offset, dtype, shape)
        return StoredArray(path, shape, native, checked(load, where))


def _is_plain(dataset: Any, plist: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the array lies in the file as numpy has it in memory."""
    contiguous = plist.get_layout() == h5py.h5d.CONTIGUOUS
    return contiguous and dtype.kind in "fiu" and bool(h5py.h5t.py_create(dtype) == dataset.get_type())


def _through_h5py(dataset: Any, dtype: np.dtype[Any]) -> Array:
    return np.asarray(h5py.Dataset(dataset)[()], dtype)


def _bfloat16(dataset: Any) -> Array:
    """Keras stores bfloat16 as two opaque bytes."""
    return widened(np.asarray(h5py.Dataset(dataset)[()]))


def _decode(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
