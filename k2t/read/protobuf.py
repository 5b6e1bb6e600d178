"""Protocol buffers, as far as saved models need them: the fields of a message, as numbers or bytes."""

from __future__ import annotations

from collections import defaultdict

from k2t.errors import ReadError

MAX_VARINT = 10


def varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the position behind it."""
    value = 0
    for index, byte in enumerate(data[position : position + MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ReadError(f"{where}: ends within a number; the file is damaged")


class Message:
    """The fields of one message by number; a field may be repeated, and of one that is not the last counts.

    Args:
        data: its bytes in the wire format.
        where: what errors call it.

    Raises:
        ReadError: they are no message.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.where = where
        self._fields: dict[int, list[int | bytes]] = defaultdict(list)
        position = 0
        while position < len(data):
            tag, position = varint(data, position, where)
            value, position = self._value(data, tag & 7, position)
            self._fields[tag >> 3].append(value)

    def _value(self, data: bytes, wire_type: int, position: int) -> tuple[int | bytes, int]:
        if wire_type == 0:
            return varint(data, position, self.where)
        if wire_type == 2:
            size, position = varint(data, position, self.where)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ReadError(f"{self.where}: a field of wire type {wire_type}; the file is damaged")
        if position + size > len(data):
            raise ReadError(f"{self.where}: ends within a field; the file is damaged")
        return data[position : position + size], position + size

    def number(self, field: int) -> int:
        """An integer; 0 where it is not set."""
        value = self._fields[field][-1] if field in self._fields else 0
        if not isinstance(value, int):
            raise ReadError(f"{self.where}: field {field} is no number; the file is damaged")
        return value

    def bytes(self, field: int) -> list[bytes]:
        """Every value of a field of bytes."""
        values = self._fields.get(field, [])
        if any(isinstance(value, int) for value in values):
            raise ReadError(f"{self.where}: field {field} is a number; the file is damaged")
        return [value for value in values if not isinstance(value, int)]

    def messages(self, field: int) -> list[Message]:
        """Every message of a field."""
        return [Message(value, self.where) for value in self.bytes(field)]

    def text(self, field: int) -> str:
        """A string; empty where it is not set."""
        values = self.bytes(field)
        return values[-1].decode("utf-8", "surrogateescape") if values else ""
