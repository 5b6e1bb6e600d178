"""Calls of functions of TensorFlow that are made of several operations."""

from __future__ import annotations

import numpy as np

from k2t.rules.operations.base import Call, Given, call, real, whole

X, Y = real(None, 4, 6), real(None, 4, 6)
SHARE = real(None, 4, 6, between=(0.1, 0.9))
# exact in float32, in which TensorFlow computes some functions of images
IMAGE = Given((None, 8, 8, 3), between=(0.0, 1.0), step=1 / 64)
SQUARE = real(None, 3, 3)
PLACES = np.array([[0, 1], [2, 3]])

MORE: dict[str, list[Call]] = {
    **{f"tf.math.{name}": [call(SHARE)] for name in ["bessel_i0e", "bessel_i1", "bessel_i1e", "erfcinv"]},
    **{f"tf.math.{name}": [call(SHARE, real(None, 4, 6, between=(0.5, 2.0)))] for name in ["igamma", "igammac"]},
    **{f"tf.image.{name}": [call(IMAGE)] for name in ["rgb_to_yiq", "yiq_to_rgb", "rgb_to_yuv", "yuv_to_rgb"]},
    **{f"tf.tensor_scatter_nd_{name}": [call(real(5, 6), PLACES, real(2))] for name in ["add", "max", "min", "sub"]},
    "tf.math.xlog1py": [call(X, SHARE)],
    "tf.math.zeta": [call(real(None, 4, between=(1.5, 3.0)), real(None, 4, between=(0.5, 3.0)))],
    "tf.math.polygamma": [call(np.float64(1), SHARE)],
    "tf.math.cumulative_logsumexp": [call(X, axis=1), call(X, axis=-1, reverse=True)],
    "tf.truncatediv": [call(whole(None, 4, below=9), 2)],
    "tf.truncatemod": [call(X, Y)],
    "tf.math.reciprocal_no_nan": [call(X)],
    "tf.math.scalar_mul": [call(2.0, X)],
    "tf.math.polyval": [call([X, Y, SHARE], Y)],
    "tf.math.zero_fraction": [call(whole(4, 4))],
    "tf.math.nextafter": [call(X, Y)],
    "tf.clip_by_norm": [call(X, 1.5), call(X, 0.5, axes=[1])],
    "tf.linalg.global_norm": [call([X, Y])],
    "tf.nn.l2_loss": [call(X)],
    "tf.linalg.normalize": [call(X, axis=-1), call(X, ord=1, axis=1)],
    "tf.linalg.adjoint": [call(X)],
    "tf.linalg.triangular_solve": [call(SQUARE, real(None, 3, 2)), call(SQUARE, real(None, 3, 2), False, True)],
    "tf.linalg.set_diag": [call(SQUARE, real(None, 3)), call(X, real(None, 4))],
    "tf.identity_n": [call([X, Y])],
    "tf.signal.fftshift": [call(X, axes=[1, 2]), call(real(None, 5), axes=[1])],
    "tf.signal.ifftshift": [call(real(None, 5), axes=[1])],
    "tf.signal.frame": [call(real(None, 20), 6, 3)],
    "tf.reverse_sequence": [call(X, whole(None, below=5), seq_axis=1)],
    "tf.image.adjust_brightness": [call(IMAGE, 0.25)],
    "tf.image.convert_image_dtype": [call(IMAGE, "float64")],
    "tf.image.pad_to_bounding_box": [call(IMAGE, 1, 2, 12, 11)],
    "tf.image.resize_with_crop_or_pad": [call(IMAGE, 5, 9), call(IMAGE, 11, 3)],
    "tf.image.resize_with_pad": [call(IMAGE, 16, 20)],
    "tf.image.image_gradients": [call(IMAGE)],
    "tf.image.total_variation": [call(IMAGE)],
    "tf.image.adjust_contrast": [call(IMAGE, 0.5)],
}

# What TensorFlow computes in float32.
SINGLE: dict[str, list[Call]] = {
    "tf.image.adjust_gamma": [call(IMAGE, 2.0, 0.5)],
    "tf.image.adjust_hue": [call(IMAGE, 0.25)],
    "tf.image.adjust_saturation": [call(IMAGE, 0.5), call(IMAGE, 3.0)],
    "tf.image.psnr": [call(IMAGE, Given((None, 8, 8, 3), between=(0.0, 1.0), step=1 / 64), 1.0)],
}
