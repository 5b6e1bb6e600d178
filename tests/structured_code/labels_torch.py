from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class LabelsKeras(nn.Module):
    def __init__(self, num_classes: int, features: int) -> None:
        super().__init__()
        channels = features
        self.linears = nn.ModuleList()
        self.dropout = nn.Dropout(0.3)
        for units in (32, 16):
            self.linears.append(nn.Linear(channels, units))
            channels = units
        self.linear = nn.Linear(channels, num_classes)
        self.apply(init_weights)

    def logits(self, x: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        for linear in self.linears:
            x = self.dropout(F.relu(linear(x)))
        return self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.logits(x), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
