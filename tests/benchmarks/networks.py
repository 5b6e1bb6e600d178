"""Three networks of keras.applications as a person writes them in PyTorch, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1),
            nn.BatchNorm2d(4 * width),
        )
        self.shortcut = (
            nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride), nn.BatchNorm2d(4 * width))
            if project
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """ResNet50, first version: the stride is in the first convolution of a block, convolutions have a bias."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            layers.append(Bottleneck(channels, width, stride if number == 0 else 1, number == 0))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000), nn.Softmax(1))


def unit(channels: int, filters: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution, normalization, ReLU6; in front of a stride Keras pads behind only."""
    pad = [nn.ZeroPad2d((0, 1, 0, 1))] if stride > 1 else []
    padding = 0 if stride > 1 else kernel // 2
    convolution = nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=False)
    return [*pad, convolution, nn.BatchNorm2d(filters, eps=1e-3), nn.ReLU6()]


class Inverted(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels * expansion
        layers = unit(channels, width) if expansion > 1 else []
        layers += [*unit(width, width, 3, stride, width), *unit(width, filters)[:2]]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == filters

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2."""
    layers, channels = unit(3, 32, 3, 2), 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, count, stride in rows:
        for number in range(count):
            layers.append(Inverted(channels, filters, stride if number == 0 else 1, expansion))
            channels = filters
    layers += unit(channels, 1280)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000), nn.Softmax(1))


def vgg16() -> nn.Module:
    """VGG16."""
    layers: list[nn.Module] = []
    channels = 3
    for filters in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()] if filters else [nn.MaxPool2d(2)]
        channels = filters or channels
    head = [nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000), nn.Softmax(1)]
    return nn.Sequential(*layers, nn.Flatten(), *head)
