"""Operations on each element."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Code, Parameter, Size, Value
from k2t.rules.builder import Builder
from k2t.rules.operations.base import (
    Call,
    Options,
    any_tensor,
    as_floating,
    call,
    dtype_of,
    elementwise,
    floating,
    is_complex,
    is_real,
    operation,
    real,
    tensor,
    torch_dtype,
    whole,
)

# Functions of one tensor that torch has under the same name, and what they make of whole numbers is real.
SAME_NAME = (
    "arccos arccosh arcsin arcsinh arctan arctanh cos cosh deg2rad erf erfc erfinv exp2 expm1 i0 "
    "log log10 log1p log2 rad2deg reciprocal rsqrt sin sinc sinh sqrt tan tanh sigmoid exp"
)
KEPT = {"abs": "torch.abs", "absolute": "torch.abs", "fabs": "torch.abs", "negative": "-"}
KEPT |= {name: f"torch.{name}" for name in ["ceil", "floor", "sign", "square", "trunc"]}
TESTS = "isfinite isinf isnan isneginf isposinf isreal signbit"
BINARY = {"add": "+", "subtract": "-", "multiply": "*", "mod": "%", "power": "**"}
DIVISIONS = ("divide", "true_divide")
COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
}
# These take two tensors; a number has to become one first.
BINARY_TENSORS = "fmax fmin fmod heaviside hypot logaddexp logaddexp2 maximum minimum nextafter"
WHOLE_TENSORS = "gcd lcm"
BITS = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "bitwise_left_shift": "<<", "left_shift": "<<"}
BITS |= {"bitwise_right_shift": ">>", "right_shift": ">>"}
LOGICAL = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}
# What the same operators do with numbers known beforehand.
FOLDED: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_X, _Y = real(None, 4, 3), real(None, 4, 3)
UNARY_EXAMPLES = [call(_X)]
VECTOR = np.array([0.5, 1.5, -2.0])
BINARY_EXAMPLES = [call(_X, _Y), call(_X, real(None, 1, 3)), call(_X, 0.5)]


def folded(name: str, *args: Any) -> Any:
    """What numpy computes of constants."""
    with np.errstate(all="ignore"):
        return np.asarray(getattr(np, name)(*args)).tolist()


def register_unary(name: str, target: str, dtype: str | None, examples: list[Call]) -> None:
    """A function of one tensor; `dtype` is "" where whole numbers become real."""

    def translation(b: Builder, x: Any) -> Any:
        if not any_tensor(x) and hasattr(np, name):
            return folded(name, x)
        x = tensor(b, x)
        return elementwise(b, target, x, dtype=floating(x) if dtype == "" else dtype)

    operation(name, examples=examples)(translation)


def register_binary(name: str, target: str, dtype: str | None, examples: list[Call]) -> None:
    """An operator between tensors and numbers; `dtype` is "" where whole numbers become real."""

    def translation(b: Builder, x1: Any, x2: Any) -> Any:
        if not any_tensor(x1, x2):
            return folded(name, x1, x2)
        made = floating(x1, x2) if dtype == "" else dtype or result_dtype(x1, x2)
        if target == "-" and made == "bool":
            raise UntranslatableError(f"{name} of booleans")
        return elementwise(b, target, x1, x2, dtype=made)

    operation(name, examples=examples)(translation)


def register_tensors(name: str, target: str, dtype: str | None, examples: list[Call]) -> None:
    """A function of two tensors."""

    def translation(b: Builder, x1: Any, x2: Any) -> Any:
        if not any_tensor(x1, x2) and hasattr(np, name):
            return folded(name, x1, x2)
        first, second = as_tensor(b, x1, x2), as_tensor(b, x2, x1)
        return elementwise(b, target, first, second, dtype=dtype or result_dtype(x1, x2))

    operation(name, examples=examples)(translation)


def result_dtype(*items: Any) -> str | None:
    """The dtype of an operation: complex wins over real, real over whole, whole over boolean."""
    dtypes = [dtype_of(item) for item in items if isinstance(item, Value | Parameter)]
    dtypes += ["float32" for item in items if type(item) is float]
    for wins in (is_complex, is_real, lambda dtype: dtype != "bool"):
        if found := [dtype for dtype in dtypes if wins(dtype)]:
            return found[0]
    return next(iter(dtypes), None)


def as_tensor(b: Builder, item: Any, like: Any) -> Any:
    """A number as a tensor of the dtype and device of `like`."""
    if not isinstance(item, int | float | Size) or not isinstance(like, Value):
        return item
    return b.call(".new_tensor", like, item, shape=(), layout="keras")


for _name in SAME_NAME.split():
    register_unary(_name, f"torch.{_name}", "", UNARY_EXAMPLES)
for _name, _target in KEPT.items():
    register_unary(_name, _target, None, UNARY_EXAMPLES)
for _name in TESTS.split():
    register_unary(_name, f"torch.{_name}", "bool", UNARY_EXAMPLES)
for _name, _target in BINARY.items():
    _examples = (
        [*BINARY_EXAMPLES, call(_X, VECTOR)]
        if _name != "power"
        else [call(real(None, 4, between=(0.5, 2)), _p) for _p in (2, 0.5)]
    )
    register_binary(_name, _target, None, _examples)
for _name in DIVISIONS:
    register_binary(_name, "/", "", [*BINARY_EXAMPLES, call(1.0, _X), call(VECTOR, _X)])
for _name, _target in COMPARISONS.items():
    register_binary(_name, _target, "bool", BINARY_EXAMPLES)
for _name in BINARY_TENSORS.split():
    _usable = [] if _name == "logaddexp2" else BINARY_EXAMPLES[:2]  # its logarithm of 2 is a float32 in Keras
    register_tensors(_name, f"torch.{_name}", None, _usable)
for _name in WHOLE_TENSORS.split():
    register_tensors(_name, f"torch.{_name}", None, [call(whole(None, 4, below=30), whole(None, 4, below=30))])


@operation("floor_divide", examples=[*BINARY_EXAMPLES, *(call(whole(None, 3, below=30), n) for n in (VECTOR, 0.1, 3))])
def floor_divide(b: Builder, x1: Any, x2: Any) -> Any:
    """The operator // for whole numbers; for real ones, as in TensorFlow, the quotient as it is rounded counts."""
    if not any_tensor(x1, x2):
        return folded("floor_divide", x1, x2)
    made = result_dtype(x1, x2)
    if made is None or not is_real(made):
        return elementwise(b, "//", x1, x2, dtype=made)
    return elementwise(b, "torch.floor", elementwise(b, "/", x1, x2, dtype=made))


