"""Takes the bytes of a code object apart into instructions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from k2t.errors import ReadError
from k2t.read.bytecode.marshalled import CodeRecord
from k2t.read.bytecode.opcodes import Release

ABSOLUTE = {"JUMP_ABSOLUTE", "POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE", "JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP"}
RELATIVE = {"JUMP_FORWARD", "FOR_ITER", "POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE"}
UNKNOWN = "instruction"


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        offset: its place in the bytes; `after` is the place of the next.
        target: where it jumps to, or -1.
    """

    offset: int
    name: str
    argument: int
    after: int
    target: int = -1


def listing(code: CodeRecord, release: Release) -> Iterator[Instruction]:
    """Every instruction; one that is not among those that expressions compile to is `UNKNOWN`, with its number."""
    at, extended = 0, 0
    data = code.code
    while at < len(data):
        start, number = at, data[at]
        size = (3 if number >= release.have_argument else 1) if release.have_argument else 2
        argument = int.from_bytes(data[at + 1 : at + size], "little") | extended
        name = release.names.get(number, UNKNOWN)
        at += size + 2 * release.caches.get(name, 0)
        extended = argument << (16 if release.have_argument else 8) if name == "EXTENDED_ARG" else 0
        if name == UNKNOWN:
            argument = number
        yield Instruction(start, name, argument, at, jump_target(name, argument, at, release))


def instructions(code: CodeRecord, release: Release) -> dict[int, Instruction]:
    """Every instruction under its offset.

    Raises:
        ReadError: the bytes are not of this release.
    """
    found = {item.offset: item for item in listing(code, release)}
    for item in found.values():
        caches = 2 * release.caches.get(item.name, 0)
        if item.name in (UNKNOWN, "CACHE") or item.after > len(code.code):
            raise ReadError(f"instruction {item.argument} at {item.offset} is not one that expressions compile to")
        if any(code.code[item.after - caches : item.after]):
            raise ReadError("the caches of the instructions are not of this release")
    targets = {item.target for item in found.values() if item.target >= 0}
    if not targets <= found.keys():
        raise ReadError("a jump goes nowhere")
    return found


def jump_target(name: str, argument: int, after: int, release: Release) -> int:
    """Where an instruction jumps to: releases count in bytes or instructions, from the start or from behind it."""
    unit = 2 if release.version >= (3, 10) else 1
    if "JUMP_BACKWARD" in name:
        return after - argument * unit
    if name in RELATIVE or "JUMP_FORWARD" in name or (name in ABSOLUTE and release.version >= (3, 11)):
        return after + argument * unit
    return argument * unit if name in ABSOLUTE else -1
