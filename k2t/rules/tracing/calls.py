"""Follows calls: of functions in the code, of libraries, of methods."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Size, Value
from k2t.rules.tracing.expressions import Expressions
from k2t.rules.tracing.names import BUILTINS, Bound, Closure, Library, Returned


class Calls(Expressions):
    """Follows calls, those of the code's own functions included."""

    def of_call(self, node: ast.Call) -> Any:
        """`function(*args, **kwargs)`."""
        function = self.evaluate(node.func)
        args = list(self.spread(node.args))
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            kwargs |= value if keyword.arg is None else {keyword.arg: value}
        return self.apply(node, function, args, kwargs)

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call."""
        if isinstance(function, Library):
            return self.library_call(node, function.path, args, kwargs)
        if isinstance(function, Bound):
            return self.method_call(node, function, args, kwargs)
        if isinstance(function, Closure):
            outer, self.names = self.names, function.names
            try:
                return self.run(function.node, args, kwargs)
            finally:
                self.names = outer
        if self.call_object is not None:
            return self.call_object(function, args, kwargs)
        raise self.refusal(node, "a call of something that is no function")

    def library_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A function of a library or of Python."""
        from k2t.rules.operations.dialects import call_dialect

        library, _, name = path.rpartition(".")
        if library == "builtins":
            return self.builtin(node, name, args, kwargs)
        try:
            return call_dialect(self.b, path, args, kwargs)
        except UntranslatableError as error:
            raise self.refusal(node, str(error)) from error

    def builtin(self, node: ast.AST, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A builtin function: of numbers as Python has it, of tensors as an operation."""
        if name == "print":
            return None
        if name == "sum" and any(self.traced(item) for item in args[0]):
            total = args[0][0]
            for item in args[0][1:]:
                total = self.binary(node, ast.Add, total, item)
            return total
        if any(self.traced(arg) for arg in args):
            if name in ("int", "float") and isinstance(args[0], Size):
                return args[0]
            if name == "len" and isinstance(args[0], Value):
                return self.sizes(args[0])[0]
            names = {"abs": "abs", "pow": "power", "min": "minimum", "max": "maximum"}
            if name not in names:
                raise self.refusal(node, f"{name}() of a tensor")
            return self.operation(names[name], *args)
        functions: dict[str, Callable[..., Any]] = {**BUILTINS, "sum": sum, "abs": abs, "min": min, "max": max}
        if name not in functions:
            raise self.refusal(node, f"{name}()")
        return functions[name](*args, **kwargs)

    def method_call(self, node: ast.AST, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a tensor, a list or a dict."""
        subject, name = bound.subject, bound.name
        if isinstance(subject, Value):
            if name in ("get_shape", "set_shape"):
                return self.sizes(subject) if name == "get_shape" else None
            try:
                from k2t.rules.operations.dialects import call_dialect

                return call_dialect(self.b, f"tensor.{name}", [subject, *args], kwargs)
            except UntranslatableError as error:
                raise self.refusal(node, str(error)) from error
        if name == "as_list":
            return [None if isinstance(item, Size) else item for item in subject]
        return getattr(subject, name)(*args, **kwargs)

    def run(self, function: ast.Lambda | ast.FunctionDef, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result of calling `function`.

        Raises:
            UntranslatableError: the code holds something that has no translation; names it and its line.
        """
        outer = self.names
        self.names = {**outer, **self.bind(function, args, kwargs)}
        try:
            if isinstance(function, ast.Lambda):
                return self.evaluate(function.body)
            self.execute(function.body)
        except Returned as returned:
            return returned.value
        finally:
            self.names = outer
        return None

    def bind(
        self, function: ast.Lambda | ast.FunctionDef, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Parameters by name, defaults included."""
        spec = function.args
        positional = [item.arg for item in (*spec.posonlyargs, *spec.args)]
        bound = dict(
            zip(positional[len(positional) - len(spec.defaults) :], map(self.evaluate, spec.defaults), strict=True)
        )
        bound |= {
            item.arg: self.evaluate(default)
            for item, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
            if default is not None
        }
        bound |= dict(zip(positional, args, strict=False))
        extra = list(args)[len(positional) :]
        if extra and spec.vararg is None:
            raise UntranslatableError(f"a function of {len(positional)} arguments is called with {len(args)}")
        if spec.vararg is not None:
            bound[spec.vararg.arg] = tuple(extra)
        known = {*positional, *(item.arg for item in spec.kwonlyargs)}
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
