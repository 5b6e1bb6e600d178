"""Whole numbers as inputs of layers that compute with real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k2t.errors import UntranslatableError

if TYPE_CHECKING:
    from k2t.program import Value
    from k2t.rules.builder import Builder

# These compute with real numbers, whatever they are given.
REAL = frozenset({"BatchNormalization", "Dense", "EinsumDense", "SimpleRNN", "LSTM", "GRU", "RNN"})
REAL |= {"GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"}
REAL |= {"Bidirectional", "GroupQueryAttention", "MultiHeadAttention"}
# Of these Keras cuts the results off to whole numbers again, which nobody wants.
CUT = frozenset({"GroupNormalization", "LayerNormalization", "RMSNormalization"})
REAL |= CUT


def as_real(b: Builder, x: Any) -> Any:
    """A tensor of whole numbers as real ones, with its mask; anything else as it is."""
    from k2t.rules.operations.base import as_floating

    made = as_floating(b, x)
    if made is not x:
        if b.layer.kind in CUT:
            raise UntranslatableError("normalizes whole numbers; cast its input to real ones")
        made.mask, made.mask_taken = x.mask, x.mask_taken
    return made


def converted(b: Builder, x: Value, dtype: str) -> Value:
    """A tensor of real numbers in the dtype of another one: cut off where that one has whole numbers."""
    from k2t.rules.operations.base import is_real, torch_dtype

    return x if is_real(dtype) or not is_real(x.dtype) else b.call(".to", x, torch_dtype(dtype), dtype=dtype)


def as_declared(b: Builder, x: Value, dtype: str) -> Value:
    """What a nested model is given, as the numbers that it declares: Keras casts to these."""
    from k2t.rules.operations.base import is_real

    made: Value = as_real(b, x) if is_real(dtype) else converted(b, x, dtype)
    made.mask, made.mask_taken = x.mask, x.mask_taken
    return made
