"""Functions of tf.nn and tf.image that are no renamed operations of keras.ops."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Axis, Index, Value
from k2t.rules.base import require, size
from k2t.rules.builder import Builder
from k2t.rules.convolution import Geometry
from k2t.rules.image import TF1
from k2t.rules.operations.base import Options, as_floating, elementwise, normal_axes
from k2t.rules.operations.dialects import REFUSED_FUNCTIONS, dialect
from k2t.rules.operations.network import stateless
from k2t.rules.operations.reduction import logsumexp, reduce_axes
from k2t.rules.operations.shape import expand_dims, flip, transpose
from k2t.rules.operations.tensorflow import op

for _name in ("ctc_loss", "ctc_beam_search_decoder", "ctc_greedy_decoder"):
    REFUSED_FUNCTIONS[f"tf.{_name}"] = (
        "belongs to the training or decoding loop; call torch.nn.functional.ctc_loss there"
    )


def spatial(value: Any, rank: int, data_format: str | None) -> Any:
    """Strides of TensorFlow without those of batch and channels."""
    if isinstance(value, int) or value is None:
        return 1 if value is None else value
    items = list(value)
    if len(items) == rank + 2:
        items = items[2:] if format_of(data_format) == "channels_first" else items[1:-1]
    return items[0] if len(items) == 1 else items


def format_of(data_format: str | None) -> str | None:
    """`NHWC` -> `channels_last`."""
    if data_format in (None, "channels_last", "channels_first"):
        return data_format
    return "channels_first" if data_format[1:2] == "C" else "channels_last"


def explicit(b: Builder, x: Value, padding: Any, data_format: str | None) -> tuple[Value, str]:
    """Padding given as pairs, applied; and what is left of it."""
    if isinstance(padding, str):
        return x, padding.lower()
    return op(b, "pad", x, padding), "valid"


def convolution(
    b: Builder,
    input: Value,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    *,
    name: str = "conv",
    rank: int | None = None,
) -> Any:
    """F.conv2d and its like."""
    axes = input.rank - 2 if rank is None else rank
    x, rest = explicit(b, input, padding, data_format)
    steps, rates = spatial(strides, axes, data_format), spatial(dilations, axes, data_format)
    return op(b, name, x, filters, steps, rest, format_of(data_format), rates)


for _name in ("conv1d", "conv2d", "conv3d", "convolution", "atrous_conv"):
    dialect(f"tf.{_name}")(convolution)
dialect("tf.depthwise_conv2d", "tf.depthwise_conv2d_native")(partial(convolution, name="depthwise_conv"))


@dialect("tf.atrous_conv2d")
def atrous_conv2d(b: Builder, value: Value, filters: Any, rate: int, padding: str) -> Any:
    """F.conv2d with a dilation."""
    return convolution(b, value, filters, 1, padding, None, rate)


@dialect("tf.separable_conv2d")
def separable_conv2d(
    b: Builder,
    input: Value,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    """Two F.conv2d."""
    y = convolution(b, input, depthwise_filter, strides, padding, data_format, dilations, name="depthwise_conv")
    return convolution(b, y, pointwise_filter, 1, "VALID", data_format)


@dialect("tf.conv2d_transpose", "tf.conv1d_transpose", "tf.conv3d_transpose", "tf.conv_transpose")
def conv_transpose(
    b: Builder,
    input: Value,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
) -> Value:
    """F.conv_transpose2d and its like; the output must have the size that Keras gives it."""
    axes = input.rank - 2
    steps, rates = spatial(strides, axes, data_format), spatial(dilations, axes, data_format)
    y: Value = op(b, "conv_transpose", input, filters, steps, padding, None, format_of(data_format), rates)
    sizes = list(output_shape) if isinstance(output_shape, list | tuple) else []
    if any(isinstance(n, int) and m is not None and n != m for n, m in zip(sizes, y.shape, strict=False)):
        raise UntranslatableError(f"a transposed convolution to {sizes}, where the usual output is {y.shape}")
    return y


def pool(
    b: Builder,
    input: Value,
    ksize: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    *,
    kind: str,
) -> Any:
    """What the pooling layer does."""
    axes = input.rank - 2
    x, rest = explicit(b, input, padding, data_format)
    kernel = spatial(ksize, axes, data_format)
    steps = kernel if strides is None else spatial(strides, axes, data_format)
    return op(b, f"{kind}_pool", x, kernel, steps, rest, format_of(data_format))


for _kind, _short in (("max", "max"), ("average", "avg")):
    for _suffix in ("", "1d", "2d", "3d"):
        dialect(f"tf.{_short}_pool{_suffix}")(partial(pool, kind=_kind))


@dialect("tf.bias_add", "K.bias_add")
def bias_add(b: Builder, value: Value, bias: Any, data_format: str | None = None) -> Value:
    """The operator +."""
    if format_of(data_format) == "channels_first":
        bias = op(b, "reshape", bias, [-1, *[1] * (value.rank - 2)])
    return elementwise(b, "+", value, bias)


@dialect("tf.leaky_relu")
def leaky_relu(b: Builder, features: Value, alpha: float = 0.2) -> Any:
    """F.leaky_relu."""
    return op(b, "leaky_relu", features, alpha)


@dialect("tf.gelu")
def gelu(b: Builder, features: Value, approximate: bool = False) -> Any:
    """F.gelu."""
    return op(b, "gelu", features, approximate)


@dialect("tf.silu", "tf.swish")
def silu(b: Builder, features: Value, beta: float = 1.0) -> Any:
    """F.silu."""
    if beta == 1:
        return op(b, "silu", features)
    return op(b, "multiply", features, op(b, "sigmoid", op(b, "multiply", features, beta)))


@dialect("tf.crelu")
def crelu(b: Builder, features: Value, axis: int = -1) -> Any:
    """F.relu of the tensor and of its negative, side by side."""
    return op(b, "relu", op(b, "concatenate", [features, op(b, "negative", features)], axis))


@dialect("tf.dropout", "K.dropout", "keras.random.dropout")
def dropout(b: Builder, x: Value, rate: Any = None, *_: Any, keep_prob: Any = None, **__: Any) -> Value:
    """F.dropout, which drops at inference too, as the function does."""
    share = 1 - keep_prob if rate is None else rate
    return x if share == 0 else b.call("F.dropout", x, share)


@dialect("tf.local_response_normalization", "tf.lrn")
def local_response_normalization(
    b: Builder, input: Value, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5
) -> Value:
    """F.local_response_norm, whose alpha is that of the mean."""
    window = 2 * depth_radius + 1
    options: Options = {"alpha": alpha * window, "beta": beta, "k": float(bias)}
    return b.call("F.local_response_norm", input, window, shape=input.shape, layout="first", **options)


@dialect("tf.batch_normalization", "tf.batch_norm_with_global_normalization")
def batch_normalization(
    b: Builder, x: Value, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, as they broadcast."""
    factor = op(b, "rsqrt", op(b, "add", variance, variance_epsilon))
    factor = factor if scale is None else op(b, "multiply", factor, scale)
    y = op(b, "multiply", op(b, "subtract", x, mean), factor)
    return y if offset is None else op(b, "add", y, offset)


