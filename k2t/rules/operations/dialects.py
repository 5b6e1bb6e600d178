"""What TensorFlow, the Keras backend and numpy call the operations of `keras.ops`.

Most differ in names alone: these are tables. `tensorflow` and `backend` hold the functions that mean something else.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from k2t.errors import UntranslatableError
from k2t.rules.activations import ACTIVATIONS
from k2t.rules.builder import Builder
from k2t.rules.operations.base import OPERATIONS, Options, applied, call_operation

F = TypeVar("F", bound=Callable[..., Any])
DIALECTS: dict[str, Callable[..., Any]] = {}
REFUSED_FUNCTIONS: dict[str, str] = {}

# Parts of TensorFlow's names that tell nothing apart.
SPARE = ("compat", "v1", "v2", "math", "nn", "linalg", "dtypes", "raw_ops", "__operators__", "numpy", "experimental")
# Arguments without a meaning for what is computed.
IGNORED = ("name", "validate_shape", "validate_indices", "use_cudnn_on_gpu", "synchronized", "conjugate")
OLD_NAMES = {
    "keep_dims": "keepdims",
    "reduction_indices": "axis",
    "squeeze_dims": "axis",
    "concat_dim": "axis",
    "split_dim": "axis",
    "dim": "axis",
    "dims": "axis",
    "dimension": "axis",
    "filter": "filters",
}

# One tensor or two, by position; `theirs=ours` where the names differ.
PLAIN_TENSORFLOW = """
abs acos=arccos acosh=arccosh angle asin=arcsin asinh=arcsinh atan=arctan atan2=arctan2 atanh=arctanh ceil conj cos
cosh erf erfc erfinv ndtri exp expm1 floor imag is_finite=isfinite is_inf=isinf is_nan=isnan log log1p
log_sigmoid negative neg=negative real reciprocal rint=round round rsqrt sigmoid sign sin sinh softplus softsign sqrt
square tan tanh bessel_i0=i0 logical_not invert=bitwise_not identity=copy stop_gradient relu relu6 selu swish=silu
softmax_v2=softmax sign digamma lgamma add AddV2=add sub=subtract subtract mul=multiply multiply div=divide
truediv=divide divide realdiv=divide floordiv=floor_divide floor_div=floor_divide mod floormod=mod pow=power maximum
minimum equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor
div_no_nan=divide_no_nan divide_no_nan bitwise_and bitwise_or bitwise_xor rank=ndim size matrix_inverse=inv inv det
cholesky pinv logdet slogdet expm rgb_to_hsv hsv_to_rgb Relu=relu Sigmoid=sigmoid Tanh=tanh And=logical_and
rsub=swapped_subtract radd=swapped_add rmul=swapped_multiply rtruediv=swapped_divide rdiv=swapped_divide
rpow=swapped_power rfloordiv=swapped_floor_divide rmod=swapped_mod eq=equal ne=not_equal lt=less le=less_equal
gt=greater ge=greater_equal or=logical_or and=logical_and xor=logical_xor is_tensor isfinite isnan isinf
nextafter invert_permutation=argsort truncatemod=fmod eigh matrix_rank
"""
# name, operation, its parameters in their order: `theirs=ours`.
TENSORFLOW = """
reduce_sum sum input_tensor=x axis keepdims
reduce_mean mean input_tensor=x axis keepdims
reduce_max max input_tensor=x axis keepdims
reduce_min min input_tensor=x axis keepdims
reduce_prod prod input_tensor=x axis keepdims
reduce_all all input_tensor=x axis keepdims
reduce_any any input_tensor=x axis keepdims
reduce_logsumexp logsumexp input_tensor=x axis keepdims
reduce_std std input_tensor=x axis keepdims
reduce_variance var input_tensor=x axis keepdims
concat concatenate values=xs axis
stack stack values=x axis
unstack unstack value=x num axis
expand_dims expand_dims input=x axis
squeeze squeeze input=x axis
reshape reshape tensor=x shape=newshape
transpose transpose a=x perm=axes
tile tile input=x multiples=repeats
slice slice input_=inputs begin=start_indices size=shape
clip_by_value clip t=x clip_value_min=x_min clip_value_max=x_max
where where condition x=x1 y=x2
softmax softmax logits=x axis
log_softmax log_softmax logits=x axis
elu elu features=x
silu silu features=x
gelu_tanh gelu features=x approximate
leaky_relu leaky_relu features=x alpha=negative_slope
broadcast_to broadcast_to input=x shape
repeat repeat input=x repeats axis
reverse flip tensor=x axis
reverse_v2 flip tensor=x axis
roll roll input=x shift axis
einsum einsum equation=subscripts *operands
tensordot tensordot a=x1 b=x2 axes
meshgrid meshgrid *x indexing
top_k top_k input=x k sorted
in_top_k in_top_k targets predictions k
zeros zeros shape dtype
ones ones shape dtype
fill full dims=shape value=fill_value
zeros_like zeros_like input=x dtype
ones_like ones_like input=x dtype
linspace linspace start stop num
range arange start limit=stop delta=step dtype
cast cast x dtype
saturate_cast saturate_cast value=x dtype
convert_to_tensor convert_to_tensor value=x dtype
moments moments x axes shift= keepdims
depth_to_space depth_to_space input=x block_size data_format
space_to_depth space_to_depth input=x block_size data_format
searchsorted searchsorted sorted_sequence values side
unsorted_segment_sum segment_sum data segment_ids num_segments
unsorted_segment_max segment_max data segment_ids num_segments
unsorted_segment_min segment_min data segment_ids num_segments
unsorted_segment_prod segment_prod data segment_ids num_segments
scatter_nd scatter indices updates=values shape
tensor_scatter_nd_update scatter_update tensor=inputs indices updates
cross cross a=x1 b=x2
svd svd tensor=x full_matrices compute_uv
qr qr input=x
nan_to_num nan_to_num x nan posinf neginf
image.rgb_to_grayscale rgb_to_grayscale images
image.rgb_to_hsv rgb_to_hsv images
image.hsv_to_rgb hsv_to_rgb images
image.sobel_edges sobel_edges image=images
image.ssim ssim img1=image1 img2=image2 max_val filter_size filter_sigma k1 k2
"""
PLAIN_BACKEND = """
abs square sqr=square sqrt exp log round sign sin cos equal not_equal greater greater_equal less less_equal
maximum minimum sigmoid tanh softplus softsign identity=copy stop_gradient ndim zeros_like ones_like shape
int_shape=shape transpose
logical_and logical_or logical_not add update=second is_tensor is_keras_tensor=is_tensor
"""
BACKEND = """
sum sum x axis keepdims
mean mean x axis keepdims
max max x axis keepdims
min min x axis keepdims
prod prod x axis keepdims
var var x axis keepdims
std std x axis keepdims
any any x axis keepdims
all all x axis keepdims
logsumexp logsumexp x axis keepdims
argmax argmax x axis@-1
argmin argmin x axis@-1
cumsum cumsum x axis@0
cumprod cumprod x axis@0
clip clip x min_value=x_min max_value=x_max
cast cast x dtype
reshape reshape x shape=newshape
permute_dimensions transpose x pattern=axes
expand_dims expand_dims x axis@-1
squeeze squeeze x axis
concatenate concatenate tensors=xs axis@-1
stack stack x axis
tile tile x n=repeats
repeat_elements repeat x rep=repeats axis
one_hot one_hot indices=x num_classes
switch where condition then_expression=x1 else_expression=x2
elu elu x alpha
softmax softmax x axis
hard_sigmoid keras2_hard_sigmoid x
arange arange start stop step dtype
zeros zeros shape dtype
ones ones shape dtype
eye eye size=N dtype
constant convert_to_tensor value=x dtype
variable convert_to_tensor value=x dtype
pow power x=x1 a=x2
reverse flip x axes=axis
"""
NUMPY_NAMES = {"a": "x", "arr": "x", "object": "x", "arrays": "xs", "tup": "xs", "reps": "repeats", "a_min": "x_min"}
NUMPY_NAMES |= {"a_max": "x_max", "array": "x", "m": "x", "values": "x2", "shape": "newshape"}
NUMPY = {
    "pow": "power",
    "asarray": "array",
    "concat": "concatenate",
    "permute_dims": "transpose",
    "invert": "bitwise_not",
}


@dataclass(frozen=True)
class Renamed:
    """An operation of keras.ops under another name.

    Attributes:
        parameters: (theirs, ours), in their order; ours is "" for one without a meaning here.
        defaults: of ours, where they differ from those of keras.ops.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    defaults: Options


