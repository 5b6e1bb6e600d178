"""The matrices against TensorFlow's own kernels, in float32."""

from __future__ import annotations

import numpy as np
import parity  # noqa: F401 - sets the environment before TensorFlow is imported
import pytest

from k2t.resampling import METHODS, matrix

SIZES = [(7, 14), (5, 3), (9, 4), (6, 13), (4, 4), (11, 2), (3, 10), (30, 7)]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_matrices_resize_as_tensorflow_does(method: str, antialias: bool) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for size, target in SIZES:
        image = rng.uniform(0, 1, (1, size, size + 1, 2)).astype("float32")
        want = tf.image.resize(image, (target, target + 2), method=method, antialias=antialias).numpy()
        rows, columns = matrix(size, target, method, antialias), matrix(size + 1, target + 2, method, antialias)
        got = np.einsum("th,nhwc,uw->ntuc", rows, image.astype("float64"), columns)
        np.testing.assert_allclose(got, want, atol=5e-6)
