"""What TensorFlow's CPU kernels compute in float32 only, in float64.

TensorFlow rounds the slope of leaky_relu, the constants of gelu and numbers that are cast to float32 in float64 models
too, which puts its results 1e-8 off the functions that they name: more than the proof of parity tolerates. Its 3D
maximum pooling has no float64 kernel, and resized images are float32.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from k2t.resampling import matrix

# Where Keras 3 has its functions for TensorFlow.
KERAS_FUNCTIONS = "keras.src.backend.tensorflow.numpy"
KERAS_LAYERS = "keras.src.backend.tensorflow.nn"
# Where the layers of Keras 3 ask for the dtype in which they compute.
KERAS_BACKEND = "keras.src.backend"
# Where tf-keras names functions of TensorFlow as activations.
LEGACY_ACTIVATIONS = "tf_keras.src.activations"
# Where tf-keras turns images into float32, because resized ones were float32 anyway.
LEGACY_IMAGES = "tf_keras.src.layers.preprocessing.image_preprocessing"
# Where Keras computes the matrix of mel bands in float32.
SPECTROGRAMS = "keras.src.layers.preprocessing.mel_spectrogram"


@contextmanager
def float64_kernels() -> Iterator[None]:
    """Within it, these functions of TensorFlow compute in the dtype of their input; for models in float64 only."""
    import tensorflow as tf

    own: dict[str, Callable[..., Any]] = {
        "leaky_relu": leaky_relu,
        "gelu": gelu,
        "max_pool": max_pool,
        "max_pool3d": max_pool,
        "pool": partial(pool, tf.nn.pool),
        "resize": partial(resize, tf.image.resize),
        "cast": partial(cast, tf.cast),
        "convert_to_tensor": partial(convert_to_tensor, tf.convert_to_tensor),
    }
    modules = [tf.nn, tf.compat.v2.nn, tf.image, tf.compat.v2.image, tf, tf.compat.v2]
    if legacy := sys.modules.get(LEGACY_IMAGES):
        own["convert_inputs"] = partial(convert_inputs, legacy.convert_inputs)
        modules += [legacy, sys.modules[LEGACY_ACTIVATIONS]]
    changes = [(module, name, own[name]) for module in modules for name in own if hasattr(module, name)]
    if functions := sys.modules.get(KERAS_FUNCTIONS):
        network = sys.modules[KERAS_LAYERS]
        backend = sys.modules[KERAS_BACKEND]
        changes.append((backend, "result_type", partial(result_type, backend.result_type)))
        changes.append((functions, "add", partial(add, functions.add)))
        changes.append((network, "dot_product_attention", partial(attention, network.dot_product_attention)))
    if spectrograms := sys.modules.get(SPECTROGRAMS):
        layer, name = spectrograms.MelSpectrogram, "linear_to_mel_weight_matrix"
        changes.append((layer, name, mel_matrix(getattr(layer, name))))
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, function in changes:
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)


def leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    """x, or alpha * x below zero."""
    import tensorflow as tf

    return tf.where(features > 0, features, features * tf.constant(alpha, features.dtype))


def gelu(features: Any, approximate: bool = False) -> Any:
    """x times the normal distribution function, or its approximation by tanh."""
    import tensorflow as tf

    if approximate:
        inner = features + tf.constant(0.044715, features.dtype) * features**3
        return 0.5 * features * (1 + tf.tanh(tf.constant(math.sqrt(2 / math.pi), features.dtype) * inner))
    return 0.5 * features * tf.math.erfc(-features * tf.constant(math.sqrt(0.5), features.dtype))


def max_pool(input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None = None) -> Any:
    """Maximum over windows; over three axes, of the maxima over two of them."""
    import tensorflow as tf

    if len(input.shape) == 3:
        return tf.nn.max_pool1d(input, ksize, strides, padding, data_format or "NWC")
    if len(input.shape) == 4:
        return tf.nn.max_pool2d(input, ksize, strides, padding, data_format or "NHWC")
    first = data_format == "NCDHW"
    x = tf.transpose(input, (0, 2, 3, 4, 1)) if first else input
    (depth, *window), (step, *steps) = spatial(ksize, first), spatial(strides, first)
    batch, frames, height, width, channels = tf.unstack(tf.shape(x))
    x = tf.nn.max_pool2d(tf.reshape(x, (batch * frames, height, width, channels)), window, steps, padding)
    _, height, width, _ = tf.unstack(tf.shape(x))
    x = tf.nn.max_pool2d(tf.reshape(x, (batch, frames, height * width, channels)), (depth, 1), (step, 1), padding)
    x = tf.reshape(x, (batch, -1, height, width, channels))
    return tf.transpose(x, (0, 4, 1, 2, 3)) if first else x


def pool(own: Any, input: Any, window_shape: Any, pooling_type: str, strides: Any = None, **options: Any) -> Any:
    """`tf.nn.pool`; a maximum over three axes as `max_pool` has it."""
    if pooling_type != "MAX" or len(input.shape) != 5 or options.get("dilations"):
        return own(input, window_shape, pooling_type, strides=strides, **options)
    return max_pool(input, window_shape, strides or 1, options.get("padding", "VALID"), options.get("data_format"))


def spatial(value: Any, first: bool) -> list[int]:
    """One number for each of three axes, from an option of one number, of three, or of one for each axis."""
    numbers = [value] * 3 if isinstance(value, int) else list(value)
    if len(numbers) == 5:
        return numbers[2:] if first else numbers[1:4]
    return numbers * 3 if len(numbers) == 1 else numbers


def resize(own: Any, images: Any, size: Any, method: str = "bilinear", **options: Any) -> Any:
    """Resized images; what is not float64, or of unknown size, is left to TensorFlow's `own`."""
    import tensorflow as tf

    images = tf.convert_to_tensor(images)
    sizes, targets = images.shape[-3:-1], tf.get_static_value(tf.convert_to_tensor(size))
    exact = images.dtype == tf.float64 and None not in sizes and targets is not None
    if not exact or method == "nearest" or options.get("preserve_aspect_ratio"):
        return own(images, size, method=method, **options)
    if tuple(sizes) == tuple(targets):
        return images
    antialias = options.get("antialias", False)
    rows, columns = (matrix(n, int(target), method, antialias) for n, target in zip(sizes, targets, strict=True))
    return tf.einsum("...hwc,yh,xw->...yxc", images, rows, columns)


