"""Pooling, global pooling, padding, cropping."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Axes, Index, Value
from k2t.rules.base import Example, example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry
from k2t.rules.padding import output_size, plain, same, to_tuple


def pool(b: Builder, x: Value, rank: int, kind: str, options: dict[str, Any]) -> Value:
    """nn.MaxPoolNd or nn.AvgPoolNd; what "same" adds is never counted."""
    geometry = Geometry(x, rank, options["data_format"])
    kernel = to_tuple(options["pool_size"], rank)
    strides = kernel if options["strides"] is None else to_tuple(options["strides"], rank)
    padding = options["padding"]
    require(padding, ("valid", "same", "theano_same"), "padding")
    if padding == "theano_same":
        return pool_theano(b, x, geometry, kind, kernel, strides)
    arguments: dict[str, Any] = {} if strides == kernel else {"stride": plain(strides)}
    source, call = x, f"nn.{kind}Pool{rank}d"
    if padding == "same":
        sizes = tuple(b.fixed(n) for n in geometry.sizes(x))
        needed = same(sizes, kernel, strides, (1,) * rank)
        small = all(k <= 2 and s >= k for k, s in zip(kernel, strides, strict=True))
        if any(n is not None and n < k for n, k in zip(sizes, kernel, strict=True)):  # PyTorch takes no such window
            call = f"{kind}Pool{rank}dSame"
        elif needed.symmetric is None and (small or (set(strides).isdisjoint({1}) and needed.pairs is not None)):
            arguments |= behind(needed.pairs, small) | {"ceil_mode": True}
        elif needed.symmetric is not None:
            arguments |= {"padding": plain(needed.symmetric)} if any(needed.symmetric) else {}
        else:
            call = f"{kind}Pool{rank}dSame"
        if kind == "Avg" and "padding" in arguments:
            arguments["count_include_pad"] = False
    module = b.module(call, plain(kernel), **arguments)
    sizes_out = tuple(output_size(*axis, padding) for axis in zip(geometry.sizes(x), kernel, strides, strict=True))
    channels = x.shape[geometry.channels]
    return b.call(module, source, shape=geometry.shape(x, sizes_out, channels), layout=geometry.layout)


def pool_theano(
    b: Builder, x: Value, geometry: Geometry, kind: str, kernel: tuple[int, ...], strides: tuple[int, ...]
) -> Value:
    """Pooling with Theano's "same": all of the padding in front, but for one behind where an odd window is above 2."""
    pairs = tuple((k - 2, 1) if k > 2 and k % 2 else (k - 1, 0) for k in kernel)
    sizes = tuple(output_size(*axis, "same") for axis in zip(geometry.sizes(x), kernel, strides, strict=True))
    shape = geometry.shape(x, sizes, x.shape[geometry.channels])
    arguments = {} if strides == kernel else {"stride": plain(strides)}
    module = b.module(f"nn.{kind}Pool{geometry.rank}d", plain(kernel), **arguments)
    padded = geometry.pad(b, x, pairs, float("-inf") if kind == "Max" else 0.0)
    y = b.call(module, padded, shape=shape, layout=geometry.layout)
    if kind == "Max" or padded is x:
        return y
    ones = geometry.pad(b, b.call("torch.ones_like", x), pairs)
    return b.call("/", y, b.call(module, ones, shape=shape, layout=geometry.layout))


def behind(pairs: tuple[tuple[int, int], ...] | None, small: bool) -> dict[str, Any]:
    """The padding before; the odd one behind is what ceil_mode adds."""
    before = () if pairs is None or small else tuple(pair[0] for pair in pairs)
    return {"padding": plain(before)} if any(before) else {}


def pooling(rank: int, kind: str) -> Any:
    """The rule of MaxPoolingND or AveragePoolingND."""

    def translate(
        b: Builder,
        x: Value,
        *,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
    ) -> Value:
        options = {"pool_size": pool_size, "strides": strides, "padding": padding, "data_format": data_format}
        return pool(b, x, rank, kind, options)

    translate.__doc__ = f"nn.{kind}Pool{rank}d."
    return translate


_IMAGE = (9, 8, 7)
for _rank in (1, 2, 3):
    _shape = (*_IMAGE[:_rank], 3)
    _examples = [
        example(_shape, pool_size=2),
        example(_shape, pool_size=2, padding="same"),
        example(_shape, pool_size=3, strides=2, padding="same"),
        example(_shape, pool_size=2, strides=1, padding="same"),
        example(_shape, pool_size=3, strides=1, padding="same"),
        example(_shape, pool_size=4, strides=3, padding="same"),
        example(_shape, pool_size=3, strides=2),
        example((None,) * _rank + (3,), pool_size=3, strides=2, padding="same"),
        example((None,) * _rank + (3,), pool_size=2, padding="same"),
        example((2,) * _rank + (3,), pool_size=3, strides=3, padding="same"),
        example((1,) * _rank + (3,), pool_size=2, padding="same"),
    ]
    rule(f"MaxPooling{_rank}D", examples=_examples)(pooling(_rank, "Max"))
    rule(f"AveragePooling{_rank}D", examples=_examples)(pooling(_rank, "Avg"))


