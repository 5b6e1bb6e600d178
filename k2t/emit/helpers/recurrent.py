"""Recurrent layers that PyTorch lacks: other activations, dropout between steps, masks, states."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LockedDropout(nn.Dropout):
    """Dropout that drops the same features at every step; the steps are axis `dim`."""

    def forward(self, x: Tensor, dim: int = 1) -> Tensor:
        return x * F.dropout(torch.ones_like(x.narrow(dim, 0, 1)), self.p, self.training)


class RecurrentLoop(nn.RNNBase):
    """A loop over the steps of (N, T, C), with the weights of nn.LSTM, nn.GRU or nn.RNN.

    A step where `mask` (N, T) is False keeps the states and repeats the output, at first 0.
    """

    kind = "RNN_TANH"
    num_states = 1
    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__(self.kind, input_size, hidden_size, bias=bias, batch_first=True)
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.recurrent_dropout = recurrent_dropout

    def step(
        self, x: Tensor, states: tuple[Tensor, ...], kept: Tensor | None
    ) -> tuple[Tensor, ...]:
        """The next states, the first of which is the output, from the projected input."""
        return (self.activation(x + self.recur(states[0], kept)),)

    def recur(self, h: Tensor, kept: Tensor | None, rows: slice = slice(None)) -> Tensor:
        """`h` (N, H) times the weights.

        Of some gates these are `rows`.

        Their dropout is `kept` (gates, N, H).
        """
        weight = self.weight_hh_l0[rows]
        bias = self.bias_hh_l0[rows] if self.bias else None
        if kept is None:
            return F.linear(h, weight, bias)
        gates = weight.view(kept.shape[0], -1, h.shape[1])
        product = torch.einsum("gnh,gkh->ngk", h * kept, gates).flatten(1)
        return product if bias is None else product + bias

    def forward(
        self, x: Tensor, initial: tuple[Tensor, ...] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        zeros = x.new_zeros(x.shape[0], self.hidden_size)
        states = (zeros,) * self.num_states if initial is None else initial
        kept = None
        if self.training and self.recurrent_dropout:
            gates = self.weight_hh_l0.shape[0] // self.hidden_size
            kept = F.dropout(x.new_ones(gates, *zeros.shape), self.recurrent_dropout)
        projected = F.linear(x, self.weight_ih_l0, self.bias_ih_l0 if self.bias else None)
        outputs = [zeros]
        for t in range(x.shape[1]):
            new = self.step(projected[:, t], states, kept)
            if mask is None:
                outputs.append(new[0])
                states = new
            else:
                valid = mask[:, t, None]
                outputs.append(torch.where(valid, new[0], outputs[-1]))
                states = tuple(torch.where(valid, *pair) for pair in zip(new, states, strict=True))
        return torch.stack(outputs[1:], dim=1), states


class LoopRNN(RecurrentLoop):
    """nn.RNN as a loop."""


class LoopLSTM(RecurrentLoop):
    """nn.LSTM as a loop."""

    kind = "LSTM"
    num_states = 2

    def step(
        self, x: Tensor, states: tuple[Tensor, ...], kept: Tensor | None
    ) -> tuple[Tensor, ...]:
        h, c = states
        i, f, g, o = (x + self.recur(h, kept)).chunk(4, dim=1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        return self.recurrent_activation(o) * self.activation(c), c


class LoopGRU(RecurrentLoop):
    """nn.GRU as a loop."""

    kind = "GRU"

    def step(
        self, x: Tensor, states: tuple[Tensor, ...], kept: Tensor | None
    ) -> tuple[Tensor, ...]:
        (h,) = states
        hidden = self.recur(h, kept)
        size = 2 * self.hidden_size
        r, z = self.recurrent_activation(x[:, :size] + hidden[:, :size]).chunk(2, dim=1)
        n = self.activation(x[:, size:] + r * hidden[:, size:])
        return ((1 - z) * n + z * h,)


class ResetBeforeGRU(RecurrentLoop):
    """A GRU whose reset gate acts on the state before the product, as in Cho et al. (2014)."""

    kind = "GRU"

    def step(
        self, x: Tensor, states: tuple[Tensor, ...], kept: Tensor | None
    ) -> tuple[Tensor, ...]:
        (h,) = states
        size = 2 * self.hidden_size
        gates_kept, state_kept = (None, None) if kept is None else (kept[:2], kept[2:])
        gates = x[:, :size] + self.recur(h, gates_kept, slice(size))
        r, z = self.recurrent_activation(gates).chunk(2, dim=1)
        n = self.activation(x[:, size:] + self.recur(r * h, state_kept, slice(size, None)))
        return ((1 - z) * n + z * h,)


def valid_first(x: Tensor, mask: Tensor) -> Tensor:
    """The steps of (N, T, C) where `mask` (N, T) is True come first, in their order."""
    order = mask.logical_not().int().argsort(dim=1, stable=True)
    return x.gather(1, order[:, :, None].expand_as(x))


def at_valid(x: Tensor, mask: Tensor) -> Tensor:
    """Undoes `valid_first`; a step that is not valid has what the last valid one before it has."""
    count = mask.cumsum(dim=1)[:, :, None]
    return x.gather(1, (count - 1).clamp(min=0).expand_as(x)) * (count > 0)


def last_valid(x: Tensor, mask: Tensor) -> Tensor:
    """The last valid step, of steps in the order of `valid_first`; zeros where none is valid."""
    count = mask.sum(dim=1)[:, None, None]
    last = (count - 1).clamp(min=0).expand_as(x[:, :1])
    return (x.gather(1, last) * (count > 0))[:, 0]


class RecurrentState(nn.Module):
    """The states that a stateful layer keeps from one call to the next; zeros at first."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.names = [f"state{i}" for i in range(len(shapes))]
        for name, shape in zip(self.names, shapes, strict=True):
            self.register_buffer(name, torch.zeros(shape), persistent=False)

    def forward(self, *new: Tensor) -> tuple[Tensor, ...]:
        """The states; those given are kept first."""
        for name, state in zip(self.names, new, strict=False):
            self.get_buffer(name).copy_(state.detach())
        return tuple(self.get_buffer(name).clone() for name in self.names)

    def reset(self) -> None:
        """Zeros again."""
        for name in self.names:
            self.get_buffer(name).zero_()


