from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class CNN(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(1600, num_classes)
        self.apply(init_weights)

    def logits(self, x: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(x.flatten(1))
        return self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.logits(x), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
