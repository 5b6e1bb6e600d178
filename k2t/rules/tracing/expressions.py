"""Follows expressions: numbers are computed, tensors are traced."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.program import Parameter, Size, Value
from k2t.rules.builder import Builder
from k2t.rules.tracing.constants import BUILTINS, MAX_ITEMS, operate, spelled
from k2t.rules.tracing.names import (
    ARRAY_ATTRIBUTES,
    CONSTANTS,
    FUNCTIONS,
    IDENTITY,
    LIBRARIES,
    MAX_STEPS,
    METHODS,
    OPERATORS,
    Bound,
    Closure,
    Library,
    LimitError,
    LocatedError,
    Scope,
    Unknown,
    UnknownError,
    library_path,
    unknown_of,
)

# What is taken apart as it is.
VIEWS: tuple[type[Any], ...] = (type({}.keys()), type({}.values()), type({}.items()))
ITERABLE: tuple[type[Any], ...] = (list, tuple, dict, set, str, range, zip, enumerate, reversed, *VIEWS)


class Expressions:
    """Follows expressions.

    Attributes:
        b: where operations are added.
        names: what the code's names stand for.
    """

    limit = MAX_STEPS

    def __init__(self, b: Builder, names: Mapping[str, Any]) -> None:
        self.b = b
        self.names = names if isinstance(names, Scope) else Scope(dict(names))
        self.steps = 0

    def step(self, node: ast.AST) -> None:
        """Count what is done, so that no code runs for ever."""
        self.steps += 1
        if self.steps > self.limit:
            raise LimitError(str(self.refusal(node, f"code of more than {self.limit} steps")))

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression: a tensor, a constant, a structure of these, or a function."""
        self.step(node)
        handler = getattr(self, f"of_{type(node).__name__.lower()}", None)
        if handler is None:
            raise self.refusal(node, "this expression")
        return handler(node)

    def of_constant(self, node: ast.Constant) -> Any:
        """A literal."""
        return node.value

    def of_name(self, node: ast.Name) -> Any:
        """A name of the code, a library or a builtin."""
        if node.id in self.names:
            return self.names[node.id]
        if node.id in LIBRARIES:
            return Library(LIBRARIES[node.id])
        if node.id in BUILTINS or node.id in FUNCTIONS:
            return Library(f"builtins.{node.id}")
        raise self.refusal(node, f"the name {node.id!r}, which the file does not define")

    def of_tuple(self, node: ast.Tuple) -> Any:
        """`(a, b)`."""
        return tuple(self.spread(node.elts))

    def of_list(self, node: ast.List) -> Any:
        """`[a, b]`."""
        return list(self.spread(node.elts))

    def of_set(self, node: ast.Set) -> Any:
        """`{a, b}`."""
        return set(self.spread(node.elts))

    def of_dict(self, node: ast.Dict) -> Any:
        """`{a: b, **c}`."""
        made: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            item = self.evaluate(value)
            made |= self.mapping(node, item) if key is None else {self.evaluate(key): item}
        return made

    def mapping(self, node: ast.AST, value: Any) -> dict[str, Any]:
        """What stands behind `**`."""
        if not isinstance(value, dict):
            raise self.located(node, str(value) if isinstance(value, Unknown) else "** of something that is no dict")
        return value

    def spread(self, nodes: Sequence[ast.expr]) -> Iterator[Any]:
        """Items, those behind a star one by one."""
        for node in nodes:
            if isinstance(node, ast.Starred):
                yield from self.items(node.value)
            else:
                yield self.evaluate(node)

    def of_attribute(self, node: ast.Attribute) -> Any:
        """`value.name`."""
        value = self.evaluate(node.value)
        return value if isinstance(value, Unknown) else self.attribute(node, value, node.attr)

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What an object has under this name."""
        if isinstance(value, Library):
            path = library_path(f"{value.path}.{name}")
            return CONSTANTS[path] if path in CONSTANTS else Library(path)
        if isinstance(value, Value | Parameter):
            return self.tensor_attribute(value, name)
        if isinstance(value, list | tuple) and name in ("ndims", "rank"):
            return len(value)
        if isinstance(value, np.ndarray) and name in ARRAY_ATTRIBUTES:
            return getattr(value, name)
        if any(isinstance(value, kind) and name in methods for kind, methods in METHODS.items()):
            return Bound(value, name)
        raise self.refusal(node, f"the attribute {name!r}")

    def tensor_attribute(self, value: Value | Parameter, name: str) -> Any:
        """What a tensor has: a shape, a dtype, methods."""
        if name in ("shape", "_keras_shape"):
            return self.sizes(value)
        if name == "ndim":
            return len(value.shape)
        if name == "dtype":
            return value.dtype if isinstance(value, Value) else self.b.layer.dtype
        return Bound(value, name)

    def sizes(self, value: Value | Parameter) -> tuple[Any, ...]:
        """The shape; what is unknown is read at run time."""
        return value.shape if isinstance(value, Parameter) else tuple(self.operation("shape", value))

    def of_subscript(self, node: ast.Subscript) -> Any:
        """`value[key]`."""
        return self.item(node, self.evaluate(node.value), self.evaluate(node.slice))

    def item(self, node: ast.AST, value: Any, key: Any) -> Any:
        """`value[key]` of what is evaluated."""
        if unknown := unknown_of(value, key):
            return unknown
        if self.traced(value) and not isinstance(value, Size):
            return self.operation("get_item", value, key)
        try:
            return value[key]
        except (LookupError, TypeError, ValueError) as error:
            raise self.refusal(node, f"the subscript {key!r}") from error

    def of_slice(self, node: ast.Slice) -> Any:
        """`a:b:c` in a subscript."""
        return slice(*(None if part is None else self.evaluate(part) for part in (node.lower, node.upper, node.step)))

    def of_binop(self, node: ast.BinOp) -> Any:
        """`a + b`."""
        return self.binary(node, type(node.op), self.evaluate(node.left), self.evaluate(node.right))

    def of_unaryop(self, node: ast.UnaryOp) -> Any:
        """`-a`, `not a`."""
        value = self.evaluate(node.operand)
        if isinstance(value, Unknown):
            return value
        if isinstance(node.op, ast.Not):
            return not self.constant(node, value)
        if isinstance(node.op, ast.USub):
            return self.operation("negative", value) if self.traced(value) else -value
        if isinstance(node.op, ast.UAdd):
            return value
        return self.operation("logical_not", value) if self.traced(value) else ~value

    def of_compare(self, node: ast.Compare) -> Any:
        """`a < b`; a chain of constants."""
        left = self.evaluate(node.left)
        result: Any = True
        for kind, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(right_node)
            if unknown := unknown_of(left, right):
                return unknown
            if type(kind) in IDENTITY:
                same = isinstance(left, Library) and isinstance(right, Library) and isinstance(kind, ast.Is | ast.IsNot)
                found = (left == right) == isinstance(kind, ast.Is) if same else IDENTITY[type(kind)](left, right)
                result = result and found
            else:
                one = self.binary(node, type(kind), left, right)
                result = one if result is True else self.binary(node, ast.BitAnd, result, one)
            left = right
        return result

    def of_boolop(self, node: ast.BoolOp) -> Any:
        """`a and b`, `a or b`, of constants."""
        value: Any = None
        for part in node.values:
            value = self.constant(part, self.evaluate(part))
            if bool(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def of_ifexp(self, node: ast.IfExp) -> Any:
        """`a if condition else b`, of a constant condition."""
        return self.evaluate(node.body if self.truth(node.test) else node.orelse)

    def of_lambda(self, node: ast.Lambda) -> Any:
        """A function."""
        return Closure(node, self.names, self.defaults(node))

    def defaults(self, node: ast.Lambda | ast.FunctionDef) -> dict[str, Any]:
        """The defaults of a function's arguments."""
        spec = node.args
        positional = [item.arg for item in (*spec.posonlyargs, *spec.args)]
        found = list(zip(positional[len(positional) - len(spec.defaults) :], spec.defaults, strict=True))
        named = zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
        found += [(item.arg, default) for item, default in named if default is not None]
        return {name: self.evaluate(default) for name, default in found}

    def of_namedexpr(self, node: ast.NamedExpr) -> Any:
        """`(a := value)`."""
        value = self.evaluate(node.value)
        self.assign(node.target, value)
        return value

    def of_listcomp(self, node: ast.ListComp) -> Any:
        """`[f(i) for i in items]`, unrolled."""
        return self.comprehension([node.elt], node.generators)

    def of_generatorexp(self, node: ast.GeneratorExp) -> Any:
        """Likewise."""
        return self.comprehension([node.elt], node.generators)

    def of_setcomp(self, node: ast.SetComp) -> Any:
        """Likewise, a set."""
        return set(self.comprehension([node.elt], node.generators))

    def of_dictcomp(self, node: ast.DictComp) -> Any:
        """Likewise, a dict."""
        return dict(self.comprehension([node.key, node.value], node.generators))

    def comprehension(self, parts: list[ast.expr], generators: Sequence[ast.comprehension]) -> list[Any]:
        """The items of nested loops, which have a scope of their own; several parts as tuples."""
        outer = self.names
        self.names = Scope({}, outer)
        try:
            return list(self.rounds(parts, generators))
        finally:
            self.names = outer

    def rounds(self, parts: list[ast.expr], generators: Sequence[ast.comprehension]) -> Iterator[Any]:
        """The items of nested loops."""
        if not generators:
            found = [self.evaluate(part) for part in parts]
            yield found[0] if len(found) == 1 else tuple(found)
            return
        first, *rest = generators
        for item in self.items(first.iter):
            self.assign(first.target, item)
            if all(self.truth(condition) for condition in first.ifs):
                yield from self.rounds(parts, rest)

    def of_joinedstr(self, node: ast.JoinedStr) -> Any:
        """An f-string, which names something."""
        parts = [self.formatted(part) for part in node.values]
        return unknown_of(*parts) or "".join(parts)

    def formatted(self, node: ast.expr) -> Any:
        """A part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return str(self.evaluate(node))
        value = self.evaluate(node.value)
        if isinstance(value, Unknown):
            return value
        if not isinstance(value, str | int | float | bool | np.generic | tuple | list | None):
            raise self.refusal(node, f"{type(value).__name__} in a text")
        value = repr(value) if node.conversion == ord("r") else value
        return spelled(value, self.evaluate(node.format_spec) if node.format_spec else "")

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name, or several to the items of a sequence."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, Unknown):
                items: list[Any] = [value] * len(target.elts)
            else:
                items = list(value) if isinstance(value, ITERABLE) else self.unstacked(target, value)
            starred = [place for place, one in enumerate(target.elts) if isinstance(one, ast.Starred)]
            if starred and len(items) >= len(target.elts) - 1:
                end = len(items) - (len(target.elts) - starred[0] - 1)
                items = [*items[: starred[0]], list(items[starred[0] : end]), *items[end:]]
            if len(items) != len(target.elts):
                raise self.refusal(target, f"{len(items)} values for {len(target.elts)} names")
            for one, item in zip(target.elts, items, strict=True):
                self.assign(one.value if isinstance(one, ast.Starred) else one, item)
        elif isinstance(target, ast.Subscript):
            container, key = self.evaluate(target.value), self.evaluate(target.slice)
            fixed = isinstance(container, np.ndarray) and self.traced(value)
            if fixed or not isinstance(container, list | dict | np.ndarray):
                raise self.refusal(target, "an assignment into a tensor")
            try:
                container[key] = value
            except (LookupError, TypeError, ValueError) as error:
                raise self.located(target, str(error)) from error
        elif isinstance(target, ast.Attribute):
            self.set_attribute(target, self.evaluate(target.value), value)
        else:
            raise self.refusal(target, "this assignment")

    def set_attribute(self, node: ast.Attribute, subject: Any, value: Any) -> None:
        """`subject.name = value`."""
        raise self.refusal(node, "an assignment to an attribute")

    def unstacked(self, node: ast.AST, value: Any) -> list[Any]:
        """A tensor taken apart along its first axis."""
        if isinstance(value, Unknown):
            raise UnknownError(str(value), value)
        if not isinstance(value, Value):
            raise self.refusal(node, f"taking {type(value).__name__} apart")
        return list(self.operation("unstack", value))

    def traced(self, item: Any) -> bool:
        """Whether a value is known at run time only."""
        return isinstance(item, Value | Parameter | Size)

    def operation(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """An operation of keras.ops."""
        from k2t.rules.operations.base import call_operation

        return call_operation(self.b, name, args, kwargs)

    def binary(self, node: ast.AST, kind: type[ast.AST], left: Any, right: Any) -> Any:
        """An operator between tensors, numbers or sequences."""
        name, function = OPERATORS.get(kind, ("", None))
        if function is None:
            raise self.refusal(node, f"the operator {kind.__name__}")
        if unknown := unknown_of(left, right):
            return unknown
        if self.traced(left) or self.traced(right):
            for item in (left, right):
                if not self.traced(item) and not isinstance(item, bool | int | float | list | tuple | np.ndarray):
                    raise self.refusal(node, f"an operator on a tensor and {type(item).__name__}")
            return self.operation(name, left, right)
        try:
            return operate(kind, function, left, right)
        except UntranslatableError as error:
            raise self.located(node, str(error)) from error

    def constant(self, node: ast.AST, value: Any) -> Any:
        """A value that must be known now."""
        if isinstance(value, Unknown):
            raise UnknownError(f"a condition on what is not known: {value}", value)
        if self.traced(value) or (isinstance(value, np.ndarray) and value.size != 1):
            raise self.refusal(node, "a condition on the values of a tensor")
        return value

    def truth(self, node: ast.expr) -> bool:
        """A condition that must be known now."""
        return bool(self.constant(node, self.evaluate(node)))

    def items(self, node: ast.expr) -> list[Any]:
        """The items of a sequence of known length."""
        value = self.evaluate(node)
        if isinstance(value, Value):
            return self.unstacked(node, value)
        try:
            items: list[Any] | None = list(value) if not isinstance(value, range) or len(value) <= MAX_ITEMS else None
        except TypeError:
            items = None
        if isinstance(value, Unknown):
            raise UnknownError(f"a loop of unknown length: {value}", value)
        if items is None:
            raise self.refusal(node, "a loop of unknown length")
        return items

    def refusal(self, node: ast.AST, what: str) -> UntranslatableError:
        """The error for a part of the code that has no translation."""
        return self.located(node, f"{what} has no translation")

    def located(self, node: ast.AST, what: str) -> UntranslatableError:
        """The error with the place in the code."""
        text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
        line = getattr(node, "lineno", None)
        place = f", line {line}" if line else ""
        return LocatedError(f"{what}{place}: {text[:80]}")
