from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SqueezeExcite(nn.Module):
    def __init__(self, in_channels: int, ratio: int = 4) -> None:
        super().__init__()
        filters = in_channels
        self.linear1 = nn.Linear(in_channels, filters // ratio)
        self.linear2 = nn.Linear(filters // ratio, filters)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.linear1(x.mean((2, 3))))
        y = torch.sigmoid(self.linear2(y))
        return x * y.reshape(-1, x.shape[1], 1, 1)


class Block(nn.Module):
    def __init__(self, in_channels: int, filters: int, squeeze: bool = True) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.conv = nn.Conv2d(in_channels, filters, 3, padding=1)
        if not squeeze:
            pass
        else:
            self.squeeze_excite = SqueezeExcite(filters)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if not self.squeeze:
            return x
        return self.squeeze_excite(x)


class Early(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.block1 = Block(3, width)
        self.block2 = Block(width, width * 2, squeeze=False)
        self.block3 = Block(width * 2, width)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.block1(inputs)
        x = self.block2(x)
        return self.block3(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