def register_bits(name: str, target: str) -> None:
    """An operator between whole numbers."""
    operation(name, examples=[call(whole(None, 4, below=30), whole(None, 4))])(
        lambda b, x, y: elementwise(b, target, x, y, dtype=result_dtype(x, y))
    )


for _name, _target in BITS.items():
    register_bits(_name, _target)
register_tensors("arctan2", "torch.atan2", None, BINARY_EXAMPLES[:2])


def register_logical(name: str, target: str) -> None:
    """An operator between booleans; other numbers are true unless they are 0."""

    def translation(b: Builder, x1: Any, x2: Any) -> Any:
        return elementwise(b, target, as_boolean(b, x1), as_boolean(b, x2), dtype="bool")

    operation(name, examples=[call(whole(None, 4, below=2), whole(None, 4, below=2))])(translation)


def as_boolean(b: Builder, item: Any) -> Any:
    """Whether each number differs from 0."""
    if not isinstance(item, Value) or item.dtype == "bool":
        return item
    return elementwise(b, "!=", item, 0, dtype="bool")


for _name, _target in LOGICAL.items():
    register_logical(_name, _target)


@operation("logical_not", examples=UNARY_EXAMPLES)
def logical_not(b: Builder, x: Any) -> Any:
    """The operator ~."""
    if isinstance(x, Value) and x.dtype == "bool":
        return elementwise(b, "~", x)
    return elementwise(b, "torch.logical_not", x, dtype="bool") if any_tensor(x) else not x


@operation("bitwise_not", "bitwise_invert", examples=[call(whole(None, 4, below=30))])
def bitwise_not(b: Builder, x: Value) -> Value:
    """The operator ~."""
    return elementwise(b, "~", x)


@operation("ldexp", examples=[call(real(None, 4), whole(None, 4))])
def ldexp(b: Builder, x1: Any, x2: Any) -> Value:
    """torch.ldexp."""
    return elementwise(b, "torch.ldexp", x1, x2, dtype=floating(x1))


