"""Random numbers: drawn anew at each call, as the functions of Keras and TensorFlow do."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Device, Size, Value
from k2t.rules.builder import Builder
from k2t.rules.operations.base import Options, any_tensor, invoke
from k2t.rules.operations.creation import known, like_of, sizes_of
from k2t.rules.operations.dialects import dialect
from k2t.rules.operations.tensorflow import op
from k2t.symbols import number


def random(b: Builder, name: str, shape: Any, dtype: str | None) -> Value:
    """torch.randn or torch.rand; `_like` where a tensor has the same shape."""
    sizes = sizes_of(shape)
    if not any_tensor(sizes):
        raise UntranslatableError("random numbers of a size that no input has")
    like = like_of(sizes)
    same = len(sizes) == like.rank and all(
        number(item) == number(size)
        or (isinstance(item, Size) and item.value is like and item.axis % like.rank == axis)
        for axis, (item, size) in enumerate(zip(sizes, like.shape, strict=True))
    )
    if same:
        return b.call(f"torch.{name}_like", like, shape=like.shape, dtype="float32")
    options: Options = {"device": Device(like)}
    return invoke(b, f"torch.{name}", sizes, options, tuple(known(item) for item in sizes), "float32")


@dialect(
    "tf.random.normal",
    "tf.random_normal",
    "tf.random.truncated_normal",
    "tf.truncated_normal",
    "K.random_normal",
    "keras.random.normal",
    "keras.random.truncated_normal",
    "K.truncated_normal",
)
def normal(
    b: Builder, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: Any = None
) -> Any:
    """torch.randn_like, or torch.randn."""
    y: Any = random(b, "randn", shape, dtype)
    y = y if isinstance(stddev, int | float) and stddev == 1 else op(b, "multiply", y, stddev)
    return y if isinstance(mean, int | float) and mean == 0 else op(b, "add", y, mean)


@dialect("tf.random.uniform", "tf.random_uniform", "K.random_uniform", "keras.random.uniform")
def uniform(
    b: Builder, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: str | None = None, seed: Any = None
) -> Any:
    """torch.rand_like, or torch.rand."""
    y: Any = random(b, "rand", shape, dtype)
    maxval = 1.0 if maxval is None else maxval
    width = op(b, "subtract", maxval, minval)
    y = y if isinstance(width, int | float) and width == 1 else op(b, "multiply", y, width)
    if isinstance(minval, int | float) and minval <= 0:
        return y if minval == 0 else op(b, "subtract", y, -minval)
    return op(b, "add", y, minval)


@dialect("tf.random.categorical", "tf.multinomial")
def categorical(b: Builder, logits: Value, num_samples: int, *_: Any) -> Value:
    """torch.multinomial."""
    shares = op(b, "softmax", logits)
    shape_of = (logits.shape[0], num_samples)
    return b.call(
        "torch.multinomial", shares, num_samples, replacement=True, shape=shape_of, dtype="int64", layout="keras"
    )
