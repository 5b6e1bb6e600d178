"""HDF5's global heaps, where texts of variable length lie: HDF5 1.14 reads a damaged one for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

SIGNATURE = b"GCOL\x01\0\0\0"
# Both are 16 bytes: of a heap, the signature and the size of all; of an object, number, references, its size.
HEADER = 16
# Heaps lie where the attributes do, beside the metadata: so much of a file is looked through, from each end.
WINDOW = 1 << 25


def damaged_heap(file: BinaryIO, size: int) -> int | None:
    """Where a heap begins whose objects do not fill it, None where all are in order."""
    for start in sorted({0, max(size - WINDOW, 0)}):
        file.seek(start)
        data = file.read(WINDOW)
        for place in places(data):
            if not fills(data[place : place + int.from_bytes(data[place + 8 : place + 16], "little")]):
                return start + place
    return None


def places(data: bytes) -> Iterator[int]:
    """Where heaps begin."""
    place = data.find(SIGNATURE)
    while place >= 0:
        yield place
        place = data.find(SIGNATURE, place + 1)


def fills(heap: bytes) -> bool:
    """Whether one object follows the other up to the end, the last with number 0 for the space that is left."""
    place = HEADER
    while len(heap) - place >= HEADER:
        number = int.from_bytes(heap[place : place + 2], "little")
        size = int.from_bytes(heap[place + 8 : place + 16], "little")
        if number == 0:
            return place + size == len(heap)
        place += HEADER + (size + 7) // 8 * 8
    return place <= len(heap)
