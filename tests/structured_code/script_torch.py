from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

NUM_CLASSES = 7


class ScriptKeras(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.linear = nn.Linear(648, NUM_CLASSES)
        self.apply(init_weights)

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores before the softmax, which is what the loss functions of PyTorch expect."""
        # halve the resolution
        x = F.max_pool2d(F.relu(self.conv(inputs)), 2)
        return self.linear(x.flatten(1))

    def forward(self, inputs: Tensor) -> Tensor:
        return F.softmax(self.logits(inputs), dim=1)


def init_weights(module: nn.Module) -> None:
    """Start training from where Keras does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
