"""Whole numbers as inputs of layers that compute with real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k2t.rules.builder import Builder

# These compute with real numbers, whatever they are given.
REAL = frozenset({"BatchNormalization", "Dense", "EinsumDense", "SimpleRNN", "LSTM", "GRU", "RNN"})
REAL |= {"GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"}


def as_real(b: Builder, x: Any) -> Any:
    """A tensor of whole numbers as real ones, with its mask; anything else as it is."""
    from k2t.rules.operations.base import as_floating

    made = as_floating(b, x)
    if made is not x:
        made.mask, made.mask_taken = x.mask, x.mask_taken
    return made
