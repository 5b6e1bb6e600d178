from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Towers(nn.Module):
    def __init__(self, kernels: tuple[int, ...] = (1, 3, 5), width: int = 4) -> None:
        super().__init__()
        branch_channels = []
        self.convs = nn.ModuleList()
        for kernel in kernels:
            self.convs.append(nn.Conv2d(3, width, kernel, padding="same"))
            branch_channels.append(width)
        channels = sum(branch_channels)
        self.linear = nn.Linear(channels, 2)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = torch.cat([F.relu(conv(inputs)) for conv in self.convs], dim=1)
        return self.linear(x.mean((2, 3)))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
