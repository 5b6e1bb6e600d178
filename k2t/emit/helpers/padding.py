"""Keras's "same" padding where PyTorch has none."""

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


class Conv1dSame(nn.Conv1d):
    """Convolution with Keras's "same" padding, for inputs of any size."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, pads))


class MaxPool1dSame(nn.MaxPool1d):
    """Maximum with Keras's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride)
        result: Tensor = super().forward(F.pad(x, pads, value=float("-inf")))
        return result


class AvgPool1dSame(nn.AvgPool1d):
    """Average with Keras's "same" padding, which does not count what is added."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride)
        count = super().forward(F.pad(torch.ones_like(x[:1, :1]), pads))
        return super().forward(F.pad(x, pads)) / count


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


class AvgPool2dSame(nn.AvgPool2d):
    """Average with Keras's "same" padding, which does not count what is added."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride)
        count = super().forward(F.pad(torch.ones_like(x[:1, :1]), pads))
        return super().forward(F.pad(x, pads)) / count


class Conv3dSame(nn.Conv3d):
    """Convolution with Keras's "same" padding, for inputs of any size."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, pads))


class MaxPool3dSame(nn.MaxPool3d):
    """Maximum with Keras's "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride)
        result: Tensor = super().forward(F.pad(x, pads, value=float("-inf")))
        return result


class AvgPool3dSame(nn.AvgPool3d):
    """Average with Keras's "same" padding, which does not count what is added."""

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x, self.kernel_size, self.stride)
        count = super().forward(F.pad(torch.ones_like(x[:1, :1]), pads))
        return super().forward(F.pad(x, pads)) / count


def pad_same(x: Tensor, kernel: Sizes, stride: Sizes, dilation: Sizes = 1) -> Tensor:
    """Keras's "same" padding with zeros."""
    return F.pad(x, same_padding(x, kernel, stride, dilation))