def global_pooling(rank: int, method: str) -> Any:
    """The rule of GlobalMaxPoolingND or GlobalAveragePoolingND."""

    def translate(b: Builder, x: Value, *, data_format: str | None = None, keepdims: bool = False) -> Value:
        geometry = Geometry(x, rank, data_format)
        channels = x.shape[geometry.channels]
        shape = geometry.shape(x, (1,) * rank, channels) if keepdims else (x.shape[0], channels)
        if x.mask is not None and method == ".mean" and rank == 1:
            (steps,) = geometry.spatial
            mean = b.call("masked_mean", x, x.mask, steps, shape=(x.shape[0], channels), layout="keras")
            return b.call(".unsqueeze", mean, steps, shape=shape, layout="keras") if keepdims else mean
        extra: dict[str, Any] = {"keepdim": True} if keepdims else {}
        return b.call(method, x, Axes(geometry.spatial), shape=shape, layout="any" if keepdims else "reduce", **extra)

    translate.__doc__ = f"{method} over the spatial axes."
    return translate


for _rank in (1, 2, 3):
    _shape = (*_IMAGE[:_rank], 3)
    _examples = [example(_shape), example(_shape, keepdims=True), example((None,) * _rank + (3,))]
    rule(f"GlobalMaxPooling{_rank}D", examples=_examples)(global_pooling(_rank, ".amax"))
    if _rank == 1:
        _masked = Example((_shape,), {"keepdims": True}, mask=True)
        _first = Example(((9, 9),), {"data_format": "channels_first"}, mask=True)
        _examples += [Example((_shape,), mask=True), _masked, _first]
    rule(f"GlobalAveragePooling{_rank}D", examples=_examples)(global_pooling(_rank, ".mean"))


def pairs_of(value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Keras's padding or cropping: one number, one for each axis, or (before, after) for each axis."""
    if isinstance(value, int):
        return ((value, value),) * rank
    if rank == 1 and len(value) == 2 and all(isinstance(item, int) for item in value):
        return ((value[0], value[1]),)
    return tuple((item, item) if isinstance(item, int) else (item[0], item[1]) for item in value)


def zero_padding(rank: int) -> Any:
    """The rule of ZeroPaddingND."""

    def translate(b: Builder, x: Value, *, padding: Any = 1, data_format: str | None = None) -> Value:
        return Geometry(x, rank, data_format).pad(b, x, pairs_of(padding, rank))

    translate.__doc__ = "F.pad."
    return translate


def cropping(rank: int) -> Any:
    """The rule of CroppingND."""

    def translate(b: Builder, x: Value, *, cropping: Any = 1, data_format: str | None = None) -> Value:
        geometry = Geometry(x, rank, data_format)
        pairs = pairs_of(cropping, rank)
        sizes = tuple(None if n is None else n - sum(pair) for n, pair in zip(geometry.sizes(x), pairs, strict=True))
        if any(n is not None and n <= 0 for n in sizes):
            raise UntranslatableError(f"cuts {cropping} off {geometry.sizes(x)}, which leaves nothing")
        cuts = dict(zip(geometry.spatial, (slice(before, -after or None) for before, after in pairs), strict=True))
        index = Index(tuple(cuts.get(axis) for axis in range(rank + 2)))
        return b.call("[]", x, index, shape=geometry.shape(x, sizes, x.shape[geometry.channels]))

    translate.__doc__ = "A slice."
    return translate


for _rank in (1, 2, 3):
    _shape = (*_IMAGE[:_rank], 3)
    _pairs = [(1, 2), (0, 1), (2, 0)][:_rank]
    _one: Any = _pairs[0] if _rank == 1 else _pairs
    rule(f"ZeroPadding{_rank}D", examples=[example(_shape), example(_shape, padding=_one)])(zero_padding(_rank))
    rule(f"Cropping{_rank}D", examples=[example(_shape), example(_shape, cropping=_one)])(cropping(_rank))


def adaptive_pooling(rank: int, kind: str) -> Any:
    """The rule of AdaptiveMaxPoolingND or AdaptiveAveragePoolingND."""

    def translate(b: Builder, x: Value, *, output_size: Any, data_format: str | None = None) -> Value:
        geometry, sizes = Geometry(x, rank, data_format), to_tuple(output_size, rank)
        module = b.module(f"nn.Adaptive{kind}Pool{rank}d", plain(sizes))
        shape = geometry.shape(x, sizes, x.shape[geometry.channels])
        return b.call(module, x, shape=shape, layout=geometry.layout)

    translate.__doc__ = f"nn.Adaptive{kind}Pool{rank}d."
    return translate


for _rank in (1, 2, 3):
    _shape = (*_IMAGE[:_rank], 3)
    _uneven: Any = (4, 3, 5)[:_rank] if _rank > 1 else 4
    _examples = [example(_shape, output_size=2), example(_shape, output_size=_uneven)]
    rule(f"AdaptiveMaxPooling{_rank}D", examples=_examples)(adaptive_pooling(_rank, "Max"))
    rule(f"AdaptiveAveragePooling{_rank}D", examples=_examples)(adaptive_pooling(_rank, "Avg"))
