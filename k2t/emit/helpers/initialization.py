"""Distributions of first values that torch.nn.init lacks."""

import math

from torch import Tensor, nn


def variance_scaling_(weight: Tensor, scale: float = 1.0, mode: str = "fan_in") -> Tensor:
    """A normal distribution of variance scale / fan, cut at two standard deviations."""
    fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    std = math.sqrt(scale / fan) / 0.87962566103423978  # what the cut takes away
    return nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
