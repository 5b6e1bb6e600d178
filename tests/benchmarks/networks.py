"""Networks as a person writes them in PyTorch, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SEQUENCE = (100, 64)
TOKENS, WORDS, WIDTH, HEADS, BLOCKS = 128, 10000, 256, 4, 4


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1),
            nn.BatchNorm2d(4 * width),
        )
        self.shortcut = (
            nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride), nn.BatchNorm2d(4 * width))
            if project
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """ResNet50, first version: the stride is in the first convolution of a block, convolutions have a bias."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            layers.append(Bottleneck(channels, width, stride if number == 0 else 1, number == 0))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000), nn.Softmax(1))


def vgg16() -> nn.Module:
    """VGG16."""
    layers: list[nn.Module] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(7 * 7 * 512, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4096, 1000), nn.Softmax(1))


def unit(channels: int, filters: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution, normalization, ReLU6; in front of a stride Keras pads behind only."""
    pad = [nn.ZeroPad2d((0, 1, 0, 1))] if stride > 1 else []
    padding = 0 if stride > 1 else kernel // 2
    convolution = nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=False)
    return [*pad, convolution, nn.BatchNorm2d(filters, eps=1e-3), nn.ReLU6()]


class Inverted(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = channels * expansion
        layers = unit(channels, width) if expansion > 1 else []
        layers += [*unit(width, width, 3, stride, width), *unit(width, filters)[:2]]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == filters

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2."""
    layers, channels = unit(3, 32, 3, 2), 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, count, stride in rows:
        for number in range(count):
            layers.append(Inverted(channels, filters, stride if number == 0 else 1, expansion))
            channels = filters
    layers += unit(channels, 1280)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000), nn.Softmax(1))


class Excitation(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = F.silu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.expand(scale))


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Drops samples."""
    if not training or not rate:
        return x
    return x * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - rate) / (1 - rate)


class MBConv(nn.Module):
    def __init__(self, channels: int, filters: int, kernel: int, stride: int, expansion: int, drop: float) -> None:
        super().__init__()
        width = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width, eps=1e-3), nn.SiLU()]
        behind = kernel // 2
        pad = [nn.ZeroPad2d((behind - 1, behind, behind - 1, behind))] if stride > 1 else []
        depthwise = nn.Conv2d(width, width, kernel, stride, 0 if stride > 1 else behind, groups=width, bias=False)
        layers += [*pad, depthwise, nn.BatchNorm2d(width, eps=1e-3), nn.SiLU()]
        layers += [Excitation(width, max(1, channels // 4)), nn.Conv2d(width, filters, 1, bias=False)]
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(filters, eps=1e-3))
        self.residual = stride == 1 and channels == filters
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        if not self.residual:
            return self.body(x)
        return x + drop_path(self.body(x), self.drop, self.training)


class Scaled(nn.Module):
    """(x * scale - mean) / deviation for each channel."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale - self.mean) / self.deviation


def efficientnet_b0() -> nn.Module:
    """EfficientNetB0, which scales its images itself."""
    layers: list[nn.Module] = [Scaled(1 / 255), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 32, 3, 2, bias=False)]
    layers += [nn.BatchNorm2d(32, eps=1e-3), nn.SiLU()]
    rows = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    channels, place = 32, 0
    for expansion, filters, count, stride, kernel in rows:
        for number in range(count):
            layers.append(MBConv(channels, filters, kernel, stride if number == 0 else 1, expansion, 0.2 * place / 16))
            channels, place = filters, place + 1
    layers += [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, eps=1e-3), nn.SiLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, nn.Softmax(1))


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels, eps=1.001e-5),
            nn.ReLU(),
            nn.Conv2d(channels, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth, eps=1.001e-5),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet121() -> nn.Module:
    """DenseNet121."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64, eps=1.001e-5), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    channels = 64
    for number, count in enumerate((6, 12, 24, 16)):
        if number:
            layers += [nn.BatchNorm2d(channels, eps=1.001e-5), nn.ReLU()]
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(count):
            layers.append(DenseLayer(channels))
            channels += 32
    layers += [nn.BatchNorm2d(channels, eps=1.001e-5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(channels, 1000), nn.Softmax(1))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.up = nn.Linear(channels, 4 * channels)
        self.down = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext_tiny() -> nn.Module:
    """ConvNeXtTiny, which scales its images itself."""
    layers: list[nn.Module] = [Scaled(1 / 255)]
    channels = 3
    for width, count in ((96, 3), (192, 3), (384, 9), (768, 3)):
        norm = LayerNorm2d(width if channels == 3 else channels, eps=1e-6)
        stride = 4 if channels == 3 else 2
        conv = nn.Conv2d(channels, width, stride, stride)
        layers += [conv, norm] if channels == 3 else [norm, conv]
        layers += [ConvNeXtBlock(width) for _ in range(count)]
        channels = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(768, eps=1e-6), nn.Linear(768, 1000)]
    return nn.Sequential(*layers, nn.Softmax(1))


class TwoLSTM(nn.Module):
    """LSTM(128) twice."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(SEQUENCE[1], 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.lstm(x)
        return torch.softmax(self.head(x[:, -1]), 1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.mlp(x))


class Transformer(nn.Module):
    """A small Transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(BLOCKS)))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.embedding(x)).mean(1)
        return torch.softmax(self.head(x), 1)


BY_HAND = {
    "ResNet50": resnet50,
    "MobileNetV2": mobilenet_v2,
    "VGG16": vgg16,
    "EfficientNetB0": efficientnet_b0,
    "DenseNet121": densenet121,
    "ConvNeXtTiny": convnext_tiny,
    "LSTM": TwoLSTM,
    "Transformer": Transformer,
}
