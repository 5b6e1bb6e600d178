from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Generator(nn.Module):
    def __init__(self, latent_dim: int = 7, channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 96)
        self.conv1 = nn.Conv2d(6, 5, 3, padding=1)
        self.batch_norm = nn.BatchNorm2d(5, eps=0.001, momentum=0.2)
        self.conv2 = nn.Conv2d(5, channels, 3, padding=1)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.linear(x)).reshape(-1, 4, 4, 6)
        x = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=2)
        x = F.relu(self.batch_norm(self.conv1(x)))
        return torch.tanh(self.conv2(x))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
