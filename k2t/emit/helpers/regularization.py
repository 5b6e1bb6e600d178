"""Noise layers, and normalization with other statistics."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GaussianNoise(nn.Module):
    """Adds normal noise while training."""

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = stddev

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stddev * torch.randn_like(x) if self.training else x


class GaussianDropout(nn.Module):
    """Multiplies by normal noise around 1 in training, with the variance of dropout at `rate`."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.stddev = (rate / (1 - rate)) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.stddev * torch.randn_like(x)) if self.training else x


class StochasticDepth(nn.Module):
    """Drops the residual path of some samples while training (https://arxiv.org/abs/1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        kept = x.new_ones((x.shape[0],) + (1,) * (x.ndim - 1))
        return x * F.dropout(kept, self.rate) if self.training else x


class FrozenBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization that Keras froze: it uses the moving statistics in training too."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization that Keras froze: it uses the moving statistics in training too."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class FrozenBatchNorm3d(nn.BatchNorm3d):
    """Batch normalization that Keras froze: it uses the moving statistics in training too."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def masked_mean(x: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Mean over the steps, which are axis `dim` of x (N, ...), where `mask` (N, T) is True."""
    weights = mask.to(x.dtype).unsqueeze(3 - dim)
    return (x * weights).sum(dim=dim) / weights.sum(dim=dim)


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization whose statistics in training are those of the steps where `mask` is True.

    Keras 3 adds `margin` to their number; its running variance is without Bessel's correction.
    """

    def __init__(self, features: int, margin: float, **options: Any) -> None:
        super().__init__(features, **options)
        self.margin = margin

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """`x` (N, C, T), `mask` (N, T) or one that broadcasts with `x`."""
        if not self.training and self.track_running_stats:
            return super().forward(x)
        mask = (mask if mask.ndim == x.ndim else mask.unsqueeze(1)).expand_as(x)
        count = mask.sum((0, 2), dtype=x.dtype) + self.margin
        mean = x.masked_fill(~mask, 0).sum((0, 2)) / count
        centred = x - mean.unsqueeze(-1)
        variance = centred.square().masked_fill(~mask, 0).sum((0, 2)) / count
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.lerp_(mean.detach(), self.momentum or 0.0)
            self.running_var.lerp_(variance.detach(), self.momentum or 0.0)
        y = centred * torch.rsqrt(variance + self.eps).unsqueeze(-1)
        return y * self.weight.unsqueeze(-1) + self.bias.unsqueeze(-1) if self.affine else y
