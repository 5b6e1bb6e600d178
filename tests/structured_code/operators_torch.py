from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tanh(F.softplus(x))


class ChannelShuffle(nn.Module):
    def __init__(self, in_channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        height = 10
        width = 10
        channels = in_channels
        self.height = height
        self.width = width
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1).reshape(
            -1, self.height, self.width, self.groups, self.channels // self.groups
        )
        return (
            x.permute(0, 1, 2, 4, 3)
            .reshape(-1, self.height, self.width, self.channels)
            .permute(0, 3, 1, 2)
        )


class Operators(nn.Module):
    def __init__(self, filters: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, filters, 3)
        self.mish = Mish()
        self.channel_shuffle = ChannelShuffle(filters, groups=2)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.mish(self.conv(inputs / 255.0 - 0.5))
        x = self.channel_shuffle(x)
        # the border says nothing
        return (x[:, :, 1:-1, 1:-1] - x.mean((2, 3), keepdim=True)).amax((2, 3))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
