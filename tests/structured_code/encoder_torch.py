from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    def __init__(self, in_channels: int, num_filters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, num_filters, 3, padding=1)
        self.batch_norm1 = nn.BatchNorm2d(num_filters, eps=0.001, momentum=0.01)
        self.conv2 = nn.Conv2d(num_filters, num_filters, 3, padding=1)
        self.batch_norm2 = nn.BatchNorm2d(num_filters, eps=0.001, momentum=0.01)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.relu(self.batch_norm1(self.conv1(inputs)))
        return F.relu(self.batch_norm2(self.conv2(x)))


class EncoderBlock(nn.Module):
    def __init__(self, in_channels: int, num_filters: int) -> None:
        super().__init__()
        self.conv_block = ConvBlock(in_channels, num_filters)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv_block(inputs)
        p = F.max_pool2d(x, 2)
        return x, p


class DecoderBlock(nn.Module):
    def __init__(self, in_channels: int, skip_channels: int, num_filters: int) -> None:
        super().__init__()
        self.conv_transpose = nn.ConvTranspose2d(in_channels, num_filters, 2, stride=2)
        self.conv_block = ConvBlock(num_filters + skip_channels, num_filters)

    def forward(self, inputs: Tensor, skip: Tensor) -> Tensor:
        x = self.conv_transpose(inputs)
        x = torch.cat([x, skip], dim=1)
        return self.conv_block(x)


class UNet(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.encoder_block1 = EncoderBlock(in_channels, 16)
        self.encoder_block2 = EncoderBlock(16, 32)
        self.conv_block = ConvBlock(32, 64)
        self.decoder_block1 = DecoderBlock(64, 32, 32)
        self.decoder_block2 = DecoderBlock(32, 16, 16)
        self.conv = nn.Conv2d(16, 1, 1)
        self.apply(init_weights)

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores before the sigmoid, which is what the loss functions of PyTorch expect."""
        s1, p1 = self.encoder_block1(inputs)
        s2, p2 = self.encoder_block2(p1)
        b1 = self.conv_block(p2)
        d1 = self.decoder_block1(b1, s2)
        d2 = self.decoder_block2(d1, s1)
        return self.conv(d2)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(inputs))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
