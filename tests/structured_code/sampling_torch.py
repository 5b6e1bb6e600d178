from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

latent_dim = 3


class AttentionGate(nn.Module):
    """Lets through what the gate finds important (Oktay et al. 2018)."""

    def __init__(self, in_channels: int, gate_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.conv2 = nn.Conv2d(gate_channels, width, 1)
        self.conv3 = nn.Conv2d(width, 1, 1)
        self.conv4 = nn.Conv2d(in_channels, in_channels, 1)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        theta = self.conv1(x)
        phi = F.interpolate(self.conv2(gate), scale_factor=2)
        psi = torch.sigmoid(self.conv3(theta + phi))
        return self.conv4(x * psi)


class Sampling(nn.Module):
    """Draws from the distribution that the encoder tells."""

    def forward(self, inputs: list[Tensor]) -> Tensor:
        mean, log_var = inputs
        return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)


class Encoder(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.attention_gate = AttentionGate(width, width, width)
        self.mean = nn.Linear(width, latent_dim)
        self.log_var = nn.Linear(width, latent_dim)
        self.sampling = Sampling()
        self.apply(init_weights)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        x = F.relu(self.conv(inputs))
        gate = F.max_pool2d(x, 2)
        x = self.attention_gate(x, gate).amax((2, 3))
        mean = self.mean(x)
        log_var = self.log_var(x)
        return [mean, log_var, self.sampling([mean, log_var])]


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
