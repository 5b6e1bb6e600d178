from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UNet(nn.Module):
    def __init__(self, widths: tuple[int, ...] = (3, 5, 7)) -> None:
        super().__init__()
        skips_channels = []
        x_channels = 2
        self.convs1 = nn.ModuleList()
        for width in widths[:-1]:
            self.convs1.append(nn.Conv2d(x_channels, width, 3, padding=1))
            x_channels = width
            skips_channels.append(x_channels)
        self.conv1 = nn.Conv2d(x_channels, widths[-1], 3, padding=1)
        x_channels = widths[-1]
        self.conv_transposes = nn.ModuleList()
        self.convs2 = nn.ModuleList()
        for width, skip_channels in zip(reversed(widths[:-1]), reversed(skips_channels)):
            self.conv_transposes.append(nn.ConvTranspose2d(x_channels, width, 2, stride=2))
            self.convs2.append(nn.Conv2d(width + skip_channels, width, 3, padding=1))
            x_channels = width
        self.conv2 = nn.Conv2d(x_channels, 1, 1)
        self.apply(init_weights)

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores before the sigmoid, which is what the loss functions of PyTorch expect."""
        skips = []
        x = inputs
        for conv1 in self.convs1:
            x = F.relu(conv1(x))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = F.relu(self.conv1(x))
        for skip, conv_transpose, conv2 in zip(reversed(skips), self.conv_transposes, self.convs2):
            x = conv_transpose(x)
            x = torch.cat([x, skip], dim=1)
            x = F.relu(conv2(x))
        return self.conv2(x)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(inputs))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
