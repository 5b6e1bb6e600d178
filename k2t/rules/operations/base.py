"""What an operation is: a function of `keras.ops`, added to the graph by name.

Functional models of Keras 3 record them; what TensorFlow and the Keras backend call otherwise is
spelled in these names by `dialects`. A parameter has the name that `keras.ops` gives it.
"""

from __future__ import annotations

import inspect
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Shape, map_structure
from k2t.program import Code, LayoutKind, Parameter, Size, Value, leaves
from k2t.rules.activations import ACTIVATIONS
from k2t.rules.base import broadcast
from k2t.rules.builder import Builder

F = TypeVar("F", bound=Callable[..., Any])
Options = dict[str, Any]


@dataclass(frozen=True)
class Given:
    """An input of an example: its shape with batch (None is tested with several sizes) and what it holds.

    Attributes:
        below: for integer inputs, the numbers that they hold are 0 to `below` - 1; 0 for real inputs.
        between: for real inputs, the smallest and largest number; normally distributed without.
        step: for real inputs, all are multiples of it: exact even where Keras computes in float32.
    """

    shape: Shape
    below: int = 0
    between: tuple[float, float] | None = None
    step: float = 0


@dataclass(frozen=True)
class Call:
    """A call from which a parity test is generated: the arguments of the function, inputs anywhere in them."""

    args: tuple[Any, ...]
    kwargs: Options


def real(*shape: int | None, between: tuple[float, float] | None = None) -> Given:
    """A real input of this shape, batch included."""
    return Given(shape, between=between)


def whole(*shape: int | None, below: int = 5) -> Given:
    """An input of whole numbers."""
    return Given(shape, below)


def call(*args: Any, **kwargs: Any) -> Call:
    """An example of a call."""
    return Call(args, kwargs)


OPERATIONS: dict[str, Callable[..., Any]] = {}
REFUSED_OPERATIONS: dict[str, str] = {}
EXAMPLES: dict[str, list[Call]] = defaultdict(list)
# Names of classes that are not the function's in CamelCase.
CLASS_NAMES = {
    "all_close": "allclose",
    "batch_norm": "recorded_batch_normalization",
    "c_dist": "cdist",
    "einsum": "recorded_einsum",
    "is_in": "isin",
    "layer_norm": "layer_normalization",
    "quantile": "recorded_quantile",
    "re_lu": "relu",
    "rms_norm": "rms_normalization",
    "search_sorted": "searchsorted",
}
# The largest constant that an operation may make, and the most parts that it may take a tensor apart into.
MAX_ELEMENTS = 2**26
MAX_PARTS = 2**14
# Parameters of `keras.ops` whose name a translation cannot have.
RENAMED = {"b": "b_"}


def operation(*names: str, examples: Sequence[Call] = ()) -> Callable[[F], F]:
    """Register the translation of `keras.ops.<name>`: `(b, *arguments) -> value`."""

    def register(translation: F) -> F:
        for name in names:
            if name in OPERATIONS:
                raise ValueError(f"{name} is translated already")
            OPERATIONS[name] = translation
            EXAMPLES[name] += examples
        return translation

    return register


def snake_case(name: str) -> str:
    """`ExpandDims` -> `expand_dims`, as Keras names the function of an operation class."""
    spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return CLASS_NAMES.get(spelled, spelled)


def call_operation(b: Builder, name: str, args: Sequence[Any], kwargs: Options) -> Any:
    """Apply `keras.ops.<name>` to values and constants.

    Raises:
        UntranslatableError: the operation is unknown, refused, or does not take these arguments.
    """
    if name in REFUSED_OPERATIONS:
        raise UntranslatableError(f"{name}: {REFUSED_OPERATIONS[name]}")
    translation = OPERATIONS.get(name) or ACTIVATIONS.get(name)
    if translation is None:
        raise UntranslatableError(f"no translation of the operation {name}")
    return applied(b, name, translation, args, kwargs)


def applied(b: Builder, name: str, translation: Callable[..., Any], args: Sequence[Any], kwargs: Options) -> Any:
    """The result of a translation for arguments that may be anything.

    Raises:
        UntranslatableError: it does not take these arguments.
    """
    args, kwargs = map_structure(scalar, (tuple(args), {RENAMED.get(key, key): item for key, item in kwargs.items()}))
    try:
        bound = inspect.signature(translation).bind(b, *args, **kwargs)
    except TypeError as error:
        raise UntranslatableError(f"{name}: {error}") from error
    for key, item in bound.arguments.items():  # TensorFlow stacks a list where it wants a tensor
        if isinstance(item, list | tuple) and bound.signature.parameters[key].annotation == "Value":
            bound.arguments[key] = tensor(b, item)
    try:
        return translation(*bound.args, **bound.kwargs)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise UntranslatableError(f"{name} cannot be applied to these arguments: {error}") from error


def scalar(item: Any) -> Any:
    """Numbers of numpy as those of Python."""
    if isinstance(item, np.generic) or (isinstance(item, np.ndarray) and item.ndim == 0):
        return item.item()
    return item


