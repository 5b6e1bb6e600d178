"""Functions of the Keras backend, of Keras 1 to tf.keras, that are no renamed operations; methods of tensors."""

from __future__ import annotations

from functools import partial
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.activations import relu
from k2t.rules.builder import Builder
from k2t.rules.merge import dot
from k2t.rules.operations.base import OPERATIONS
from k2t.rules.operations.dialects import REFUSED_FUNCTIONS, dialect
from k2t.rules.operations.network import stateless
from k2t.rules.operations.random import uniform
from k2t.rules.operations.shape import expand_dims, reshape, transpose
from k2t.rules.operations.tensorflow import op
from k2t.rules.operations.tensorflow_nn import convolution, pool

for _name in ["map_fn", "foldl", "foldr", "rnn", "cond", "py_function", "function", "gradients"]:
    REFUSED_FUNCTIONS[f"K.{_name}"] = "takes Python functions; rewrite that part in PyTorch"
for _name in ("ctc_batch_cost", "ctc_decode"):
    REFUSED_FUNCTIONS[f"K.{_name}"] = (
        "belongs to the training or decoding loop; call torch.nn.functional.ctc_loss there"
    )


@dialect("K.relu", "keras.activations.relu")
def backend_relu(
    b: Builder,
    x: Value,
    alpha: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
    negative_slope: float | None = None,
) -> Value:
    """F.relu, with a slope below and a limit above."""
    return relu(b, x, alpha if negative_slope is None else negative_slope, max_value, threshold)


@dialect("K.dot")
def backend_dot(b: Builder, x: Any, y: Any) -> Any:
    """The operator @; over the last but one axis of the second where it has more than two."""
    return op(b, "dot", x, y)


@dialect("K.batch_dot")
def batch_dot(b: Builder, x: Value, y: Value, axes: Any = None) -> Any:
    """A product for each sample, as the layer Dot has it."""
    if axes is None:
        axes = [x.rank - 1, y.rank - 2 if y.rank > 2 else y.rank - 1]
    first, second = (axes, axes) if isinstance(axes, int) else axes
    if first % x.rank == x.rank - 1 and x.rank == y.rank == 3:
        right = y if second % 3 == 1 else transpose(b, y, (0, 2, 1))
        return op(b, "matmul", x, right)
    return dot(b, [x, y], axes=[first, second])


@dialect("K.flatten")
def flatten(b: Builder, x: Value) -> Any:
    """.flatten."""
    return op(b, "ravel", x)


@dialect("K.batch_flatten")
def batch_flatten(b: Builder, x: Value) -> Any:
    """.flatten(1)."""
    return stateless(b, "Flatten", x)


@dialect("K.repeat")
def repeat(b: Builder, x: Value, n: int) -> Any:
    """.unsqueeze(1).expand(...)."""
    return stateless(b, "RepeatVector", x, n=n)


@dialect("K.update", "K.update_add", "K.print_tensor", "K.in_test_phase", "K.pattern_broadcast", "K.to_dense")
def unchanged(b: Builder, x: Any, *_: Any, **__: Any) -> Any:
    """What changes no value of the tensor."""
    return x


@dialect("K.dimshuffle", "tensor.dimshuffle")
def dimshuffle(b: Builder, x: Value, *pattern: Any) -> Any:
    """Theano's: axes in another order, new ones where it says "x"."""
    axes = list(pattern[0]) if len(pattern) == 1 and isinstance(pattern[0], list | tuple) else list(pattern)
    y = transpose(b, x, [axis for axis in axes if axis != "x"])
    for place, axis in enumerate(axes):
        if axis == "x":
            y = expand_dims(b, y, place)
    return y


@dialect("K.temporal_padding", "K.asymmetric_temporal_padding")
def temporal_padding(b: Builder, x: Value, padding: Any = (1, 1), right_pad: int | None = None) -> Any:
    """F.pad of the time axis."""
    if isinstance(padding, int):
        padding = (padding, padding if right_pad is None else right_pad)
    return stateless(b, "ZeroPadding1D", x, padding=tuple(padding))


