from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Stem(nn.Module):
    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        # half the size
        self.conv = nn.Conv2d(in_channels, filters, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(F.pad(x, (0, 1, 0, 1))), 0.2)


class Critic(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem1 = Stem(1, width)
        self.stem2 = Stem(width, width * 2)
        self.linear = nn.Linear(49 * (width * 2), 1)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem1(image)
        return self.linear(self.stem2(x).flatten(1))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
