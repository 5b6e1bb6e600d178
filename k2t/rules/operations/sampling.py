"""Operations of keras.ops.image that sample images at any place."""

from __future__ import annotations

from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Parameter, Value
from k2t.rules.base import require
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry
from k2t.rules.operations.base import REFUSED_OPERATIONS, Given, call, operation, real, tensor
from k2t.rules.operations.images import on_batches
from k2t.rules.operations.shape import expand_dims

REFUSED_OPERATIONS["scale_and_translate"] = (
    "has no counterpart in PyTorch; use keras.ops.image.resize, or a slice and a pad"
)
_IMAGE = Given((None, 7, 6, 3), step=1 / 64)
_SHIFT = np.array([1.0, 0.25, -1.5, 0.5, 1.0, 2.25, 0.0, 0.0], "float32")
_CORNERS = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]], "float32")


@operation(
    "affine_transform",
    examples=[
        call(_IMAGE, _SHIFT),
        call(_IMAGE, _SHIFT, "nearest", "reflect"),
        call(_IMAGE, _SHIFT, fill_mode="wrap"),
        call(_IMAGE, _SHIFT, fill_mode="constant", fill_value=0.5),
        call(_IMAGE, _SHIFT, fill_mode="nearest"),
    ],
)
@on_batches
def affine_transform(
    b: Builder,
    images: Value,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Value:
    """A local function."""
    require(interpolation, ("bilinear", "nearest"), "interpolation")
    require(fill_mode, ("constant", "nearest", "wrap", "reflect"), "fill_mode")
    if isinstance(transform, np.ndarray) and transform.ndim == 1:
        transform = transform[None]
    matrix = tensor(b, transform, "transform")
    if len(matrix.shape) == 1:
        matrix = expand_dims(b, matrix, 0)
    return project(b, images, matrix, data_format, interpolation, fill_mode, float(fill_value))


def project(b: Builder, images: Value, matrix: Any, data_format: str | None, *options: Any) -> Value:
    """The images, projected."""
    layout = Geometry(images, 2, data_format).layout
    return b.call("projective_transform", images, matrix, *options, shape=images.shape, layout=layout)


@operation(
    "perspective_transform",
    examples=[call(_IMAGE, _CORNERS, _CORNERS * 3, "nearest"), call(_IMAGE, _CORNERS, _CORNERS + 1, "nearest", 0.5)],
)
@on_batches
def perspective_transform(
    b: Builder,
    images: Value,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Value:
    """A local function, with the projection that four points make."""
    require(interpolation, ("bilinear", "nearest"), "interpolation")
    start, end = tensor(b, start_points, "start"), tensor(b, end_points, "end")
    if isinstance(start, Parameter) != isinstance(end, Parameter):
        raise UntranslatableError("perspective_transform between constant and computed points")
    shape = (*(start.shape[:-2] or (1,)), 8)
    matrix = b.call("homography", start, end, shape=shape[-1:] if len(start.shape) == 2 else shape, layout="keras")
    if matrix.rank == 1:
        matrix = expand_dims(b, matrix, 0)
    return project(b, images, matrix, data_format, interpolation, "constant", float(fill_value))


_PLACES = np.array([[0.0, 1.25, 3.5, 5.0, -1.5], [0.5, 2.0, -0.75, 6.0, 3.25]])


@operation(
    "map_coordinates",
    examples=[
        call(real(5, 6), _PLACES, 1),
        call(real(5, 6), _PLACES, 0),
        call(real(5, 6), _PLACES, 1, "nearest"),
        call(real(5, 6), _PLACES, 1, "wrap"),
        call(real(5, 6), real(2, 4, between=(0.0, 4.0)), 1, "reflect"),
    ],
)
def map_coordinates(
    b: Builder, inputs: Value, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Value:
    """A local function."""
    require(order, (0, 1), "order")
    places = tensor(b, coordinates, "coordinates")
    options = (order, fill_mode, float(fill_value))
    return b.call("map_coordinates", inputs, places, *options, shape=places.shape[1:], layout="keras")
