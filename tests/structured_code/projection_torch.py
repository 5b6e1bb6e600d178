from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, in_channels: int, filters: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.has_conv1 = stride != 1 or in_channels != filters
        if self.has_conv1:
            self.conv1 = nn.Conv2d(in_channels, filters, 1, stride=stride)
            self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)
        self.conv2 = nn.Conv2d(in_channels, filters, 3, padding=1)
        if stride > 1:
            self.max_pool = nn.MaxPool2d(stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.has_conv1:
            shortcut = self.batch_norm(self.conv1(x))
        x = F.relu(self.conv2(x))
        if self.stride > 1:
            x = self.max_pool(x)
        return x + shortcut


class ResNet(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.block1 = Block(4, width)
        self.block2 = Block(width, width * 2, 2)
        self.block3 = Block(width * 2, width * 2)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.block1(inputs)
        x = self.block2(x)
        return self.block3(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
