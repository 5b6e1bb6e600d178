"""Arrays that lie in a file as numpy has them in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Array


def raw(path: str, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Callable[[], Array]:
    """Reads the array at `offset` without another library: a tenth of HDF5's time, and other threads may run."""
    return partial(_read, path, offset, dtype, shape)


def checked(load: Callable[[], Array], where: str) -> Callable[[], Array]:
    """`load`, with one clear error for whatever goes wrong."""
    return partial(_checked, load, where)


def widened(halves: Array) -> Array:
    """bfloat16, the upper halves of float32 values, as float32."""
    return (halves.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _read(path: str, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    values = np.fromfile(path, dtype, count, offset=offset)
    if values.size != count:
        raise OSError("the file has become shorter")
    return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _checked(load: Callable[[], Array], where: str) -> Array:
    try:
        return load()
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise ReadError(f"{where} cannot be read ({error}); the file is damaged or was changed") from error
