from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Pyramid(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        feature_channels = {}
        channels = 3
        self.convs = nn.ModuleList()
        for level in range(3):
            self.convs.append(nn.Conv2d(channels, width * 2**level, 3, padding=1))
            channels = width * 2**level
            feature_channels[level] = channels
        self.conv1 = nn.Conv2d(feature_channels[2], width, 1)
        self.conv2 = nn.Conv2d(feature_channels[1], width, 1)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        features = {}
        x = inputs
        for level, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            features[level] = x
            x = F.max_pool2d(x, 2)
        merged = F.interpolate(self.conv1(features[2]), scale_factor=2) + self.conv2(features[1])
        return [merged, features[2]]


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
