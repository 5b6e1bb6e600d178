from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """Convolution, normalization, activation."""

    def __init__(self, in_channels: int, filters: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 3, stride=stride, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, inputs: Tensor) -> Tensor:
        # normalize what the convolution gives
        return F.relu(self.norm(self.conv(inputs)))


class Classifier(nn.Module):
    def __init__(self, in_channels: int, num_classes: int = 4, width: int = 6) -> None:
        super().__init__()
        self.stem = ConvBlock(in_channels, width, stride=2)
        self.body = ConvBlock(width, width * 2)
        self.head = nn.Linear(width * 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x)).mean((2, 3))
        return F.softmax(self.head(x), dim=1)


class ClassifierNet(nn.Module):
    def __init__(self, num_classes: int = 4, width: int = 6) -> None:
        super().__init__()
        self.classifier = Classifier(3, num_classes, width)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(image)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