def dialect(*names: str) -> Callable[[F], F]:
    """Register a function of a dialect: `(b, *its arguments) -> value`."""

    def register(translation: F) -> F:
        DIALECTS.update(dict.fromkeys(names, translation))
        return translation

    return register


def parsed(library: str, table: str) -> dict[str, Renamed]:
    """A table of names and parameters; `axis@-1` states a default."""
    found = {}
    for line in table.strip().splitlines():
        name, target, *items = line.split()
        named = [item.partition("@")[0] for item in items]
        pairs = tuple((item.partition("=")[0], item.partition("=")[2] if "=" in item else item) for item in named)
        defaults = {item.partition("@")[0]: int(item.partition("@")[2]) for item in items if "@" in item}
        found[f"{library}.{name}"] = Renamed(target, pairs, defaults)
    return found


def listed(library: str, table: str) -> dict[str, str]:
    """A list of names, as they are or as `theirs=ours`."""
    pairs = (item.partition("=") for item in table.split())
    return {f"{library}.{theirs}": ours or theirs for theirs, _, ours in pairs}


PLAIN = listed("tf", PLAIN_TENSORFLOW) | listed("K", PLAIN_BACKEND)
RENAMED_CALLS = parsed("tf", TENSORFLOW) | parsed("K", BACKEND)


