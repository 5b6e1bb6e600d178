from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(
        self, in_channels: int, filters: int, use_bn: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.use_bn = use_bn
        self.dropout = dropout
        self.conv = nn.Conv2d(in_channels, filters, 3, padding=1, bias=not use_bn)
        if use_bn:
            self.batch_norm = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)
        if dropout > 0:
            self.dropout1 = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.use_bn:
            x = self.batch_norm(x)
        x = F.relu(x)
        if self.dropout > 0:
            x = self.dropout1(x)
        return x


class Configured(nn.Module):
    def __init__(
        self,
        input_shape: tuple[int, ...] = (28, 28, 1),
        num_classes: int = 10,
        use_bn: bool = True,
        dropout: float = 0.2,
        include_top: bool = True,
    ) -> None:
        super().__init__()
        self.include_top = include_top
        self.block1 = Block(input_shape[2], 32, use_bn)
        self.block2 = Block(32, 64, use_bn, dropout)
        if include_top:
            self.linear1 = nn.Linear(
                input_shape[0] // 2 // 2 * (input_shape[1] // 2 // 2) * 64, 128
            )
            self.linear2 = nn.Linear(128, num_classes)
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.max_pool2d(self.block1(inputs), 2)
        x = F.max_pool2d(self.block2(x), 2)
        if self.include_top:
            x = F.relu(self.linear1(x.flatten(1)))
            x = F.softmax(self.linear2(x), dim=1)
        return x


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
