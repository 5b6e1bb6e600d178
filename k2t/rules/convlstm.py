"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: an LSTM over images, whose products are convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Code, LayoutKind, Module, Pads, Value
from k2t.rules.base import example, require, size
from k2t.rules.builder import Builder
from k2t.rules.callables import function_of
from k2t.rules.convolution import kernel_first
from k2t.rules.padding import output_size, padding_of, plain, to_tuple
from k2t.rules.recurrent import STATES, recurrent
from k2t.rules.sequences import Given, Loop, backwards, check_count, keep_states, kept_states


@dataclass(frozen=True, kw_only=True)
class ConvLoop(Loop):
    """How a convolutional LSTM goes over the steps, and what it computes at each.

    Attributes:
        rank: number of spatial axes.
        options: the options of the convolution of the input, as Keras names them.
    """

    rank: int
    options: dict[str, Any]

    @property
    def first(self) -> bool:
        """Whether Keras has the channels in front of the spatial axes."""
        return bool(self.options["data_format"] == "channels_first")

    @property
    def layout(self) -> LayoutKind:
        """How the module sees the tensors: (N, C, T, ...), or (N, T, C, ...) as Keras itself where it has it so."""
        return "keras" if self.first else "first"

    def run(self, b: Builder, call: Given, role: str = "") -> tuple[Value, tuple[Value, ...]]:
        """The output and the last states."""
        if call.mask is not None:
            raise UntranslatableError("is given a mask, which has no translation for images")
        x = backwards(b, call.x) if self.go_backwards else call.x
        state = Value(self.state_shape(x), x.dtype)
        first = call.states
        if self.stateful and not first:
            first = kept_states(b, (state, state), role, self.layout)
        check_count(first, 2)
        source, module = self.module(b, x, role)
        sequence = b.value((*x.shape[:2], *state.shape[1:]), x.dtype)
        final = (b.value(state.shape, x.dtype), b.value(state.shape, x.dtype))
        b.calls(module, source, *([first] if first else []), outputs=(sequence, final), layout=self.layout)
        if self.stateful:
            keep_states(b, final, role, self.layout)
        return (sequence if self.return_sequences else final[0]), final

    def axes(self) -> range:
        """The spatial axes of the input."""
        return range(3, 3 + self.rank) if self.first else range(2, 2 + self.rank)

    def option(self, name: str) -> tuple[int, ...]:
        """An option that has a number for each spatial axis."""
        return to_tuple(self.options[name], self.rank)

    def state_shape(self, x: Value) -> tuple[int | None, ...]:
        """The shape of a state, in Keras's order."""
        if x.rank != self.rank + 3:
            raise UntranslatableError(f"needs an input of {self.rank + 3} axes, has {x.shape}")
        names = ("kernel_size", "strides")
        settings = zip(*(self.option(name) for name in names), self.option("dilation_rate"), strict=True)
        sizes = [
            output_size(x.shape[axis], kernel, stride, self.options["padding"], dilation)
            for axis, (kernel, stride, dilation) in zip(self.axes(), settings, strict=True)
        ]
        filters = self.options["filters"]
        return (x.shape[0], filters, *sizes) if self.first else (x.shape[0], *sizes, filters)

    def module(self, b: Builder, x: Value, role: str) -> tuple[Value, Module]:
        """The input, padded where the convolution cannot, and the module."""
        channels = size(x, 2 if self.first else -1)
        kernel_size, filters = self.option("kernel_size"), self.options["filters"]
        kernel = b.variable("cell/kernel", (*kernel_size, channels, 4 * filters))
        recurrent_kernel = b.variable("cell/recurrent_kernel", (*kernel_size, filters, 4 * filters))
        bias = b.variable("cell/bias", (4 * filters,)) if self.options["use_bias"] else None
        source, padding = self.padded(b, x)
        module = b.module(
            "ConvLSTM",
            Code(self.convolution()),
            channels,
            filters,
            plain(kernel_size),
            role=role,
            weights={
                "input_conv.weight": b.weight(kernel, transform=kernel_first),
                "input_conv.bias": b.weight(bias) if bias else None,
                "recurrent_conv.weight": b.weight(recurrent_kernel, transform=kernel_first),
            },
            **padding,
            **self.settings(b),
        )
        return source, module

    def convolution(self) -> str:
        """The class of both convolutions; that of the states always has the padding "same"."""
        padding = self.options["recurrent_padding"]
        require(padding, ("same", "theano_same"), "recurrent_padding")
        return f"nn.Conv{self.rank}d" if padding == "same" else f"TheanoConv{self.rank}d"

    def padded(self, b: Builder, x: Value) -> tuple[Value, dict[str, Any]]:
        """Keras's padding as an option of the convolution, or by F.pad."""
        padding, kernel_size, strides = self.options["padding"], self.option("kernel_size"), self.option("strides")
        require(padding, ("valid", "same", "theano_same"), "padding")
        if padding == "same" and set(strides) == {1}:
            return x, {"padding": "same"}
        sizes = [b.fixed(x.shape[axis]) for axis in self.axes()]
        needed = padding_of(padding, sizes, kernel_size, strides, self.option("dilation_rate"))
        if needed.pairs is None:
            raise UntranslatableError("padding='same' with strides needs known sizes")
        if not any(needed.symmetric or (1,)):
            return x, {}
        by_axis = dict(zip(self.axes(), needed.pairs, strict=True))
        pads = Pads(tuple(by_axis.get(axis, (0, 0)) for axis in range(x.rank)))
        shape = tuple(None if n is None else n + sum(by_axis.get(axis, (0, 0))) for axis, n in enumerate(x.shape))
        return b.call("F.pad", x, pads, shape=shape), {}

    def settings(self, b: Builder) -> dict[str, Any]:
        """The other arguments of the module, where they are not the defaults."""
        options = self.options
        found: dict[str, Any] = {}
        for name, torch_name in (("strides", "stride"), ("dilation_rate", "dilation")):
            if set(self.option(name)) != {1}:
                found[torch_name] = plain(self.option(name))
        if not options["use_bias"]:
            found["bias"] = False
        for name, default in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
            if options[name] != default:
                found[name] = function_of(b, options[name])
        found |= {name: options[name] for name in ("dropout", "recurrent_dropout") if options[name]}
        return found | ({"time_dim": 1} if self.first else {})


