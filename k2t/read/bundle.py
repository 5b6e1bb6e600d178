"""TensorFlow's checkpoints: `<prefix>.index`, a table of LevelDB, says where in `<prefix>.data-*` each tensor lies.

Formats: LevelDB's `table_format.md`; TensorFlow's `tensor_bundle.proto` and `trackable_object_graph.proto`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from k2t.errors import ReadError
from k2t.graph import StoredArray
from k2t.read.protobuf import Message, varint
from k2t.read.raw import RawFile, checked, refuse_pointer, widened

INDEX = ".index"
MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Numbers of `tensorflow.DataType`.
STRING, BFLOAT16 = 7, 14
DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 8: "<c8", 9: "<i8", 10: "?", BFLOAT16: "<u2",
    17: "<u2", 18: "<c16", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
VALUE = "VARIABLE_VALUE"


def prefix_of(path: str) -> str | None:
    """The checkpoint that a path means: its prefix, or its `.index`; None for any other path."""
    prefix = path.removesuffix(INDEX)
    return prefix if Path(prefix + INDEX).is_file() and (prefix != path or not Path(path).exists()) else None


@dataclass(frozen=True)
class Node:
    """An object that a checkpoint keeps: its attributes that are objects, and if it is a variable, its array.

    Attributes:
        children: name of the attribute -> number of the node.
        name: of a variable, as TensorFlow called it.
        key: of a variable, that of its tensor.
    """

    children: dict[str, int]
    name: str = ""
    key: str = ""


class Bundle:
    """A checkpoint. Its tensors are read on demand.

    Args:
        prefix: path of the files without `.index`.

    Raises:
        ReadError: it is truncated or damaged.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._files: dict[str, RawFile] = {}
        table = Path(prefix + INDEX).read_bytes()
        self._entries = dict(_records(table, prefix + INDEX))
        if "" not in self._entries:
            raise ReadError(f"{prefix}{INDEX}: has no header; the file is damaged")
        header = Message(self._entries.pop(""), prefix + INDEX)
        self._shards = header.number(1)
        if header.number(2):
            raise ReadError(f"{prefix}{INDEX}: written on a big-endian machine, which is not supported")

    def array(self, key: str, name: str) -> StoredArray:
        """The tensor `key`, called `name` in messages.

        Raises:
            ReadError: there is none, it is cut in parts, or the files are too short for it.
        """
        where = f"{self.prefix}: the array {name}"
        entry = self._entry(key, where)
        shape = tuple(size.number(1) for shape in entry.messages(2) for size in shape.messages(2))
        dtype = DTYPES.get(entry.number(1))
        if dtype is None or entry.bytes(7):
            problem = "is cut in parts" if entry.bytes(7) else f"has TensorFlow's data type {entry.number(1)}"
            raise ReadError(f"{where} {problem}, which is not supported")
        numpy_dtype = np.dtype(dtype)
        path, offset, size = self._place(entry, where)
        if size != math.prod(shape) * numpy_dtype.itemsize:
            raise ReadError(f"{where} has {size:,} bytes, too few or too many for {shape}; the file is damaged")
        load = self._file(path).array(offset, numpy_dtype, shape)
        if entry.number(1) == BFLOAT16:
            return StoredArray(name, shape, np.dtype(np.float32), checked(lambda: widened(load()), where))
        return StoredArray(name, shape, numpy_dtype.newbyteorder("="), checked(load, where))

    def _file(self, path: str) -> RawFile:
        """A file of the tensors, opened once."""
        if path not in self._files:
            self._files[path] = RawFile(path)
        return self._files[path]

    def nodes(self) -> list[Node]:
        """The objects that it was saved from; the first is the model.

        Raises:
            ReadError: it was saved by name (TensorFlow 1), or is damaged.
        """
        where = f"{self.prefix}: {OBJECT_GRAPH}"
        if OBJECT_GRAPH not in self._entries:
            raise ReadError(f"{self.prefix}: a checkpoint of TensorFlow 1, without objects; save the model as .h5")
        graph = Message(self._string(OBJECT_GRAPH, where), where)
        nodes = [_node(message) for message in graph.messages(1)]
        if not nodes or any(child >= len(nodes) for node in nodes for child in node.children.values()):
            raise ReadError(f"{where}: refers to an object that does not exist; the file is damaged")
        return nodes

    def _entry(self, key: str, where: str) -> Message:
        if key not in self._entries:
            raise ReadError(f"{where} is missing; save the model again")
        return Message(self._entries[key], where)

    def _place(self, entry: Message, where: str) -> tuple[str, int, int]:
        """The file, where in it a tensor begins, and its size."""
        shard, offset, size = (entry.number(field) for field in (3, 4, 5))
        path = Path(f"{self.prefix}.data-{shard:05d}-of-{self._shards:05d}")
        if not path.is_file():
            raise ReadError(f"{where}: its file {path} is missing; copy the whole folder")
        if offset + size > path.stat().st_size:
            refuse_pointer(str(path))
            raise ReadError(f"{where}: the file {path} ends within it; copy it again")
        return str(path), offset, size

    def _string(self, key: str, where: str) -> bytes:
        """A tensor of one string: its length, four bytes of a checksum of that, then its bytes."""
        entry = self._entry(key, where)
        if entry.number(1) != STRING:
            raise ReadError(f"{where} is no text; the file is damaged")
        path, offset, size = self._place(entry, where)
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        length, start = varint(data, 0, where)
        if start + 4 + length != size:
            raise ReadError(f"{where} has another length than it says; the file is damaged")
        return data[start + 4 :]


def _node(message: Message) -> Node:
    children = {child.text(2): child.number(1) for child in message.messages(1)}
    for attribute in message.messages(2):
        if attribute.text(1) == VALUE:
            return Node(children, attribute.text(2), attribute.text(3))
    return Node(children)


def _records(table: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Every key of a table with its value: the index block has the place of each data block."""
    if len(table) < FOOTER or not table.endswith(MAGIC):
        raise ReadError(f"{where}: truncated, or no checkpoint of TensorFlow; copy it again")
    _, _, position = _handle(table, len(table) - FOOTER, where)
    offset, size, _ = _handle(table, position, where)
    for _, handle in _block(table, offset, size, where):
        offset, size, _ = _handle(handle, 0, where)
        for key, value in _block(table, offset, size, where):
            yield key.decode("utf-8", "surrogateescape"), value


def _handle(data: bytes, position: int, where: str) -> tuple[int, int, int]:
    """The offset and the size of a block, and the position behind them."""
    offset, position = varint(data, position, where)
    size, position = varint(data, position, where)
    return offset, size, position


def _block(table: bytes, offset: int, size: int, where: str) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a block; each key shares its beginning with the one before it."""
    if size < 4 or offset + size >= len(table):
        raise ReadError(f"{where}: a block lies outside of the file; it is damaged")
    if table[offset + size]:
        raise ReadError(f"{where}: a compressed table, which is not supported")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, position, key = size - 4 * (restarts + 1), 0, b""
    if end < 0:
        raise ReadError(f"{where}: a block is too short; the file is damaged")
    while position < end:
        shared, position = varint(block, position, where)
        own, position = varint(block, position, where)
        length, position = varint(block, position, where)
        key = key[:shared] + block[position : position + own]
        position += own + length
        if position > end:
            raise ReadError(f"{where}: ends within an entry; the file is damaged")
        yield key, block[position - length : position]
