"""Reads Python's marshal format as data: a code object becomes a record, never code.

Format: CPython's Python/marshal.c, versions 2.7 to 3.13. The bytes do not say which version wrote them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from k2t.errors import ReadError

FLAG_REF = 0x80
MAX_DEPTH = 60
SIMPLE: dict[str, Any] = {"N": None, "F": False, "T": True, ".": Ellipsis}
TEXT = {"u": ("i", "utf-8"), "a": ("i", "ascii"), "A": ("i", "ascii"), "z": ("B", "ascii"), "Z": ("B", "ascii")}

# Fields of a code object in the order of the file, for each layout; numbers first, then objects.
LAYOUTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "3.11": (
        ("argcount", "posonly", "kwonly", "stacksize", "flags"),
        ("code", "consts", "names", "localsplus", "kinds", "filename", "name", "qualname"),
    ),
    "3.8": (
        ("argcount", "posonly", "kwonly", "nlocals", "stacksize", "flags"),
        ("code", "consts", "names", "varnames", "freevars", "cellvars", "filename", "name"),
    ),
    "3.0": (
        ("argcount", "kwonly", "nlocals", "stacksize", "flags"),
        ("code", "consts", "names", "varnames", "freevars", "cellvars", "filename", "name"),
    ),
    "2.7": (
        ("argcount", "nlocals", "stacksize", "flags"),
        ("code", "consts", "names", "varnames", "freevars", "cellvars", "filename", "name"),
    ),
}
# What follows the objects: the first line, the line table, and from 3.11 the exception table.
FREE, CELL = 0x80, 0x40


@dataclass(frozen=True)
class CodeRecord:
    """A code object as data.

    Attributes:
        layout: which releases wrote it: "2.7", "3.0" (to 3.7), "3.8" (to 3.10), "3.11" (and later).
        fast: names of local variables, by the index that instructions use.
        deref: names of cell and free variables, by the index that instructions use.
        free: names of the variables of the functions around it.
    """

    layout: str
    argcount: int
    kwonly: int
    flags: int
    code: bytes
    consts: tuple[Any, ...]
    names: tuple[str, ...]
    fast: tuple[str, ...]
    deref: tuple[str, ...]
    free: tuple[str, ...]
    name: str


class Reader:
    """A position in the bytes."""

    def __init__(self, data: bytes, layout: str) -> None:
        self.data = data
        self.layout = layout
        self.at = 0
        self.refs: list[Any] = []
        self.interned: list[str] = []
        self.depth = 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise ReadError("the bytes of a Lambda's function end early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, kind: str) -> Any:
        """A little-endian number."""
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]

    def value(self) -> Any:
        """The next object."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ReadError("the bytes of a Lambda's function are nested too deeply")
        tag = self.number("B")
        kind = chr(tag & ~FLAG_REF)
        slot = None
        if tag & FLAG_REF and kind != "r":
            slot = len(self.refs)
            self.refs.append(None)
        result = self.read(kind)
        if slot is not None:
            self.refs[slot] = result
        self.depth -= 1
        return result

    def read(self, kind: str) -> Any:
        """An object of a kind."""
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind in TEXT:
            length, encoding = TEXT[kind]
            return self.take(self.number(length)).decode(encoding, "replace")
        readers = {
            "i": lambda: self.number("i"),
            "g": lambda: self.number("d"),
            "f": lambda: float(self.take(self.number("B"))),
            "y": lambda: complex(self.number("d"), self.number("d")),
            "l": self.long,
            "s": lambda: self.take(self.number("i")),
            "t": self.intern,
            "R": lambda: self.interned[self.number("i")],
            "r": lambda: self.refs[self.number("i")],
            "(": lambda: self.items(self.number("i")),
            ")": lambda: self.items(self.number("B")),
            "[": lambda: list(self.items(self.number("i"))),
            ">": lambda: frozenset(self.items(self.number("i"))),
            "c": self.code,
        }
        if kind not in readers:
            raise ReadError(f"the bytes of a Lambda's function hold an unknown mark {kind!r}")
        return readers[kind]()

    def items(self, count: int) -> tuple[Any, ...]:
        """So many objects."""
        if not 0 <= count <= len(self.data):
            raise ReadError("the bytes of a Lambda's function are damaged")
        return tuple(self.value() for _ in range(count))

    def intern(self) -> str:
        """A string that later ones refer to (Python 2)."""
        text: str = self.take(self.number("i")).decode("utf-8", "replace")
        self.interned.append(text)
        return text

    def long(self) -> int:
        """A large integer, in digits of 15 bits."""
        count: int = self.number("i")
        digits: list[int] = [self.number("H") for _ in range(min(abs(count), 100))]
        size = sum(digit << 15 * place for place, digit in enumerate(digits))
        return -size if count < 0 else size

    def code(self) -> CodeRecord:
        """A code object in the reader's layout."""
        numbers, objects = LAYOUTS[self.layout]
        found: dict[str, Any] = {name: self.number("i") for name in numbers}
        found |= {name: self.value() for name in objects}
        self.number("i")
        self.value()
        if self.layout == "3.11":
            self.value()
        return record(self.layout, found)


def record(layout: str, found: dict[str, Any]) -> CodeRecord:
    """The fields that are of use, checked."""
    if layout == "3.11":
        names, kinds = found["localsplus"], found["kinds"]
        fast = deref = texts(names)
        free = tuple(name for name, kind in zip(texts(names), bytes(kinds), strict=True) if kind & FREE)
    else:
        fast = texts(found["varnames"])
        free = texts(found["freevars"])
        deref = texts(found["cellvars"]) + free
    fast = tuple(name.replace(".", "_") for name in fast)  # the items of a comprehension are named ".0"
    code, consts = found["code"], found["consts"]
    if not isinstance(code, bytes) or not isinstance(consts, tuple):
        raise ReadError("the bytes of a Lambda's function are damaged")
    consts = tuple(text(item) if layout == "2.7" else item for item in consts)
    name = text(found["name"])
    arguments = found["argcount"], found.get("kwonly", 0)
    if not all(0 <= count <= len(fast) for count in arguments):
        raise ReadError("the bytes of a Lambda's function are damaged")
    return CodeRecord(layout, *arguments, found["flags"], code, consts, texts(found["names"]), fast, deref, free, name)


def text(item: Any) -> Any:
    """Strings of Python 2 are bytes."""
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else item


def texts(items: Any) -> tuple[str, ...]:
    """A tuple of names."""
    names = tuple(text(item) for item in items) if isinstance(items, tuple) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise ReadError("the bytes of a Lambda's function are damaged")
    return names


def records(data: bytes) -> list[CodeRecord]:
    """The code object under every layout that fits all of the bytes.

    Raises:
        ReadError: none does.
    """
    found = []
    for layout in LAYOUTS:
        reader = Reader(data, layout)
        try:
            value = reader.value()
        except (ReadError, IndexError, ValueError, TypeError, struct.error):
            continue
        if isinstance(value, CodeRecord) and reader.at == len(data):
            found.append(value)
    if not found:
        raise ReadError("the bytes of a Lambda's function are of no Python from 2.7 to 3.13")
    return found
