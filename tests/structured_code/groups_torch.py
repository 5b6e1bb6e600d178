from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GroupedConv(nn.Module):
    def __init__(self, in_channels: int, filters: int, groups: int = 4) -> None:
        super().__init__()
        # each group sees its own channels
        width = in_channels // groups
        self.convs = nn.ModuleList()
        for i in range(groups):
            self.convs.append(nn.Conv2d(width, filters // groups, 3, padding=1))
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for i, conv in enumerate(self.convs):
            part = x[:, i * self.width : (i + 1) * self.width]
            parts.append(conv(part))
        return torch.cat(parts, dim=1)


class Groups(nn.Module):
    def __init__(self, width: int = 8, groups: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)
        self.grouped_conv = GroupedConv(width, 2 * width, groups)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.relu(self.conv(inputs))
        return self.grouped_conv(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
