"""Operations on each element."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Code, Value
from k2t.rules.builder import Builder
from k2t.rules.operations.base import Options, elementwise, operation

# Functions of one tensor that torch has under the same name.
SAME_NAME = (
    "arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh deg2rad erf erfc erfinv exp2 expm1 floor i0 "
    "log log10 log1p log2 rad2deg reciprocal rsqrt sign sin sinc sinh sqrt square tan trunc"
)
UNARY = {"abs": "torch.abs", "absolute": "torch.abs", "fabs": "torch.abs", "negative": "-"}
TESTS = "isfinite isinf isnan isneginf isposinf isreal logical_not signbit"
BINARY = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "true_divide": "/",
    "floor_divide": "//",
    "mod": "%",
    "power": "**",
}
COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
}
# These take two tensors; a number has to become one first.
BINARY_TENSORS = "fmax fmin fmod gcd heaviside hypot lcm ldexp logaddexp logaddexp2 maximum minimum nextafter"
LOGICAL = "logical_and logical_or logical_xor"


def register_unary(name: str, target: str, dtype: str | None = None) -> None:
    """A function of one tensor."""
    operation(name)(lambda b, x: elementwise(b, target, x, dtype=dtype))


def register_binary(name: str, target: str, dtype: str | None = None) -> None:
    """An operator between tensors and numbers."""
    operation(name)(lambda b, x1, x2: elementwise(b, target, x1, x2, dtype=dtype or result_dtype(x1, x2)))


def register_binary_tensors(name: str, target: str, dtype: str | None = None) -> None:
    """A function of two tensors."""
    operation(name)(
        lambda b, x1, x2: elementwise(
            b, target, as_tensor(b, x1, x2), as_tensor(b, x2, x1), dtype=dtype or result_dtype(x1, x2)
        )
    )


def result_dtype(first: Any, second: Any) -> str | None:
    """The dtype of an operation on two arguments: a real one wins over an integer one."""
    dtypes = [item.dtype for item in (first, second) if isinstance(item, Value)]
    real = [dtype for dtype in dtypes if dtype.startswith(("float", "bfloat", "complex"))]
    return next(iter(real or dtypes), None)


def as_tensor(b: Builder, item: Any, like: Any) -> Any:
    """A number as a tensor of the dtype and device of `like`."""
    if not isinstance(item, int | float) or not isinstance(like, Value):
        return item
    return b.call(".new_tensor", like, item, shape=(), layout="keras")


for _name in SAME_NAME.split():
    register_unary(_name, f"torch.{_name}")
for _name, _target in UNARY.items():
    register_unary(_name, _target)
for _name in TESTS.split():
    register_unary(_name, f"torch.{_name}", "bool")
for _name, _target in BINARY.items():
    register_binary(_name, _target)
for _name, _target in COMPARISONS.items():
    register_binary(_name, _target, "bool")
for _name in BINARY_TENSORS.split():
    register_binary_tensors(_name, f"torch.{_name}")
register_binary_tensors("arctan2", "torch.atan2")
for _name in LOGICAL.split():
    register_binary_tensors(_name, f"torch.{_name}", "bool")


@operation("clip")
def clip(b: Builder, x: Any, x_min: Any, x_max: Any) -> Value:
    """torch.clamp."""
    return elementwise(b, "torch.clamp", x, x_min, x_max)


@operation("where")
def where(b: Builder, condition: Any, x1: Any = None, x2: Any = None) -> Value:
    """torch.where with both branches."""
    if x1 is None or x2 is None:
        raise UntranslatableError("where without two branches makes a tensor of unknown size")
    return elementwise(b, "torch.where", condition, x1, x2, dtype=result_dtype(x1, x2))


@operation("round")
def round_(b: Builder, x: Any, decimals: int = 0) -> Value:
    """torch.round, to the even neighbour as in numpy."""
    options: Options = {"decimals": decimals} if decimals else {}
    return elementwise(b, "torch.round", x, **options)


FLOATING = ("float16", "float32", "float64", "bfloat16", "half", "double", "float")


@operation("cast")
def cast(b: Builder, x: Any, dtype: str) -> Any:
    """Nothing between real dtypes, which are the module's own; `.to` where integers or booleans take part."""
    if not isinstance(x, Value) or x.dtype == dtype:
        return x
    if dtype in FLOATING and x.dtype.startswith(("float", "bfloat")):
        return x
    kind = "torch.float32" if dtype in FLOATING else f"torch.{dtype}"
    return b.call(".to", x, Code(kind), dtype="float32" if dtype in FLOATING else dtype)


@operation("stop_gradient")
def stop_gradient(b: Builder, variable: Any) -> Value:
    """.detach()."""
    return elementwise(b, ".detach", variable)


@operation("divide_no_nan")
def divide_no_nan(b: Builder, x1: Any, x2: Any) -> Value:
    """x1 / x2, 0 where x2 is 0."""
    zero = elementwise(b, "==", x2, 0, dtype="bool")
    return elementwise(b, "torch.where", zero, 0.0, elementwise(b, "/", x1, x2), dtype=result_dtype(x1, x2))
