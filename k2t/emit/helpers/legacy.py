"""Layers that only older releases of Keras had."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyConnected2d(nn.Module):
    """A convolution with weights of its own at each of the `size` places."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int],
        kernel_size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.kernel_size, self.stride = size, kernel_size, stride
        fan_in = in_channels * kernel_size[0] * kernel_size[1]
        self.weight = nn.Parameter(
            torch.randn(size[0] * size[1], fan_in, out_channels) / fan_in**0.5
        )
        self.bias = nn.Parameter(torch.zeros(out_channels, *size)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, self.kernel_size, stride=self.stride)
        y = torch.einsum("nil,lio->nol", patches, self.weight).reshape(x.shape[0], -1, *self.size)
        return y if self.bias is None else y + self.bias


class LocallyConnected1d(LocallyConnected2d):
    """The same for sequences, as images of height 1."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(2)).squeeze(2)


class TheanoConv2d(nn.Conv2d):
    """A convolution whose "same" is Theano's: for an even kernel, more padding in front."""

    def forward(self, x: Tensor) -> Tensor:
        if self.padding != "same":
            return super().forward(x)
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        pads = [pad for n in reversed(reach) for pad in (n // 2, n - 1 - n // 2)]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation)


def srelu(x: Tensor, t_left: Tensor, a_left: Tensor, t_right: Tensor, a_right: Tensor) -> Tensor:
    """S-shaped ReLU: x between its thresholds, with other slopes beyond them."""
    width = t_right.abs()
    z = x - t_left
    return (
        t_left + torch.minimum(F.relu(z), width) - a_left * F.relu(-z) + a_right * F.relu(z - width)
    )


def srelu_theano(
    x: Tensor, t_left: Tensor, a_left: Tensor, t_right: Tensor, a_right: Tensor
) -> Tensor:
    """The same as Theano computed it: what a negative left slope makes positive is limited too."""
    width = t_right.abs()
    z = x - t_left
    return (
        t_left
        + torch.minimum(torch.where(z > 0, z, a_left * z), width)
        + a_right * F.relu(z - width)
    )


def keras2_hard_sigmoid(x: Tensor) -> Tensor:
    """What Keras 1 and 2 call hard_sigmoid; PyTorch's is x / 6 + 0.5, between 0 and 1."""
    return torch.clamp(0.2 * x + 0.5, 0, 1)
