from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerScale(nn.Module):
    """Scales each channel by a learned factor."""

    def __init__(self, in_channels: int, start: float = 0.1) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((in_channels,), start))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.gamma


class Attention(nn.Module):
    def __init__(self, in_channels: int, units: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(in_channels, units))
        self.score = nn.Parameter(torch.zeros(units, 1))

    def forward(self, x: Tensor) -> Tensor:
        # one score for each step
        return (F.softmax(torch.tanh(x @ self.kernel) @ self.score, dim=1) * x).sum(1)


class Classifier(nn.Module):
    def __init__(self, features: int = 6, units: int = 8, num_classes: int = 3) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, units)
        self.layer_scale = LayerScale(units)
        self.attention = Attention(units, units)
        self.linear2 = nn.Linear(units, num_classes)
        self.apply(init_weights)

    def forward(self, sequence: Tensor) -> Tensor:
        x = torch.tanh(self.linear1(sequence))
        x = self.layer_scale(x)
        x = self.attention(x)
        return self.linear2(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, Attention):
        nn.init.xavier_uniform_(module.kernel)
