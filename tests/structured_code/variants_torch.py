from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Conv(nn.Module):
    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


class ConvBatch(nn.Module):
    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 3, padding=1)
        # normalised blocks have no other activation
        self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.batch_norm(self.conv(x))


class ConvTanh(nn.Module):
    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv(x))


class Variants(nn.Module):
    def __init__(self, width: int = 8, channels: int = 3) -> None:
        super().__init__()
        self.conv = Conv(channels, width)
        self.conv_batch = ConvBatch(width, 2 * width)
        self.conv_tanh = ConvTanh(2 * width, channels)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(image)
        x = self.conv_batch(x)
        return self.conv_tanh(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
