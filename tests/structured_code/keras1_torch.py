from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Fire(nn.Module):
    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, squeeze, 1)
        self.conv2 = nn.Conv2d(squeeze, expand, 1)
        self.conv3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        left = F.relu(self.conv2(x))
        right = F.relu(self.conv3(x))
        return torch.cat([left, right], dim=1)


class SqueezeNet(nn.Module):
    def __init__(self, nb_classes: int = 5, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, bias=False)
        channels = 8
        self.fires = nn.ModuleList()
        for i in range(2):
            self.fires.append(Fire(channels, width, width * 4))
            channels = width * 4 + width * 4
        self.batch_norm = nn.BatchNorm2d(width * 4 + width * 4, eps=0.001, momentum=0.01)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(16 * (width * 4 + width * 4), nb_classes)
        self.apply(init_weights)

    def logits(self, image: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        x = F.max_pool2d(F.relu(self.conv(image)), 2)
        for fire in self.fires:
            x = fire(x)
        x = self.dropout(self.batch_norm(x).flatten(1))
        return self.linear(x)

    def forward(self, image: Tensor) -> Tensor:
        return F.softmax(self.logits(image), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
