"""The weights as safetensors, one tensor at a time: at most one is in memory, whatever the size of the model.

Format: 8 bytes length, a JSON header, then the tensors' bytes in the order of the header
(https://huggingface.co/docs/safetensors/index#format). The library's own writer wants all tensors at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from k2t.graph import Array
from k2t.program import Block, Module, Parameter, Weight

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
# Entries along the second axis that are copied together, and at most so many times.
PIECE, PIECES = 32, 64


@dataclass(frozen=True)
class Entry:
    """One tensor of the state dict."""

    key: str
    weight: Weight
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * np.dtype(storage(self.dtype)).itemsize

    @property
    def is_constant(self) -> bool:
        """Whether the values come from the configuration, and are too long to be written down."""
        return self.weight.buffer and not self.weight.variables and not self.weight.text

    def load(self) -> Array:
        """The values, C-contiguous."""
        arrays = [variable.array.load() for variable in self.weight.variables if variable.array]
        return contiguous(self.weight.transform(*arrays), storage(self.dtype))


def contiguous(array: Array, dtype: str) -> Array:
    """C-contiguous; a kernel with its axes in another order is copied in pieces that stay in the processor's cache."""
    if array.ndim < 2 or array.flags.c_contiguous:
        return np.ascontiguousarray(array, dtype)
    made = np.empty(array.shape, dtype)
    step = max(PIECE, array.shape[1] // PIECES)
    for start in range(0, array.shape[1], step):
        made[:, start : start + step] = array[:, start : start + step]
    return made


def storage(dtype: str) -> str:
    """The numpy dtype of the same bytes; numpy has no bfloat16."""
    return "uint16" if dtype == "bfloat16" else dtype


def state(block: Block, prefix: str = "") -> Iterator[tuple[str, Weight]]:
    """The state dict of a block by name, modules inside it included."""
    items: list[Module | Parameter] = [*block.modules(), *block.parameters()]
    for item in items:
        path = f"{prefix}{item.name}"
        if not isinstance(item, Module):
            yield path, item.weight
        elif isinstance(item.call, Block):
            yield from state(item.call, f"{path}.")
        else:
            for key, weight in item.weights.items():
                yield f"{path}.{key}", weight


def entries(block: Block) -> Iterator[Entry]:
    """The state dict of a block with shapes and dtypes, without reading it."""
    for key, weight in state(block):
        blanks = [
            np.broadcast_to(np.zeros((), storage(variable.stored_dtype)), variable.shape)
            for variable in weight.variables
        ]
        yield Entry(key, weight, weight.transform(*blanks).shape, weight.stored_dtype)


def header(tensors: Iterable[Entry], metadata: Mapping[str, str], room: int = 0) -> bytes:
    """Length and JSON header, with spaces behind it that make `room` bytes of both where that is more."""
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.size
        table[tensor.key] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text = text.ljust(max(room - 8, len(text)))
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
