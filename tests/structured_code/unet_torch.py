from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel: int = 3) -> None:
        super().__init__()
        # widen, then normalise
        self.conv = nn.Conv2d(in_channels, filters, kernel, padding="same")
        self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch_norm(self.conv(x)))


class UNet(nn.Module):
    """U-Net."""

    def __init__(self, in_channels: int = 3, num_classes: int = 2, depth: int = 4) -> None:
        super().__init__()
        self.depth = depth
        channels = in_channels
        skip_channels = []
        self.conv_blocks1 = nn.ModuleList()
        for i in range(depth):
            self.conv_blocks1.append(ConvBlock(channels, 32 * 2**i))
            channels = 32 * 2**i
            skip_channels.append(channels)
        self.conv_block = ConvBlock(channels, 32 * 2**depth)
        channels = 32 * 2**depth
        self.conv_transposes = nn.ModuleList()
        self.conv_blocks2 = nn.ModuleList()
        for i in reversed(range(depth)):
            # back up
            self.conv_transposes.append(nn.ConvTranspose2d(channels, 32 * 2**i, 2, stride=2))
            self.conv_blocks2.append(ConvBlock(32 * 2**i + skip_channels[i], 32 * 2**i))
            channels = 32 * 2**i
        self.conv = nn.Conv2d(channels, num_classes, 1)
        self.apply(init_weights)

    def logits(self, x: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        skips = []
        for conv_block1 in self.conv_blocks1:
            x = conv_block1(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.conv_block(x)
        for i, conv_transpose, conv_block2 in zip(
            reversed(range(self.depth)), self.conv_transposes, self.conv_blocks2
        ):
            x = conv_transpose(x)
            x = torch.cat([x, skips[i]], dim=1)
            x = conv_block2(x)
        return self.conv(x)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.logits(x), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
