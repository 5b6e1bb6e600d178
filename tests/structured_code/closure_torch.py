from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class BnReluConv(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(in_channels, eps=0.001, momentum=0.01)
        self.conv = nn.Conv2d(in_channels, filters, kernel_size, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.batch_norm(x))
        return self.conv(x)


class Closure(nn.Module):
    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.bn_relu_conv1 = BnReluConv(2, width)
        self.bn_relu_conv2 = BnReluConv(width, width * 2, kernel_size=1)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.bn_relu_conv1(inputs)
        return self.bn_relu_conv2(x).amax((2, 3))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
