"""Normalization layers that PyTorch has not, or not in all releases."""

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Divides by the root of the mean of squares over the last axes, times a weight."""

    def __init__(self, *shape: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.axes = tuple(range(-len(shape), 0))
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(self.axes, keepdim=True) + self.eps) * self.weight


def standardize(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """(x - mean) / standard deviation."""
    return (x - mean) / torch.sqrt(variance).clamp(min=1e-7)


def destandardize(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """The reverse of `standardize`."""
    return x * torch.sqrt(variance).clamp(min=1e-7) + mean
