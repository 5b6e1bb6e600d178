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


class MaxPool2dSame(nn.MaxPool2d):
    """Maximum with Keras's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride)
        result: Tensor = super().forward(F.pad(x, pads, value=float("-inf")))
        return result


class ConvBn(nn.Module):
    def __init__(self, in_channels: int, filters: int, kernel_size: int, strides: int = 1) -> None:
        super().__init__()
        self.conv = Conv2dSame(in_channels, filters, kernel_size, stride=strides, bias=False)
        self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch_norm(self.conv(x)))


class Inception(nn.Module):
    def __init__(
        self, in_channels: int, f1: int, f3: tuple[int, ...], f5: tuple[int, ...], pool: int
    ) -> None:
        super().__init__()
        self.conv_bn1 = ConvBn(in_channels, f1, 1)
        self.conv_bn2 = ConvBn(in_channels, f3[0], 1)
        self.conv_bn3 = ConvBn(f3[0], f3[1], 3)
        self.conv_bn4 = ConvBn(in_channels, f5[0], 1)
        self.conv_bn5 = ConvBn(f5[0], f5[1], (5, 5))
        self.conv_bn6 = ConvBn(in_channels, pool, 1)
        self.out_channels = f1 + f3[1] + f5[1] + pool

    def forward(self, x: Tensor) -> Tensor:
        branch1 = self.conv_bn1(x)
        branch3 = self.conv_bn3(self.conv_bn2(x))
        branch5 = self.conv_bn4(x)
        branch5 = self.conv_bn5(branch5)
        branch_pool = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        branch_pool = self.conv_bn6(branch_pool)
        return torch.cat([branch1, branch3, branch5, branch_pool], dim=1)


class DenseBlock(nn.Module):
    def __init__(self, in_channels: int, layers_count: int, growth: int) -> None:
        super().__init__()
        channels = in_channels
        self.conv_bns = nn.ModuleList()
        for i in range(layers_count):
            self.conv_bns.append(ConvBn(channels, growth, 3))
            channels = channels + growth
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        for conv_bn in self.conv_bns:
            y = conv_bn(x)
            x = torch.cat([x, y], dim=1)
        return x


class InceptionNet(nn.Module):
    def __init__(self, in_channels: int = 3, classes: int = 5, growth: int = 8) -> None:
        super().__init__()
        self.conv_bn = ConvBn(in_channels, 16, 7, strides=2)
        self.max_pool = MaxPool2dSame(3, stride=2)
        self.inception = Inception(16, 8, (4, 8), (2, 4), 4)
        self.dense_block = DenseBlock(self.inception.out_channels, 3, growth)
        channels = self.dense_block.out_channels
        self.linear = nn.Linear(channels, classes)
        self.apply(init_weights)

    def forward(self, img: Tensor) -> Tensor:
        x = self.max_pool(self.conv_bn(img))
        x = self.inception(x)
        x = self.dense_block(x).mean((2, 3))
        return self.linear(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
