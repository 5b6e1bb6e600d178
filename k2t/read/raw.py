"""Arrays that lie in a file as numpy has them in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array

# How the file begins that Git LFS leaves where a large one belongs.
POINTER = b"version https://git-lfs"


def refuse_pointer(path: str) -> None:
    """Raise a ReadError where a file is only what stands for it in Git."""
    with open(path, "rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ReadError(f"{path}: only the pointer of Git LFS to the file; fetch it with `git lfs pull`")


class RawFile:
    """A file whose arrays are read without another library, in a tenth of HDF5's time.

    It stays open: with each call of the system a thread hands the interpreter to others, and gets it back late.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 open for as long as its arrays live
        self._lock = Lock()

    def array(self, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Callable[[], Array]:
        """Reads the array at `offset`."""
        return partial(self._read, offset, dtype, shape)

    def _read(self, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        values = np.empty(shape, dtype)
        rest = values.reshape(-1).view(np.uint8).data
        with self._lock:
            self._file.seek(offset)
            while rest and (count := self._file.readinto(rest)):
                rest = rest[count:]
        if len(rest):
            raise OSError("the file has become shorter")
        return values.astype(dtype.newbyteorder("="), copy=False)


def checked(load: Callable[[], Array], where: str) -> Callable[[], Array]:
    """`load`, with one clear error for whatever goes wrong."""
    return partial(_checked, load, where)


def widened(halves: Array) -> Array:
    """bfloat16, the upper halves of float32 values, as float32."""
    return (halves.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _checked(load: Callable[[], Array], where: str) -> Array:
    try:
        return load()
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise ReadError(f"{where} cannot be read ({error}); the file is damaged or was changed") from error
