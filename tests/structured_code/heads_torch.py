from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Mix(nn.Module):
    def __init__(self, in_channels: int, width: int, scale: float = 0.5, gate: bool = True) -> None:
        super().__init__()
        self.gate = gate
        self.scale = scale
        if gate:
            self.linear = nn.Linear(in_channels, width)
        else:
            self.conv = nn.Conv2d(in_channels, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate:
            y = F.gelu(self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        else:
            y = self.conv(x)
        return y * self.scale + 1


class Heads(nn.Module):
    def __init__(self, width: int = 4, depth: int = 2) -> None:
        super().__init__()
        channels = 3
        self.mixes = nn.ModuleList()
        for i in range(depth):
            self.mixes.append(Mix(channels, width + i, scale=0.25, gate=False))
            channels = width + i
        self.mix = Mix(channels, width)
        self.gru = nn.GRU(width, 3, batch_first=True)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for mix in self.mixes:
            x = mix(x)
            features.append(x)
        x = self.mix(x)
        x = x.permute(0, 2, 3, 1).reshape(-1, 30, x.shape[1])
        x = self.gru(x)[0][:, -1]
        tensors = [feature.mean((2, 3)) for feature in features]
        return [x] + tensors


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.GRU):
        for name, parameter in module.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)