def conv_lstm(
    *,
    rank: int,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    unit_forget_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    recurrent_padding: str = "same",
) -> ConvLoop:
    """A local module with two convolutions: of the input, and of the state.

    `recurrent_padding` is the reader's word for what an old backend did with the states.
    """
    require(data_format, (None, "channels_last", "channels_first"), "data_format")
    convolution = {
        "filters": filters,
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "recurrent_padding": recurrent_padding,
        "data_format": data_format,
        "dilation_rate": dilation_rate,
        "use_bias": use_bias,
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "dropout": dropout,
        "recurrent_dropout": recurrent_dropout,
    }
    return ConvLoop(
        cells=(),
        rank=rank,
        options=convolution,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        stateful=stateful,
    )


_IMAGE = (7, 6, 5)
_SAME = {"filters": 3, "kernel_size": 3, "padding": "same"}
for _rank in (1, 2, 3):
    _shape = (4, *_IMAGE[:_rank], 2)
    recurrent(
        f"ConvLSTM{_rank}D",
        [
            example(_shape, filters=3, kernel_size=3, dilation_rate=2, activation="relu"),
            example(_shape, filters=3, kernel_size=2, strides=2, padding="same", use_bias=False),
            example(_shape, **_SAME, go_backwards=True, recurrent_dropout=0.3, **STATES),
            example((4, 2, *_IMAGE[:_rank]), **_SAME, data_format="channels_first", return_sequences=True),
        ],
    )(partial(conv_lstm, rank=_rank))