@operation("cbrt", examples=UNARY_EXAMPLES)
def cbrt(b: Builder, x: Value) -> Value:
    """The third root of the absolute value, with the sign."""
    root = elementwise(b, "**", elementwise(b, "torch.abs", x), 1 / 3, dtype=floating(x))
    return elementwise(b, "*", elementwise(b, "torch.sign", x), root, dtype=floating(x))


@operation("clip", examples=[call(_X, -0.5, 0.5), call(_X, -1, 1)])
def clip(b: Builder, x: Any, x_min: Any, x_max: Any) -> Any:
    """torch.clamp."""
    if not any_tensor(x, x_min, x_max):
        return folded("clip", x, x_min, x_max)
    dtype = result_dtype(x, x_min, x_max)
    if any_tensor(x_min, x_max):
        lower = elementwise(b, "torch.maximum", as_tensor(b, x, x_min), as_tensor(b, x_min, x), dtype=dtype)
        return elementwise(b, "torch.minimum", lower, as_tensor(b, x_max, x), dtype=dtype)
    if x_min is None or x_max is None:
        bounds: Options = {"min": x_min} if x_max is None else {"max": x_max}
        return elementwise(b, "torch.clamp", x, dtype=dtype, **bounds)
    return elementwise(b, "torch.clamp", x, x_min, x_max, dtype=dtype)


