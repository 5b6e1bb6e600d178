from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Encoder(nn.Module):
    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, units)
        self.dropout = nn.Dropout(0.1)
        self.embedding = nn.Linear(units, units)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.dropout(F.relu(self.linear(inputs)))
        return self.embedding(x)


class Siamese(nn.Module):
    def __init__(self, features: int = 6, units: int = 5) -> None:
        super().__init__()
        # both sides share their weights
        self.encoder = Encoder(features, units)
        self.linear = nn.Linear(units, 1)
        self.apply(init_weights)

    def logits(self, left: Tensor, right: Tensor) -> Tensor:
        """Scores before the sigmoid, which is what the loss functions of PyTorch expect."""
        distance = self.encoder(left) - self.encoder(right)
        return self.linear(distance)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(left, right))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
