"""Computes what is known now: functions of Python, math and numpy on constants, each of bounded size."""

from __future__ import annotations

import ast
import math
import re
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import leaves

# Code from a file is hostile: no constant grows beyond these.
MAX_BITS = 256
MAX_ITEMS = 10_000
MAX_ELEMENTS = 20_000_000

BUILTINS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "bool": bool,
    "chr": chr,
    "dict": dict,
    "divmod": divmod,
    "enumerate": enumerate,
    "float": float,
    "frozenset": frozenset,
    "int": int,
    "len": len,
    "list": list,
    "max": max,
    "min": min,
    "ord": ord,
    "range": range,
    "reversed": reversed,
    "round": round,
    "set": set,
    "slice": slice,
    "sorted": sorted,
    "str": str,
    "sum": sum,
    "tuple": tuple,
    "zip": zip,
}


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MATH = words("ceil cos exp fabs floor log log10 log2 sin sqrt tan tanh")
NUMPY = words(
    """abs absolute add arange array asarray ceil clip concatenate cos cosh cumsum diag divide exp expand_dims eye flip
    float32 float64 floor full hstack identity int32 int64 linspace log log10 log2 max maximum mean meshgrid min minimum
    mod multiply ones ones_like outer power prod repeat reshape round sin sinh sqrt square squeeze stack subtract sum
    tan tanh tile transpose tri tril triu vstack zeros zeros_like where equal not_equal greater greater_equal less
    less_equal logical_and logical_or logical_not dot matmul roll swapaxes moveaxis full_like argmax argmin any all
    empty ravel sort true_divide negative sign float16 uint8 bool_ int16 array_split split isnan pad copy"""
)
# What TensorFlow and Keras call otherwise.
NUMPY_NAMES = {
    "range": "arange",
    "concat": "concatenate",
    "reduce_sum": "sum",
    "reduce_prod": "prod",
    "reduce_max": "max",
    "pow": "power",
    "to_float": "float32",
    "constant": "asarray",
    "convert_to_tensor": "asarray",
}
# Functions whose result is larger than their arguments.
GROWING = words("arange empty eye full identity linspace meshgrid ones outer repeat tile tri zeros")
RENAMED = {"limit": "stop", "delta": "step"}


def compute(path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`library.function(*args)` of constants.

    Raises:
        UntranslatableError: the function is not known, fails, or its result would be too large.
    """
    library, _, name = path.rpartition(".")
    if name in ("cast", "saturate_cast"):
        return cast(*args, **kwargs)
    name = NUMPY_NAMES.get(name, name)
    function = getattr(math, name) if library == "math" and name in MATH else getattr(np, name, None)
    if function is None or (library != "math" and name not in NUMPY):
        raise UntranslatableError(f"{path} of constants")
    if name in GROWING and grown(name, args, kwargs) > MAX_ELEMENTS:
        raise UntranslatableError(f"{path}: a constant that large")
    kwargs = {RENAMED.get(key, key): item for key, item in kwargs.items() if key != "name"}
    try:
        result = function(*args, **kwargs)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UntranslatableError(f"{path}: {error}") from error
    return result.item() if isinstance(result, np.generic) else result


def cast(x: Any, dtype: Any = "float32", name: str = "") -> Any:
    """A number or an array of another type."""
    made = np.asarray(x).astype(dtype)
    return made if made.ndim else made.item()


def grown(name: str, args: list[Any], kwargs: dict[str, Any]) -> float:
    """At least the number of elements of the result."""
    numbers = [max(abs(item), 1) for item in leaves((args, kwargs)) if isinstance(item, int | float)]
    size = math.prod(item.size for item in leaves((args, kwargs)) if isinstance(item, np.ndarray))
    return size * float(sum(numbers) if name in ("arange", "linspace") else math.prod(numbers))


def builtin(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A builtin function of constants.

    Raises:
        UntranslatableError: it is not known, fails, or its result would be too large.
    """
    if name == "pow":
        return operate(ast.Pow, pow, *args)
    if name not in BUILTINS:
        raise UntranslatableError(f"{name}()")
    try:
        if name == "range" and len(range(*args)) > MAX_ITEMS:
            raise UntranslatableError("a range that long")
        return BUILTINS[name](*args, **kwargs)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UntranslatableError(f"{name}(): {error}") from error


def method(subject: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a constant; `METHODS` says which there are."""
    if name == "format":
        return Template().vformat(subject, args, kwargs)
    if name == "join" and isinstance(subject, str):
        args = [list(args[0])]
    if name == "as_list":
        return [item if isinstance(item, int) else None for item in subject]
    if isinstance(subject, np.ndarray) and name in ("get_shape", "numpy"):  # of a constant of TensorFlow
        return subject.shape if name == "get_shape" else subject
    if name == "sort" and "key" in kwargs:
        raise UntranslatableError("a sort by a key")
    if name in ("lstrip", "rstrip", "strip", "replace") and len(subject) > MAX_ITEMS:
        raise UntranslatableError("a text that long")
    if name == "extend" and len(subject) + len(args[0]) > MAX_ITEMS:
        raise UntranslatableError("a list that long")
    try:
        return getattr(subject, name)(*args, **kwargs)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UntranslatableError(f".{name}(): {error}") from error


def spelled(value: Any, spec: str = "") -> str:
    """`format(value, spec)`; no wider than is sensible.

    Raises:
        UntranslatableError: the specification is none for the value, or asks for a huge text.
    """
    if any(int(number) > MAX_ITEMS for number in re.findall(r"[0-9]+", spec)):
        raise UntranslatableError("a text that long")
    try:
        return format(value, spec)
    except (TypeError, ValueError) as error:
        raise UntranslatableError(str(error)) from error


class Template(string.Formatter):
    """`str.format` of plain data: fields have no attributes, and are no wider than is sensible."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        """The value of a field."""
        if "." in field_name or "[" in field_name:
            raise UntranslatableError(f"the field {field_name!r} in a text")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> Any:
        """The text of a field."""
        return spelled(value, format_spec)


def operate(kind: type[ast.AST], function: Callable[..., Any], left: Any, right: Any) -> Any:
    """An operator between constants.

    Raises:
        UntranslatableError: it fails, or its result would be too large.
    """
    if too_large(kind, left, right):
        raise UntranslatableError("a number or list that large")
    if kind is ast.Mod and isinstance(left, str):
        for width in re.findall(r"[0-9]+", left):
            if int(width) > MAX_ITEMS:
                raise UntranslatableError("a text that long")
        if "*" in left:
            raise UntranslatableError("a text of variable width")
    try:
        return function(left, right)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UntranslatableError(str(error)) from error


def too_large(kind: type[ast.AST], left: Any, right: Any) -> bool:
    """Whether an operation on constants would grow without bound."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length(), right.bit_length()
        return (kind is ast.Pow and bits[0] * max(right, 1) > MAX_BITS) or (kind is ast.Mult and sum(bits) > MAX_BITS)
    lengths = [len(item) for item in (left, right) if isinstance(item, list | tuple | str | bytes)]
    if kind is ast.Mult and lengths:
        counts = [abs(item) for item in (left, right) if isinstance(item, int)]
        return bool(counts) and lengths[0] * counts[0] > MAX_ITEMS
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.size * right.size > MAX_ELEMENTS and left.shape != right.shape
    return sum(lengths) > MAX_ITEMS
