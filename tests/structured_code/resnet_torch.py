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


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(
        self, in_channels: int, filters: int, stride: int = 1, conv_shortcut: bool = False
    ) -> None:
        super().__init__()
        self.conv_shortcut = conv_shortcut
        if conv_shortcut:
            # match the channels of the sum
            self.conv1 = nn.Conv2d(in_channels, filters, 1, stride=stride, bias=False)
            self.batch_norm1 = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)
        self.conv2 = Conv2dSame(in_channels, filters, 3, stride=stride, bias=False)
        self.batch_norm2 = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)
        self.conv3 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.batch_norm3 = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.conv_shortcut:
            shortcut = self.batch_norm1(self.conv1(x))
        x = F.relu(self.batch_norm2(self.conv2(x)))
        return F.relu(self.batch_norm3(self.conv3(x)) + shortcut)


class Stage(nn.Module):
    def __init__(self, in_channels: int, filters: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.residual_block = ResidualBlock(in_channels, filters, stride=stride, conv_shortcut=True)
        self.residual_blocks = nn.ModuleList()
        for _ in range(blocks - 1):
            self.residual_blocks.append(ResidualBlock(filters, filters))

    def forward(self, x: Tensor) -> Tensor:
        x = self.residual_block(x)
        for residual_block in self.residual_blocks:
            x = residual_block(x)
        return x


class ResNet(nn.Module):
    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        depths: tuple[int, ...] = (2, 2),
        width: int = 16,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1)
        channels = width
        self.stages = nn.ModuleList()
        for i, depth in enumerate(depths):
            self.stages.append(Stage(channels, width * 2**i, depth, stride=1 if i == 0 else 2))
            channels = width * 2**i
        self.dropout = nn.Dropout(0.3)
        self.linear = nn.Linear(channels, classes)
        self.apply(init_weights)

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        x = self.conv(inputs)
        for stage in self.stages:
            x = stage(x)
        x = self.dropout(x.mean((2, 3)))
        return self.linear(x)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.softmax(self.logits(inputs), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