@operation("where", examples=[call(whole(None, 4, below=2), real(None, 4), 0.0)])
def where(b: Builder, condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """torch.where with both branches; the indices where there is only a condition."""
    if x1 is None or x2 is None:
        rank = len(condition.shape)
        places = tuple(b.value((None,), "int64") for _ in range(rank))
        b.calls("torch.where", condition, outputs=places)
        return list(places)
    if not any_tensor(condition):
        return x1 if condition else x2
    return elementwise(b, "torch.where", as_boolean(b, condition), x1, x2, dtype=result_dtype(x1, x2))


@operation(
    "select", examples=[call([whole(None, 4, below=2), whole(None, 4, below=2)], [real(None, 4), real(None, 4)], 0.5)]
)
def select(b: Builder, condlist: list[Any], choicelist: list[Any], default: Any = 0) -> Any:
    """torch.where, once for each condition; the first that holds wins."""
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = where(b, condition, choice, result)
    return result


@operation("round", examples=[call(_X), call(_X, 1), call(_X, decimals=-1)])
def round_(b: Builder, x: Any, decimals: int = 0) -> Any:
    """torch.round, to the even neighbour as in numpy."""
    if not any_tensor(x):
        return folded("round", x, decimals)
    options: Options = {"decimals": decimals} if decimals else {}
    return elementwise(b, "torch.round", x, **options)


@operation("saturate_cast", examples=[call(real(None, 4, between=(-900, 900)), "int8")])
def saturate_cast(b: Builder, x: Any, dtype: str) -> Any:
    """.to within the range of whole numbers."""
    if isinstance(x, Value) and "int" in dtype:
        x = elementwise(b, "torch.clamp", x, int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    return cast(b, x, dtype)


@operation("cast", examples=[call(_X, "int32"), call(whole(None, 4), "float64"), call(_X, "bool")])
def cast(b: Builder, x: Any, dtype: str) -> Any:
    """Nothing between real dtypes, which are the module's own; `.to` where integers or booleans take part."""
    if isinstance(x, Parameter | Size):
        return x
    if not isinstance(x, Value):
        return float(x) if is_real(dtype) and isinstance(x, int) else int(x) if "int" in dtype else x
    if x.dtype == dtype or (is_real(dtype) and is_real(x.dtype)):
        return x
    return b.call(".to", x, torch_dtype(dtype), dtype=dtype)


@operation("view", examples=[call(whole(None, 4), "float32")])
def view(b: Builder, x: Value, dtype: str | None = None) -> Value:
    """.view: the same bytes as another dtype of the same width."""
    if dtype is None or dtype == x.dtype:
        return x
    widths = [int("".join(c for c in name if c.isdigit()) or 8) for name in (dtype, x.dtype)]
    if widths[0] != widths[1]:
        raise UntranslatableError(f"a view of {x.dtype} as {dtype}, which is of another width")
    return b.call(".view", x, Code(f"torch.{dtype}"), dtype=dtype)


@operation("stop_gradient", examples=UNARY_EXAMPLES)
def stop_gradient(b: Builder, variable: Any) -> Any:
    """.detach()."""
    return elementwise(b, ".detach", variable) if isinstance(variable, Value) else variable


@operation("copy", examples=UNARY_EXAMPLES)
def copy(b: Builder, x: Any) -> Any:
    """Nothing: no operation changes its arguments."""
    return x


@operation("divide_no_nan", examples=[call(_X, whole(None, 4, 3, below=2)), call(_X, 0.0), call(_X, _Y)])
def divide_no_nan(b: Builder, x1: Any, x2: Any) -> Any:
    """x1 / x2, 0 where x2 is 0."""
    if isinstance(x2, int | float):
        return elementwise(b, "/", x1, x2) if x2 else elementwise(b, "torch.zeros_like", x1)
    zero = elementwise(b, "==", x2, 0, dtype="bool")
    quotient = elementwise(b, "/", x1, x2, dtype=floating(x1, x2))
    return elementwise(b, "torch.where", zero, 0.0, quotient, dtype=floating(x1, x2))


@operation("nan_to_num", examples=[call(_X), call(_X, 1.0, posinf=2.0)])
def nan_to_num(b: Builder, x: Value, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """torch.nan_to_num."""
    given: Options = {"nan": nan or None, "posinf": posinf, "neginf": neginf}
    return elementwise(b, "torch.nan_to_num", x, **{key: item for key, item in given.items() if item is not None})


@operation("isclose", examples=[call(_X, _Y), call(_X, _X, 0.1, 0.2, True)])
def isclose(b: Builder, x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Value:
    """torch.isclose."""
    given: Options = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}
    usual = {"rtol": 1e-5, "atol": 1e-8, "equal_nan": False}
    options = {key: item for key, item in given.items() if item != usual[key]}
    return elementwise(b, "torch.isclose", as_tensor(b, x1, x2), as_tensor(b, x2, x1), dtype="bool", **options)


@operation("allclose", examples=[call(_X, _X), call(_X, _Y)])
def allclose(b: Builder, x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Value:
    """torch.isclose, then .all."""
    return b.call(".all", isclose(b, x1, x2, rtol, atol, equal_nan), shape=(), dtype="bool", layout="keras")


@operation("isin", examples=[call(whole(None, 4), [1, 3]), call(whole(None, 4), whole(3), invert=True)])
def isin(b: Builder, x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Value:
    """torch.isin."""
    options: Options = {"invert": True} if invert else {}
    return b.call("torch.isin", x1, tensor(b, x2), shape=x1.shape, dtype="bool", layout="keras", **options)


@operation("conj", "conjugate", examples=UNARY_EXAMPLES)
def conjugate(b: Builder, x: Value) -> Value:
    """torch.conj; real numbers as they are."""
    return elementwise(b, "torch.conj", x) if is_complex(x.dtype) else x


@operation("real", examples=UNARY_EXAMPLES)
def real_part(b: Builder, x: Value) -> Value:
    """torch.real."""
    return elementwise(b, "torch.real", x, dtype="float32") if is_complex(x.dtype) else x


@operation("imag", examples=UNARY_EXAMPLES)
def imaginary_part(b: Builder, x: Value) -> Value:
    """torch.imag; 0 for real numbers."""
    if is_complex(x.dtype):
        return elementwise(b, "torch.imag", x, dtype="float32")
    return elementwise(b, "torch.zeros_like", x)


@operation("angle", examples=UNARY_EXAMPLES)
def angle(b: Builder, x: Value) -> Value:
    """torch.angle."""
    return elementwise(b, "torch.angle", x, dtype=floating(x) if not is_complex(x.dtype) else "float32")


@operation("polar", examples=[call(_X, _Y)])
def polar(b: Builder, abs_: Value, angle: Value) -> Value:
    """torch.polar."""
    return elementwise(b, "torch.polar", abs_, angle, dtype="complex64")


@operation("gelu", examples=[call(_X), call(_X, False)])
def gelu(b: Builder, x: Value, approximate: bool = True) -> Value:
    """F.gelu; by default the approximation, unlike the activation."""
    options: Options = {"approximate": "tanh"} if approximate else {}
    return elementwise(b, "F.gelu", as_floating(b, x), **options)