def unrounded(x: Any) -> Any:
    """Python's numbers, one or several, as an array: TensorFlow would take them as float32."""
    items = x if isinstance(x, list | tuple) else [x]
    return np.asarray(x) if items and all(isinstance(item, float) for item in items) else x


def cast(own: Any, x: Any, dtype: Any, **options: Any) -> Any:
    """`tf.cast`; Python's numbers are not rounded on the way."""
    return own(unrounded(x), dtype, **options)


def convert_to_tensor(own: Any, value: Any, dtype: Any = None, **options: Any) -> Any:
    """`tf.convert_to_tensor`; Python's numbers become float64."""
    return own(value if dtype else unrounded(value), dtype, **options)


def result_type(own: Any, *dtypes: Any) -> Any:
    """`keras.backend.result_type`; whole numbers are normalized in float64, and not in float32."""
    made = own(*dtypes)
    return "float64" if made == "float32" and any("int" in str(dtype) for dtype in dtypes) else made


def add(own: Any, x1: Any, x2: Any) -> Any:
    """`keras.ops.add`, which adds a bias of shape (1, C, 1, 1) to the last axis where that has C elements, too."""
    import tensorflow as tf

    tensors = isinstance(x1, tf.Tensor) and isinstance(x2, tf.Tensor) and x1.dtype == x2.dtype
    return tf.add(x1, x2) if tensors and len(x2.shape) > 1 else own(x1, x2)


def attention(
    own: Any, query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: Any = None, **options: Any
) -> Any:
    """`keras.ops.dot_product_attention`, which takes the root of the size of a head in float32."""
    scale = scale or (key.shape[-1] and 1 / math.sqrt(key.shape[-1]))
    return own(query, key, value, bias, mask, scale, **options)


def mel_matrix(own: Any) -> Callable[..., Any]:
    """The method of MelSpectrogram, in float64."""

    def computed(self: Any, *args: Any, **options: Any) -> Any:
        return own(self, *args, **options | {"dtype": "float64"})

    return computed


def convert_inputs(own: Any, inputs: Any, dtype: Any = None) -> Any:
    """The images of a layer of tf-keras, in float64."""
    import tensorflow as tf

    return own(inputs, tf.float64 if dtype == tf.float32 else dtype)
