"""Spectrograms."""

import torch
from torch import Tensor
from torch.nn import functional as F


def double_middle(power: Tensor) -> Tensor:
    """Power at each frequency (..., F, T), twice where a negative frequency has the same."""
    return power + F.pad(power[:, 1:-1], (0, 0, 1, 1))


def decibels(power: Tensor, least: float, reference: float, range: float) -> Tensor:
    """Power in decibels above `reference`, none more than `range` below the largest of all."""
    y = 10 * power.clamp(min=least).log10() - reference
    return torch.maximum(y, y.max() - range)