def limited(*sizes: Any) -> None:
    """Refuse what a damaged or hostile file could make fill the memory.

    Raises:
        UntranslatableError: a constant of these sizes has too many elements.
    """
    if math.prod(abs(int(size)) for size in sizes) > MAX_ELEMENTS:
        raise UntranslatableError(f"a constant of size {tuple(sizes)} has more than {MAX_ELEMENTS} elements")


def is_tensor(item: Any) -> bool:
    """Whether an argument is a tensor or a run-time number, not a constant."""
    return isinstance(item, Value | Parameter | Size)


def any_tensor(*items: Any) -> bool:
    """Whether there is a tensor anywhere in nested arguments."""
    return any(is_tensor(leaf) for leaf in leaves(items))


def shape_of(item: Any) -> Shape:
    """The shape of an argument; constants of Python are scalars."""
    return item.shape if isinstance(item, Value | Parameter) else ()


def tensor(b: Builder, item: Any, name: str = "constant") -> Any:
    """A list or an array of constants as a buffer; tensors and numbers as they are; lists of tensors stacked."""
    if isinstance(item, list | tuple) and any_tensor(item):
        return call_operation(b, "stack", [[tensor(b, part) for part in item]], {})
    if not isinstance(item, list | tuple | np.ndarray):
        return item
    array = np.asarray(item)
    if name == "constant" and is_range(array):
        name = "positions"
    taken = sum(key.startswith(name) for key in b.parts.modules)
    return b.constant(f"{name}_{taken + 1}" if taken else name, array)


def is_range(array: np.ndarray[Any, Any]) -> bool:
    """Whether it is 0, 1, 2, ..., which is what embeddings of positions read."""
    return array.dtype.kind == "i" and array.size > 1 and array.ravel().tolist() == [*range(array.size)]


def elementwise(b: Builder, target: str, *args: Any, dtype: str | None = None, **kwargs: Any) -> Value:
    """A function of torch over tensors and numbers, as they broadcast."""
    operands = [tensor(b, arg) for arg in args]
    rank = max((len(item.shape) for item in operands if isinstance(item, Value)), default=0)
    for item in operands:
        if isinstance(item, Parameter) and 0 < len(item.shape) <= rank:
            item.axes = tuple(range(-len(item.shape), 0))
    shape = broadcast(*(shape_of(arg) for arg in operands))
    first = next((dtype_of(item) for item in operands if isinstance(item, Value | Parameter)), "int32")
    return b.call(target, *operands, shape=shape, dtype=dtype or first, **kwargs)


def invoke(
    b: Builder,
    target: str,
    args: Sequence[Any],
    kwargs: Options,
    shape: Shape,
    dtype: str,
    layout: LayoutKind = "keras",
) -> Value:
    """Like `Builder.call`, for functions that have parameters named `dtype` or `shape`."""
    output = b.value(shape, dtype)
    b.calls(target, *args, outputs=output, layout=layout, **kwargs)
    return output


def torch_dtype(dtype: str) -> Code:
    """`torch.int32`; the one in which the model computes for Keras's default, float32."""
    if dtype in ("float32", "float"):
        return Code("torch.get_default_dtype()")
    return Code(f"torch.{DTYPE_NAMES.get(dtype, dtype)}")


DTYPE_NAMES = {"int": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64", "double": "float64"}


def is_real(dtype: str) -> bool:
    """Whether it is a floating point dtype."""
    return dtype.startswith(("float", "bfloat", "half", "double"))


def is_complex(dtype: str) -> bool:
    """Whether it is a complex dtype."""
    return dtype.startswith("complex")


def floating(x: Any, *others: Any) -> str:
    """The dtype of the results of functions that make real numbers of whole ones."""
    found = [dtype_of(item) for item in (x, *others) if isinstance(item, Value | Parameter)]
    return next((dtype for dtype in found if is_real(dtype) or is_complex(dtype)), "float32")


def dtype_of(item: Any) -> str:
    """The dtype of a tensor or a constant."""
    if isinstance(item, Value):
        return item.dtype
    if isinstance(item, Parameter):
        constant = not item.weight.variables
        return str(item.weight.transform().dtype.name) if constant else item.weight.variables[0].dtype
    return "bool" if isinstance(item, bool) else "int32" if isinstance(item, int | Size) else "float32"


def as_floating(b: Builder, x: Any) -> Any:
    """Whole numbers as real ones, for functions of torch that take nothing else."""
    if not isinstance(x, Value) or is_real(x.dtype) or is_complex(x.dtype):
        return x
    return b.call(".to", x, torch_dtype("float32"), dtype="float32")


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """An option `axis` as axes counted from the front; None means all."""
    if axis is None:
        return tuple(range(rank))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not isinstance(item, int) or not -rank <= item < rank for item in axes):
        raise UntranslatableError(f"axis {axis} is out of range for {rank} axes")
    return tuple(sorted(item % rank for item in axes))


def normal_axis(axis: Any, rank: int) -> int:
    """One axis, counted from the front."""
    (one,) = normal_axes(int(axis) if isinstance(axis, int | float) else axis, rank)
    return one


def replaced(shape: Shape, axis: int, size: int | None) -> Shape:
    """`shape` with another size at `axis`, which is counted from the front."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def size_product(sizes: Sequence[int | None]) -> int | None:
    """The number of elements, None where it is unknown."""
    return None if None in sizes else math.prod(size or 0 for size in sizes)
