"""HDF5's global heaps, where texts of variable length lie: HDF5 1.14 reads a damaged one for ever."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase

SIGNATURE = b"GCOL\x01\0\0\0"
# Both are 16 bytes: of a heap, the signature and the size of all; of an object, number, references, its size.
HEADER = 16
# Heaps lie where the attributes do, beside the metadata: so much of a file is looked through, from each end.
WINDOW = 1 << 25
CHUNK = 1 << 18  # stays in the processor's cache


def damaged_heap(file: BufferedIOBase, size: int) -> int | None:
    """Where a heap begins whose objects do not fill it, None where all are in order."""
    for start in sorted({0, max(size - WINDOW, 0)}):
        for place in places(file, start, min(start + WINDOW, size)):
            file.seek(place + len(SIGNATURE))
            length = int.from_bytes(file.read(8), "little")
            file.seek(place)
            if not fills(file.read(min(length, WINDOW))):
                return place
    return None


def places(file: BufferedIOBase, start: int, stop: int) -> Iterator[int]:
    """Where heaps begin, from `start` to `stop`."""
    chunk = bytearray(CHUNK)
    for offset in range(start, stop, CHUNK - len(SIGNATURE) + 1):  # none is cut in two
        file.seek(offset)
        count = file.readinto(chunk)
        place = chunk.find(SIGNATURE, 0, count)
        while place >= 0:
            yield offset + place
            place = chunk.find(SIGNATURE, place + 1, count)


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
