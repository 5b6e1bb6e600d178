"""Spectrograms."""

from torch import Tensor
from torch.nn import functional as F


def double_middle(power: Tensor) -> Tensor:
    """Power at each frequency (..., F, T), twice where a negative frequency has the same."""
    return power + F.pad(power[:, 1:-1], (0, 0, 1, 1))
