from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sizes = int | tuple[int, ...]


def same_padding(x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes = 1) -> list[int]:
    """Padding for F.pad, as Keras computes it from the size of `x`: an odd one goes behind."""
    pads: list[int] = []
    rank = x.ndim - 2
    options = [(n,) * rank if isinstance(n, int) else n for n in (kernel, stride, dilation)]
    for size, k, s, d in reversed(list(zip(x.shape[2:], *options, strict=True))):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return pads


class Conv2dSame(nn.Conv2d):
    """Convolution with Keras's "same" padding, for inputs of any size."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, pads))


class ConvBn(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, kernel_size, padding="same", bias=False)
        self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch_norm(self.conv(x)))


class ConvBn1(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel_size: int, strides: int) -> None:
        super().__init__()
        self.conv = Conv2dSame(in_channels, filters, kernel_size, stride=strides, bias=False)
        self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch_norm(self.conv(x)))


class ConvBnTanh(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, kernel_size, padding="same", bias=False)
        self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.batch_norm(self.conv(x)))


class Residual(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel_size: int, strides: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 1, stride=strides)
        self.conv_bn = ConvBn1(in_channels, filters, kernel_size, strides=strides)
        self.conv_bn_tanh = ConvBnTanh(filters, filters, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.conv(x)
        x = self.conv_bn(x)
        return self.conv_bn_tanh(x) + shortcut


class Stars(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv_bn = ConvBn(3, width, 5)
        self.residual1 = Residual(width, width * 2, 3, strides=2)
        self.residual2 = Residual(width * 2, width * 4, 3, strides=2)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.conv_bn(inputs)
        x = self.residual1(x)
        return self.residual2(x).mean((2, 3))


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
