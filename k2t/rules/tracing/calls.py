"""Follows calls: of functions in the code, of libraries, of methods."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import map_structure
from k2t.program import Parameter, Size, Value, leaves
from k2t.rules.tracing.constants import BUILTINS, builtin, compute, method
from k2t.rules.tracing.expressions import Expressions
from k2t.rules.tracing.names import (
    Bound,
    Closure,
    Library,
    LocatedError,
    Returned,
    Scope,
    Unknown,
    UnknownError,
    unknown_of,
)

# Python's functions of tensors, as operations.
TENSOR_FUNCTIONS = {"abs": "abs", "pow": "power", "min": "minimum", "max": "maximum"}
# What asks for the state of training, or of the program: here it is the one at inference.
ANSWERS: dict[str, Any] = {
    "K.image_data_format": "channels_last",
    "keras.config.image_data_format": "channels_last",
    "K.image_dim_ordering": "tf",
    "K.backend": "tensorflow",
    "keras.config.backend": "tensorflow",
    "K.floatx": "float32",
    "keras.config.floatx": "float32",
    "K.epsilon": 1e-7,
    "keras.config.epsilon": 1e-7,
    "K.learning_phase": None,
    "tf.executing_eagerly": True,
    "tf.test.is_gpu_available": False,
    "tf.config.list_physical_devices": (),
    "tf.config.experimental.list_physical_devices": (),
}
MAX_CALLS = 40
DATA = (Value, Parameter, Size, bool, int, float, complex, str, slice, type(Ellipsis), np.ndarray, np.generic)
# Data whose own attributes code asks for, such as `__len__`.
PLAIN = (str, int, float, list, tuple, dict, set, np.ndarray)


def shape_call(name: str, args: list[Any]) -> list[Any] | None:
    """What code that puts a shape together with functions of tensors means; None where it is about tensors."""
    if not args or name not in ("expand_dims", "concat", "concatenate", "stack"):
        return None
    items = [item.tolist() if isinstance(item, np.ndarray) else item for item in leaves(args[0])]
    flat = list(leaves(items))
    if not any(isinstance(item, Size) for item in flat) or not all(isinstance(item, Size | int) for item in flat):
        return None
    return flat


class Calls(Expressions):
    """Follows calls, those of the code's own functions included."""

    depth = 0

    def of_call(self, node: ast.Call) -> Any:
        """`function(*args, **kwargs)`."""
        function = self.evaluate(node.func)
        args = list(self.spread(node.args))
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            kwargs |= self.mapping(keyword.value, value) if keyword.arg is None else {keyword.arg: value}
        return self.apply(node, function, args, kwargs)

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call."""
        if isinstance(function, Closure):
            return self.run(function, args, kwargs)
        if isinstance(function, Unknown):
            return function
        with self.placed(node):
            if isinstance(function, Library):
                return self.library_call(node, function.path, args, kwargs)
            if isinstance(function, Bound):
                return self.method_call(function, args, kwargs)
            raise UntranslatableError("a call of something that is no function")

    @contextmanager
    def placed(self, node: ast.AST) -> Iterator[None]:
        """Refusals inside say where in the code."""
        try:
            yield
        except LocatedError:
            raise
        except UntranslatableError as error:
            raise self.located(node, str(error)) from error

    def library_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A function of a library or of Python."""
        library, _, name = path.rpartition(".")
        if library == "builtins":
            return self.builtin(node, name, args, kwargs)
        if path in ANSWERS:
            return ANSWERS[path]
        if name in ("in_train_phase", "in_test_phase"):
            return self.chosen(args[1] if name == "in_train_phase" else args[0])
        if not any(self.traced(leaf) for leaf in leaves((args, kwargs))):
            try:
                return compute(path, args, kwargs)
            except UntranslatableError:
                if library in ("np", "math"):
                    raise
        if (made := shape_call(name, args)) is not None:
            return made
        args, kwargs = map_structure(self.argument, (args, kwargs))
        if path.startswith("keras.ops."):
            return self.operation(name, *args, **kwargs)
        return self.function(path, args, kwargs)

    def function(self, path: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A function of a library, of tensors."""
        from k2t.rules.operations.dialects import call_dialect

        return call_dialect(self.b, path, args, kwargs)

    def argument(self, item: Any) -> Any:
        """An argument of an operation: data, or a function of the code as one of Python."""
        if isinstance(item, Closure):
            return lambda *args: self.run(item, args, {})
        if isinstance(item, Unknown):
            raise UnknownError(str(item), item)
        if item is not None and not isinstance(item, DATA):
            raise UntranslatableError(f"an argument that is no data ({type(item).__name__})")
        return item

    def chosen(self, value: Any) -> Any:
        """A value, or what a function returns."""
        return self.run(value, [], {}) if isinstance(value, Closure) else value

    def builtin(self, node: ast.AST, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A builtin function: of numbers as Python has it, of tensors as an operation."""
        if name == "print":
            return None
        if unknown := unknown_of(*args, *kwargs.values()):
            return unknown
        if name == "isinstance":
            return self.is_instance(*args)
        if name in ("getattr", "hasattr"):
            return self.found_attribute(node, name, *args)
        if name == "sum" and any(self.traced(item) for item in args[0]):
            total, *rest = args[0]
            for item in rest:
                total = self.binary(node, ast.Add, total, item)
            return total
        if not any(self.traced(arg) for arg in args):
            return builtin(name, args, kwargs)
        if name in ("int", "float") and isinstance(args[0], Size):
            return args[0]
        if name == "len" and isinstance(args[0], Value | Parameter):
            return self.sizes(args[0])[0]
        if name in ("list", "tuple", "enumerate", "reversed") and isinstance(args[0], Value):
            return builtin(name, [self.unstacked(node, args[0]), *args[1:]], kwargs)
        if name in ("zip", "slice"):
            return builtin(name, args, kwargs)
        if name not in TENSOR_FUNCTIONS:
            raise UntranslatableError(f"{name}() of a tensor")
        return self.operation(TENSOR_FUNCTIONS[name], *args)

    def is_instance(self, value: Any, kinds: Any) -> bool:
        """`isinstance(value, kinds)`."""
        for kind in kinds if isinstance(kinds, tuple) else (kinds,):
            path = kind.path if isinstance(kind, Library) else ""
            known = BUILTINS.get(path.removeprefix("builtins."))
            if isinstance(known, type) and isinstance(value, known) and not self.traced(value):
                return True
            if path.endswith(("Tensor", "Variable")) and isinstance(value, Value | Parameter):
                return True
        return False

    def found_attribute(self, node: ast.AST, name: str, subject: Any, key: str, *default: Any) -> Any:
        """`getattr` and `hasattr`."""
        try:
            value = self.attribute(node, subject, key)
        except UntranslatableError:
            if name == "getattr" and not default:
                raise
            return default[0] if name == "getattr" else isinstance(subject, PLAIN) and hasattr(subject, key)
        return value if name == "getattr" else True

    def method_call(self, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a tensor, a list or a dict."""
        subject, name = bound.subject, bound.name
        if not isinstance(subject, Value | Parameter):
            return method(subject, name, args, kwargs)
        if name in ("get_shape", "set_shape"):
            return self.sizes(subject) if name == "get_shape" else None
        args, kwargs = map_structure(self.argument, (args, kwargs))
        return self.function(f"tensor.{name}", [subject, *args], kwargs)

    def run(self, function: Closure, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result of calling a function of the code.

        Raises:
            UntranslatableError: the code holds something that has no translation; names it and its line.
        """
        node, outer = function.node, self.names
        self.depth += 1
        if self.depth > MAX_CALLS:
            raise self.refusal(node, "functions that call each other so often")
        try:
            self.names = Scope({}, function.names)
            self.names.update(self.bind(function, args, kwargs))
            if isinstance(node, ast.Lambda):
                return self.evaluate(node.body)
            self.execute(node.body)
        except Returned as returned:
            return returned.value
        finally:
            self.leave()
            self.names = outer
            self.depth -= 1
        return None

    def leave(self) -> None:
        """A function ends; its names are still there."""

    def bind(self, function: Closure, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Parameters by name, defaults included."""
        spec = function.node.args
        positional = [item.arg for item in (*spec.posonlyargs, *spec.args)]
        bound = dict(self.defaults(function.node) if function.defaults is None else function.defaults)
        bound |= dict(zip(positional, args, strict=False))
        extra = list(args)[len(positional) :]
        if extra and spec.vararg is None:
            raise UntranslatableError(f"a function of {len(positional)} arguments is called with {len(args)}")
        if spec.vararg is not None:
            bound[spec.vararg.arg] = tuple(extra)
        known = {*positional, *(item.arg for item in spec.kwonlyargs)}
        if twice := [name for name in positional[: len(args)] if name in kwargs]:
            raise UntranslatableError(f"a function is given its argument {twice[0]} twice")
        rest = {key: value for key, value in kwargs.items() if key not in known}
        if rest and spec.kwarg is None:
            raise UntranslatableError(f"a function has no argument named {', '.join(sorted(rest))}")
        if spec.kwarg is not None:
            bound[spec.kwarg.arg] = rest
        bound |= {key: value for key, value in kwargs.items() if key in known}
        if missing := sorted(known - bound.keys()):
            raise UntranslatableError(f"a function is called without its argument {', '.join(missing)}")
        return bound

    def execute(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order."""
        raise NotImplementedError