@cache
def load() -> None:
    """The functions that are no renamed operations register themselves."""
    for module in ("tensorflow", "tensorflow_nn", "tensorflow_math", "tensorflow_image", "random", "backend"):
        importlib.import_module(f"k2t.rules.operations.{module}")


def canonical(name: str) -> str:
    """`tensorflow.compat.v1.math.add` -> `tf.add`; `tf.keras.backend.sum` -> `K.sum`."""
    first, *rest = name.split(".")
    first = {"tensorflow": "tf", "numpy": "np", "tf_keras": "keras", "backend": "K"}.get(first, first)
    if first == "tf" and rest[:1] == ["keras"]:
        first, rest = "keras", rest[1:]
    if first == "keras" and rest[:1] == ["backend"]:
        first, rest = "K", rest[1:]
    if first == "tf":
        rest = [*(part for part in rest[:-1] if part not in SPARE), rest[-1]]
    return ".".join([first, *rest])


def call_dialect(b: Builder, name: str, args: Sequence[Any], kwargs: Options) -> Any:
    """Apply a function by the name under which people write it: `tf.nn.relu`, `K.sum`, `keras.ops.add`, `np.sqrt`.

    Raises:
        UntranslatableError: the function is unknown, or does not take these arguments.
    """
    load()
    short = canonical(name)
    library, _, last = short.rpartition(".")
    kwargs = {key: item for key, item in kwargs.items() if key not in IGNORED}
    if short in REFUSED_FUNCTIONS:
        raise UntranslatableError(f"{name}: {REFUSED_FUNCTIONS[short]}")
    if short in DIALECTS:
        return bound_call(b, name, DIALECTS[short], args, kwargs)
    if short in RENAMED_CALLS:
        return call_operation(b, *renamed(name, RENAMED_CALLS[short], args, kwargs))
    if short in PLAIN:
        return plain_call(b, PLAIN[short], (*args, *kwargs.values()))
    if library == "np" and NUMPY.get(last, last) in OPERATIONS:
        return call_operation(b, NUMPY.get(last, last), args, numpy_names(NUMPY.get(last, last), kwargs))
    if short.startswith("keras.ops."):
        return call_operation(b, last, args, kwargs)
    if library == "keras.activations" and last in ACTIVATIONS:
        named = {"negative_slope" if key == "alpha" and "relu" in last else key: i for key, i in kwargs.items()}
        return applied(b, name, ACTIVATIONS[last], args, named)
    raise UntranslatableError(f"no translation of {name}")


def plain_call(b: Builder, name: str, args: Sequence[Any]) -> Any:
    """An operation by position; `swapped_` where Python asks the second operand."""
    if name.startswith("swapped_"):
        return call_operation(b, name.removeprefix("swapped_"), tuple(reversed(args)), {})
    return args[1] if name == "second" else call_operation(b, name, args, {})


def bound_call(b: Builder, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Options) -> Any:
    """A function with arguments that it may not take."""
    known = inspect.signature(function).parameters
    named = {old_name(key, known): item for key, item in kwargs.items()}
    return applied(b, name, function, args, named)


def old_name(key: str, known: Any) -> str:
    """Today's name of a parameter."""
    return OLD_NAMES.get(key, key) if key not in known else key


def renamed(name: str, found: Renamed, args: Sequence[Any], kwargs: Options) -> tuple[str, list[Any], Options]:
    """The operation and its arguments under the names of keras.ops."""
    ours = dict(found.parameters)
    variadic = next((place for place, (theirs, _) in enumerate(found.parameters) if theirs[0] == "*"), len(ours))
    if len(args) > len(ours) and variadic == len(ours):
        raise UntranslatableError(f"{name} is called with {len(args)} arguments")
    named: Options = dict(found.defaults)
    for key, item in kwargs.items():
        theirs = old_name(key, ours)
        if theirs not in ours:
            raise UntranslatableError(f"{name} is called with {key}={item!r}, which has no translation")
        named[ours[theirs]] = item
    named |= {found.parameters[place][1]: item for place, item in enumerate(args[:variadic])}
    named = {key: formatted(key, item) for key, item in named.items() if key}
    if variadic < len(ours):
        front = [named.pop(key) for _, key in found.parameters[:variadic]]
        return found.name, [*front, *args[variadic:]], named
    return found.name, [], named


FORMATS = {"NHWC": "channels_last", "NCHW": "channels_first", "NWC": "channels_last", "NDHWC": "channels_last"}


def formatted(key: str, item: Any) -> Any:
    """TensorFlow's name of a data format as Keras's."""
    return FORMATS.get(item, item) if key == "data_format" and isinstance(item, str) else item


def numpy_names(name: str, kwargs: Options) -> Options:
    """Arguments of numpy under the names of keras.ops."""
    known = inspect.signature(OPERATIONS[name]).parameters
    return {key if key in known else NUMPY_NAMES.get(key, key): item for key, item in kwargs.items()}
