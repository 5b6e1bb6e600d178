"""What the names of traced code stand for: libraries, functions, methods; and the limits of what it may do."""

from __future__ import annotations

import ast
import math
import operator
import string
from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError

# Code from a file is hostile: it ends after so many steps.
MAX_STEPS = 100_000

OPERATORS: dict[type[ast.AST], tuple[str, Callable[..., Any]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("subtract", operator.sub),
    ast.Mult: ("multiply", operator.mul),
    ast.Div: ("true_divide", operator.truediv),
    ast.FloorDiv: ("floor_divide", operator.floordiv),
    ast.Mod: ("mod", operator.mod),
    ast.Pow: ("power", operator.pow),
    ast.MatMult: ("matmul", operator.matmul),
    ast.BitAnd: ("logical_and", operator.and_),
    ast.BitOr: ("logical_or", operator.or_),
    ast.BitXor: ("logical_xor", operator.xor),
    ast.Lt: ("less", operator.lt),
    ast.LtE: ("less_equal", operator.le),
    ast.Gt: ("greater", operator.gt),
    ast.GtE: ("greater_equal", operator.ge),
    ast.Eq: ("equal", operator.eq),
    ast.NotEq: ("not_equal", operator.ne),
}
IDENTITY: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
# Builtin functions that are followed in a way of their own.
FUNCTIONS = frozenset({"isinstance", "print", "hasattr", "getattr", "super", "pow"})
TEXT_METHODS = frozenset(
    {"capitalize", "count", "endswith", "find", "format", "index", "isdigit", "join", "lower", "lstrip", "partition"}
    | {"replace", "rpartition", "rsplit", "rstrip", "split", "startswith", "strip", "title", "upper"}
)
# Methods of constants that may be called: they compute, and touch nothing else.
METHODS: dict[type[Any], frozenset[str]] = {
    list: frozenset(
        {"append", "as_list", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"}
    ),
    tuple: frozenset({"as_list", "count", "index"}),
    dict: frozenset({"copy", "get", "items", "keys", "pop", "setdefault", "update", "values"}),
    set: frozenset({"add", "copy", "difference", "discard", "intersection", "issubset", "remove", "union", "update"}),
    str: TEXT_METHODS,
    np.ndarray: frozenset(
        {"all", "any", "argmax", "argmin", "astype", "clip", "copy", "cumsum", "dot", "flatten", "get_shape", "item"}
        | {"max", "mean", "min", "numpy", "prod", "ravel", "repeat", "reshape", "round", "squeeze", "std", "sum"}
        | {"swapaxes", "tolist", "transpose", "var"}
    ),
    np.generic: frozenset({"astype", "item"}),
}
ARRAY_ATTRIBUTES = frozenset({"T", "dtype", "ndim", "shape", "size"})
DTYPES = "bool int8 uint8 int16 uint16 int32 int64 float16 float32 float64 complex64 complex128"
STRINGS = "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation whitespace"
# Attributes of libraries that are constants.
CONSTANTS: dict[str, Any] = {
    **{f"{library}.{name}": name for library in ("tf", "np", "tf.dtypes") for name in DTYPES.split()},
    **{f"{library}.{name}": getattr(math, name) for library in ("np", "math") for name in ("pi", "e", "inf", "nan")},
    **{f"string.{name}": getattr(string, name) for name in STRINGS.split()},
    **{f"np.{alias}": name for alias, name in (("bool", "bool"), ("int", "int64"), ("float", "float64"))},
    "tf.newaxis": None,
    "np.newaxis": None,
    "keras.ops.newaxis": None,
}
# Names under which people import the libraries whose functions have translations.
LIBRARIES = {
    "K": "K",
    "backend": "K",
    "T": "K",
    "tf": "tf",
    "tensorflow": "tf",
    "np": "np",
    "numpy": "np",
    "ops": "keras.ops",
    "keras": "keras",
    "math": "math",
}


@dataclass(frozen=True)
class Library:
    """A name inside a library: `tf.nn.relu`."""

    path: str


@dataclass(frozen=True)
class Unknown:
    """A value that the code does not hold.

    Attributes:
        text: the expression that makes it.
        place: `file:line:column`.
        name: the name that it was given, or "".
        reason: why it is not known.
    """

    text: str
    place: str = ""
    name: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """What is not known, where, and what to do."""
        what = f"{self.name} = {self.text}" if self.name not in ("", self.text) else self.text
        why = f" ({self.reason})" if self.reason else ""
        where = f" at {self.place}" if self.place else ""
        hint = f"; give it with --arg {self.name}=VALUE" if self.name else ""
        return f"the code does not hold the value of `{what}`{where}{why}{hint}"


def unknown_of(*items: Any) -> Unknown | None:
    """The first of several values that is not known."""
    return next((item for item in items if isinstance(item, Unknown)), None)


class Scope(ChainMap[str, Any]):
    """The names of a function, and those around it, innermost first."""

    def __init__(self, own: MutableMapping[str, Any], around: Mapping[str, Any] | None = None) -> None:
        outer = around.maps if isinstance(around, ChainMap) else [around] if around is not None else []
        super().__init__(own, *outer)
        self.elsewhere: dict[str, MutableMapping[str, Any]] = {}

    def __setitem__(self, name: str, value: Any) -> None:
        """Bind a name here, or where `global` and `nonlocal` say."""
        self.elsewhere.get(name, self.maps[0])[name] = value


@dataclass(frozen=True)
class Closure:
    """A function of the code itself, with the names around it.

    Attributes:
        defaults: of its arguments, as they were when it was defined; None where they are computed at each call.
    """

    node: ast.Lambda | ast.FunctionDef
    names: Mapping[str, Any] = field(repr=False, default_factory=dict)
    defaults: Mapping[str, Any] | None = field(repr=False, default=None, compare=False)

    def parameters(self) -> list[str]:
        """Names of the arguments that may be given by position."""
        return [item.arg for item in (*self.node.args.posonlyargs, *self.node.args.args)]


class LocatedError(UntranslatableError):
    """An error that says where in the code it is."""


class UnknownError(LocatedError):
    """What is done depends on a value that the code does not hold."""

    def __init__(self, text: str, unknown: Unknown) -> None:
        super().__init__(text)
        self.unknown = unknown


class RaisedError(LocatedError):
    """An error that the code itself raises."""

    kind = ""


class LimitError(LocatedError):
    """The code does more than is followed."""


class LoopExit(Exception):  # noqa: N818 - not an error: the way out of a loop's body
    """`break`, or `continue`."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.whole = whole


class Returned(Exception):  # noqa: N818 - not an error: the way out of a function
    """Carries the value of a return statement."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(frozen=True)
class Bound:
    """A method, with what it belongs to."""

    subject: Any
    name: str


# Under which paths TensorFlow has had Keras.
KERAS_PATHS = (
    *(f"{name}.{place}keras" for name in ("tensorflow", "tf") for place in ("", "python.", "compat.v1.", "compat.v2.")),
    *(f"{name}.contrib.{place}keras" for name in ("tensorflow", "tf") for place in ("keras.api.", "keras.python.", "")),
    "tf_keras",
)


def library_path(path: str) -> str:
    """A dotted name below the library's usual name: `tensorflow.keras.backend.sum` -> `K.sum`."""
    parts = path.split(".")
    for start in KERAS_PATHS:
        prefix = start.split(".")
        if parts[: len(prefix)] == prefix:
            parts = ["keras", *parts[len(prefix) :]]
    if parts[0] == "keras":  # where releases keep what they export
        parts = [part for part in parts if part not in ("src", "api", "_v2", "_v1", "legacy")]
    if parts[:2] == ["keras", "backend"]:
        return ".".join(["K", *parts[2:]])
    if parts[:2] == ["K", "tf"]:  # which Keras's backend has imported
        parts = parts[1:]
    first = LIBRARIES.get(parts[0], parts[0])
    return ".".join([first, *parts[1:]])
