from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Branches(nn.Module):
    def __init__(self, in_channels: int, widths: tuple[int, ...], kernels: tuple[int, ...]) -> None:
        super().__init__()
        output_channels = []
        self.convs1 = nn.ModuleList()
        self.convs2 = nn.ModuleList()
        for i, (width, kernel) in enumerate(zip(widths, kernels)):
            self.convs1.append(nn.Conv2d(in_channels, width, 1))
            self.convs2.append(nn.Conv2d(width, width, kernel, padding="same"))
            output_channels.append(width)
        self.out_channels = sum(output_channels)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for conv1, conv2 in zip(self.convs1, self.convs2):
            y = F.relu(conv1(x))
            outputs.append(F.relu(conv2(y)))
        return torch.cat(outputs, dim=1)


class Loops(nn.Module):
    def __init__(
        self, widths: tuple[int, ...] = (4, 6), kernels: tuple[int, ...] = (3, 5), stages: int = 2
    ) -> None:
        super().__init__()
        channels = 3
        self.branches = nn.ModuleList()
        for stage in range(stages):
            self.branches.append(Branches(channels, widths, kernels))
            channels = self.branches[-1].out_channels
        self.convs = nn.ModuleList()
        for i in range(2):
            self.convs.append(nn.Conv2d(channels, 2, 1))
        self.apply(init_weights)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for branch in self.branches:
            x = F.max_pool2d(branch(x), 2)
        features = {}
        for i, conv in enumerate(self.convs):
            features[f"p{i}"] = conv(x)
        return features


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
