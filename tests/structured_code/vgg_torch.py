from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

CONFIG = [(64, 2), (128, 2), (256, 3)]


class VGG(nn.Module):
    def __init__(
        self,
        input_shape: tuple[int, ...] = (32, 32, 3),
        num_classes: int = 10,
        dense_units: tuple[int, ...] = (256, 128),
    ) -> None:
        super().__init__()
        channels = input_shape[2]
        self.convs = nn.ModuleList()
        for filters, repeats in CONFIG:
            convs = nn.ModuleList()
            for _ in range(repeats):
                convs.append(nn.Conv2d(channels, filters, 3, padding=1))
                channels = filters
            self.convs.append(convs)
            channels = filters
        channels = input_shape[0] // 2 // 2 // 2 * (input_shape[1] // 2 // 2 // 2) * channels
        self.linears = nn.ModuleList()
        self.dropout = nn.Dropout(0.5)
        for units in dense_units:
            self.linears.append(nn.Linear(channels, units))
            channels = units
        self.linear = nn.Linear(channels, num_classes)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        for convs in self.convs:
            for conv in convs:
                x = F.relu(conv(x))
            x = F.max_pool2d(x, 2)
        x = x.flatten(1)
        for linear in self.linears:
            x = self.dropout(F.relu(linear(x)))
        return self.linear(x)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
