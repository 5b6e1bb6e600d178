from __future__ import annotations

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


class Downsample(nn.Module):
    def __init__(
        self, in_channels: int, filters: int, size: int, apply_batchnorm: bool = True
    ) -> None:
        super().__init__()
        self.apply_batchnorm = apply_batchnorm
        self.conv = Conv2dSame(in_channels, filters, size, stride=2, bias=False)
        if apply_batchnorm:
            self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.apply_batchnorm:
            x = self.batch_norm(x)
        return F.relu(x)


class Encoder(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.downsample1 = Downsample(3, width, 4, apply_batchnorm=False)
        self.downsample2 = Downsample(width, width * 2, 4)
        self.downsample3 = Downsample(width * 2, width * 4, 4)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.downsample1(inputs)
        x = self.downsample2(x)
        return self.downsample3(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
