from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    def __init__(self, input_dim: int = 20, hidden: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.linear1 = nn.Linear(input_dim, hidden)
        self.linears = nn.ModuleList()
        self.dropout = nn.Dropout(0.2)
        for _ in range(depth - 1):
            # keep the width
            self.linears.append(nn.Linear(hidden, hidden))
        self.linear2 = nn.Linear(hidden, 1)
        self.apply(init_weights)

    def logits(self, x: Tensor) -> Tensor:
        """Scores before the sigmoid, which is what the loss functions of PyTorch expect."""
        x = F.relu(self.linear1(x))
        for linear in self.linears:
            x = self.dropout(F.relu(linear(x)))
        return self.linear2(x)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(x))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