@dialect("tf.l2_normalize", "K.l2_normalize")
def l2_normalize(b: Builder, x: Value, axis: Any = None, epsilon: float = 1e-12) -> Value:
    """F.normalize: divided by the root of the sum of squares, at least sqrt(epsilon)."""
    if isinstance(axis, int):
        floor = {} if epsilon == 1e-24 else {"eps": epsilon**0.5}
        return elementwise(b, "F.normalize", x, dim=Axis(axis), **floor)
    total = reduce_axes(b, ".sum", elementwise(b, "torch.square", x), normal_axes(axis, x.rank), True)
    return elementwise(b, "*", x, elementwise(b, "torch.rsqrt", elementwise(b, "torch.clamp", total, min=epsilon)))


@dialect("tf.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy(b: Builder, labels: Any, logits: Value) -> Any:
    """F.binary_cross_entropy_with_logits."""
    return op(b, "binary_crossentropy", labels, logits, True)


@dialect("tf.softmax_cross_entropy_with_logits", "tf.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy(b: Builder, labels: Any, logits: Value, axis: int = -1) -> Any:
    """The negative sum of the target times log-probabilities."""
    return op(b, "categorical_crossentropy", labels, logits, True, axis)


@dialect("tf.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy(b: Builder, labels: Any, logits: Value) -> Any:
    """The negative log-probability of the target."""
    return op(b, "sparse_categorical_crossentropy", labels, logits, True)


def resized(
    b: Builder, images: Value, size: Any, method: Any, antialias: bool, half_pixel: bool, align_corners: bool
) -> Any:
    """F.interpolate, with pixels where TensorFlow has them."""
    names = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}
    method = names.get(method, method)
    if any(not isinstance(n, int) for n in size):
        raise UntranslatableError("images resized to a size known at run time only")
    if half_pixel:
        options = {"size": tuple(size), "interpolation": method, "antialias": antialias}
        return op(b, "resize", images, **options)
    require(method, ("bilinear", "nearest"), "method")
    geometry = Geometry(images, 2, None)
    shape = geometry.shape(images, tuple(size), images.shape[-1])
    target: Options = {"size": tuple(size)}
    if method == "nearest" and not align_corners:
        return b.call("F.interpolate", images, shape=shape, layout="first", **target)
    if align_corners and method == "bilinear":
        target |= {"mode": "bilinear", "align_corners": True}
        return b.call("F.interpolate", images, shape=shape, layout="first", **target)
    factors = [n // m for n, m in zip(size, geometry.sizes(images), strict=True) if m and n % m == 0]
    if len(factors) != 2 or align_corners:
        raise UntranslatableError(f"images of {images.shape} resized to {size} as TensorFlow 1 did")
    return stateless(b, "UpSampling2D", images, size=factors, interpolation=TF1)


@dialect("tf.image.resize")
def resize(
    b: Builder,
    images: Value,
    size: Any,
    method: Any = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    """F.interpolate."""
    if preserve_aspect_ratio:
        raise UntranslatableError("tf.image.resize with preserve_aspect_ratio=True")
    if images.rank == 3:
        return op(b, "squeeze", resize(b, expand_dims(b, images, 0), size, method, False, antialias), 0)
    return resized(b, images, size, method, antialias, True, False)


@dialect("tf.image.resize_images")
def resize_images(b: Builder, images: Value, size: Any, method: Any = 0, align_corners: bool = False, *_: Any) -> Any:
    """What TensorFlow 1 did."""
    return resized(b, images, size, method, False, False, align_corners)


@dialect("tf.image.resize_bilinear")
def resize_bilinear(
    b: Builder, images: Value, size: Any, align_corners: bool = False, half_pixel_centers: bool = False
) -> Any:
    """What TensorFlow 1 did."""
    return resized(b, images, size, "bilinear", False, half_pixel_centers, align_corners)


@dialect("tf.image.resize_nearest_neighbor")
def resize_nearest(
    b: Builder, images: Value, size: Any, align_corners: bool = False, half_pixel_centers: bool = False
) -> Any:
    """What TensorFlow 1 did."""
    return resized(b, images, size, "nearest", False, half_pixel_centers, align_corners)


@dialect("tf.image.extract_patches", "tf.extract_image_patches", "tf.image.extract_image_patches")
def extract_patches(
    b: Builder,
    images: Value,
    sizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: str = "VALID",
    ksizes: Any = None,
) -> Any:
    """A local function around F.unfold."""
    kernel, steps, dilation = (spatial(item, 2, None) for item in (sizes or ksizes, strides, rates))
    return op(b, "extract_patches", images, kernel, steps, dilation, padding.lower())


@dialect("tf.image.grayscale_to_rgb")
def grayscale_to_rgb(b: Builder, images: Value) -> Any:
    """The channel three times."""
    return op(b, "repeat", images, 3, -1)


@dialect("tf.image.flip_left_right")
def flip_left_right(b: Builder, image: Value) -> Any:
    """.flip of the width."""
    return flip(b, image, -2)


@dialect("tf.image.flip_up_down")
def flip_up_down(b: Builder, image: Value) -> Any:
    """.flip of the height."""
    return flip(b, image, -3)


@dialect("tf.image.transpose")
def image_transpose(b: Builder, image: Value) -> Any:
    """Height and width exchanged."""
    front = range(image.rank - 3)
    order = (*front, image.rank - 2, image.rank - 3, image.rank - 1)
    return transpose(b, image, order)


@dialect("tf.image.rot90")
def rot90(b: Builder, image: Value, k: int = 1) -> Any:
    """torch.rot90."""
    return op(b, "rot90", image, k, (image.rank - 3, image.rank - 2))


@dialect("tf.image.crop_to_bounding_box")
def crop_to_bounding_box(
    b: Builder, image: Value, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Value:
    """A slice."""
    cuts = {
        image.rank - 3: slice(offset_height, offset_height + target_height),
        image.rank - 2: slice(offset_width, offset_width + target_width),
    }
    shape = (*image.shape[:-3], target_height, target_width, image.shape[-1])
    return b.call("[]", image, Index(tuple(cuts.get(axis) for axis in range(image.rank))), shape=shape)


@dialect("tf.image.central_crop")
def central_crop(b: Builder, image: Value, central_fraction: float) -> Value:
    """The middle of images of known size."""
    sizes = [size(image, image.rank - 3), size(image, image.rank - 2)]
    starts = [int((n - n * central_fraction) / 2) for n in sizes]
    targets = [n - 2 * start for n, start in zip(sizes, starts, strict=True)]
    return crop_to_bounding_box(b, image, *starts, *targets)


@dialect("tf.image.per_image_standardization")
def per_image_standardization(b: Builder, image: Value) -> Value:
    """Mean 0 and deviation 1, which is at least that of one element in all."""
    axes = tuple(range(image.rank - 3, image.rank))
    count = float(np.prod([size(image, axis) for axis in axes]))
    x = as_floating(b, image)
    centred = elementwise(b, "-", x, reduce_axes(b, ".mean", x, axes, True))
    deviation = reduce_axes(b, ".std", x, axes, True, correction=0)
    return elementwise(b, "/", centred, elementwise(b, "torch.clamp", deviation, min=count**-0.5))


@dialect("tf.reduce_log_sum_exp")
def reduce_log_sum_exp(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    """.logsumexp."""
    return logsumexp(b, x, axis, keepdims)


@dialect("keras.losses.mse", "keras.losses.mean_squared_error", "keras.objectives.mean_squared_error")
def mean_squared_error(b: Builder, y_true: Any, y_pred: Any) -> Any:
    """The mean of the squared difference over the last axis."""
    return op(b, "mean", op(b, "square", op(b, "subtract", y_pred, y_true)), -1)


@dialect("keras.losses.mae", "keras.losses.mean_absolute_error")
def mean_absolute_error(b: Builder, y_true: Any, y_pred: Any) -> Any:
    """The mean of the absolute difference over the last axis."""
    return op(b, "mean", op(b, "abs", op(b, "subtract", y_pred, y_true)), -1)


@dialect("keras.losses.binary_crossentropy", "keras.metrics.binary_crossentropy")
def mean_binary_crossentropy(b: Builder, y_true: Any, y_pred: Value, from_logits: bool = False) -> Any:
    """The mean over the last axis."""
    return op(b, "mean", op(b, "binary_crossentropy", y_true, y_pred, from_logits), -1)
