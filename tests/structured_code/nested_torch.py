from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Conv(nn.Module):
    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, filters, 3, padding=1)
        self.batch_norm = nn.BatchNorm1d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch_norm(self.conv(x)))


class Nested(nn.Module):
    def __init__(self, width: int = 6, depth: int = 2) -> None:
        super().__init__()
        channels = 2
        self.convs = nn.ModuleList()
        for stage, filters in enumerate([width * 2**i for i in range(depth)], start=1):
            self.convs.append(Conv(channels, filters))
            channels = filters
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x)
        return x.amax(2)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv1d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