@dialect("K.spatial_2d_padding")
def spatial_2d_padding(b: Builder, x: Value, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """F.pad of height and width."""
    return stateless(b, "ZeroPadding2D", x, padding=padding, data_format=data_format)


@dialect("K.resize_images")
def resize_images(
    b: Builder,
    x: Value,
    height_factor: int,
    width_factor: int,
    data_format: str | None = None,
    interpolation: str = "nearest",
) -> Any:
    """nn.Upsample."""
    options = {"size": [height_factor, width_factor], "data_format": data_format, "interpolation": interpolation}
    return stateless(b, "UpSampling2D", x, **options)


@dialect("K.resize_volumes")
def resize_volumes(b: Builder, x: Value, *factors: Any) -> Any:
    """nn.Upsample."""
    *sizes, data_format = factors
    return stateless(b, "UpSampling3D", x, size=sizes, data_format=data_format)


def backend_convolution(
    b: Builder,
    x: Value,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    *,
    name: str = "conv",
) -> Any:
    """F.conv2d and its like."""
    return convolution(b, x, kernel, strides, padding, data_format, dilation_rate, name=name)


for _name in ("conv1d", "conv2d", "conv3d"):
    dialect(f"K.{_name}")(backend_convolution)
dialect("K.depthwise_conv2d")(partial(backend_convolution, name="depthwise_conv"))


def backend_pool(
    b: Builder,
    x: Value,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:
    """nn.MaxPool2d or nn.AvgPool2d."""
    steps = 1 if strides is None else strides
    kind = "max" if pool_mode == "max" else "average"
    return pool(b, x, pool_size, steps, padding, data_format, kind=kind)


dialect("K.pool2d", "K.pool3d")(backend_pool)


@dialect("K.binary_crossentropy")
def binary_crossentropy(b: Builder, target: Any, output: Value, from_logits: bool = False) -> Any:
    """F.binary_cross_entropy, for each element."""
    return op(b, "binary_crossentropy", target, output, from_logits)


@dialect("K.categorical_crossentropy")
def categorical_crossentropy(b: Builder, target: Any, output: Value, from_logits: bool = False, axis: int = -1) -> Any:
    """The negative sum of the target times log-probabilities."""
    return op(b, "categorical_crossentropy", target, output, from_logits, axis)


@dialect("K.sparse_categorical_crossentropy")
def sparse_categorical_crossentropy(
    b: Builder, target: Any, output: Value, from_logits: bool = False, axis: int = -1
) -> Any:
    """The negative log-probability of the target."""
    return op(b, "sparse_categorical_crossentropy", target, output, from_logits, axis)


@dialect("K.local_conv1d", "K.local_conv2d", "K.local_conv")
def local_convolution(b: Builder, *_: Any, **__: Any) -> Any:
    """Refused."""
    raise UntranslatableError("a local convolution by hand; use the layer LocallyConnected")


@dialect("K.count_params")
def count_params(b: Builder, x: Any) -> Any:
    """The number of elements."""
    return op(b, "size", x)


@dialect("K.random_binomial", "K.random_bernoulli")
def random_binomial(b: Builder, shape: Any, p: float = 0.0, *_: Any, **__: Any) -> Any:
    """Random numbers below p as 1, others as 0."""
    return op(b, "cast", op(b, "less", uniform(b, shape), p), "float32")


@dialect("tensor.astype")
def astype(b: Builder, x: Any, dtype: str) -> Any:
    """cast."""
    return op(b, "cast", x, dtype)


@dialect("tensor.numpy", "tensor.eval", "tensor.read_value", "tensor.value", "tensor.copy")
def value_of(b: Builder, x: Any, *_: Any) -> Any:
    """The tensor itself."""
    return x


@dialect("tensor.reshape")
def method_reshape(b: Builder, x: Value, *shape: Any) -> Any:
    """.reshape."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
    return reshape(b, x, list(sizes))


@dialect("tensor.transpose")
def method_transpose(b: Builder, x: Value, *axes: Any) -> Any:
    """.permute."""
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes
    return transpose(b, x, list(order) or None)


@dialect("tensor.flatten", "tensor.ravel")
def method_flatten(b: Builder, x: Value, ndim: int = 1) -> Any:
    """.flatten; Theano's keeps all but the last `ndim` axes."""
    return op(b, "ravel", x) if ndim == 1 else stateless(b, "Flatten", x)


def register_method(name: str) -> None:
    """A method of arrays with the name of its operation."""
    dialect(f"tensor.{name}")(OPERATIONS[name])


for _name in [
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "std",
    "var",
    "argmax",
    "argmin",
    "all",
    "any",
    "squeeze",
    "repeat",
    "clip",
    "round",
    "cumsum",
]:
    register_method(_name)