class ConvLSTM(nn.Module):
    """An LSTM over images (N, C, T, ...), whose matrix products are convolutions.

    Args:
        conv: the class of the convolutions.
        time_dim: the axis of the steps, counted with the channels.
    """

    def __init__(
        self,
        conv: type[nn.Conv1d | nn.Conv2d | nn.Conv3d],
        in_channels: int,
        filters: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        time_dim: int = 2,
    ) -> None:
        super().__init__()
        gates = 4 * filters
        self.input_conv = conv(
            in_channels, gates, kernel_size, stride, padding, dilation, bias=bias
        )
        self.recurrent_conv = conv(filters, gates, kernel_size, padding="same", bias=False)
        self.filters = filters
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.time_dim = time_dim

    def gates(self, conv: nn.Module, x: Tensor, kept: Tensor | None) -> Tensor:
        """The four gates.

        Each has a dropout of its own in `kept`.
        """
        if kept is None:
            product: Tensor = conv(x)
            return product
        return torch.cat([conv(x * kept[i]).chunk(4, dim=1)[i] for i in range(4)], dim=1)

    def keep(self, x: Tensor, rate: float) -> Tensor | None:
        """What dropout leaves of `x`, for each gate."""
        return F.dropout(x.new_ones(4, *x.shape), rate) if self.training else None

    def forward(
        self, x: Tensor, initial: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        frames = x.unbind(self.time_dim)
        if initial is None:
            h = c = torch.zeros_like(self.input_conv(frames[0])[:, : self.filters])
        else:
            h, c = initial
        kept = self.keep(frames[0], self.dropout) if self.dropout else None
        state_kept = self.keep(h, self.recurrent_dropout) if self.recurrent_dropout else None
        outputs = []
        for frame in frames:
            gates = self.gates(self.input_conv, frame, kept) + self.gates(
                self.recurrent_conv, h, state_kept
            )
            i, f, g, o = gates.chunk(4, dim=1)
            c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            h = self.recurrent_activation(o) * self.activation(c)
            outputs.append(h)
        return torch.stack(outputs, dim=self.time_dim), (h, c)
