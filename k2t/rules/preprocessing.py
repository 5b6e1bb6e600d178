"""Layers that prepare data: chains of them, contrast, crops; what only data pipelines have is refused."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Layer
from k2t.program import Axes, Value
from k2t.rules.augmentation import in_range
from k2t.rules.base import example, refuse, rule
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry

CHAIN = [("Rescaling", {"scale": 2.0}), ("Dense", {"units": 2}), ("Dense", {"units": 3})]


@rule("Pipeline", examples=[example((4, 3), layers=CHAIN)])
def pipeline(b: Builder, x: Any, *, layers: list[Layer], training: bool | None = None, mask: Any = None) -> Any:
    """One layer after the other."""
    for layer in layers:
        x = b.apply(layer, x, key=layer.path)
    return x


@rule(
    "AutoContrast", examples=[example((6, 5, 3)), example((3, 6, 5), value_range=[0, 1], data_format="channels_first")]
)
def auto_contrast(
    b: Builder,
    x: Value,
    *,
    value_range: Any = (0, 255),
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local function: .amin and .amax over axes 1 and 2, which Keras does whatever the data format."""
    if "float" not in x.dtype:
        raise UntranslatableError(f"has an input of dtype {x.dtype}; only floating point images are supported yet")
    Geometry(x, 2, None)
    limits = {} if list(value_range) == [0, 255] else dict(zip(("low", "high"), value_range, strict=True))
    return b.call("auto_contrast", x, Axes((1, 2)), shape=x.shape, **limits)


@rule(
    "ContrastLimitedAdaptiveHistogramEqualization",
    examples=[
        example((16, 24, 3)),
        example((7, 11, 3), tile_grid_size=[2, 3], clip_limit=1.5),
        example((3, 8, 8), value_range=[0, 1], tile_grid_size=[2, 2], clip_limit=0.0, data_format="channels_first"),
    ],
)
def equalize_tiles(
    b: Builder,
    x: Value,
    *,
    value_range: Any = (0, 255),
    clip_limit: float = 4.0,
    tile_grid_size: Any = (8, 8),
    data_format: str | None = None,
    bounding_box_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """A local function: histograms of the tiles of each image, in evaluation, too."""
    options = in_range(value_range)
    layout = Geometry(x, 2, data_format).layout
    return b.call("equalize_tiles", x, clip_limit, tuple(tile_grid_size), shape=x.shape, layout=layout, **options)


@rule("MaxNumBoundingBoxes", examples=[example((6, 5, 3), max_number=4)])
def max_num_bounding_boxes(
    b: Builder,
    x: Value,
    *,
    max_number: int,
    fill_value: Any = -1,
    bounding_box_format: str | None = None,
    data_format: str | None = None,
    training: bool | None = None,
) -> Value:
    """Nothing: images stay as they are."""
    return x


refuse("TorchModuleWrapper", "holds a PyTorch module as a pickle, which may run any code; load it where it was made")
