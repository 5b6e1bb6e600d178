"""Follows expressions: numbers are computed, tensors are traced."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Parameter, Size, Value
from k2t.rules.builder import Builder
from k2t.rules.tracing.names import (
    BUILTINS,
    IDENTITY,
    LIBRARIES,
    MAX_ITEMS,
    MAX_STEPS,
    OPERATORS,
    Bound,
    Closure,
    Library,
    library_path,
    too_large,
)


class Expressions:
    """Follows expressions.

    Attributes:
        b: where operations are added.
        names: what the code's names stand for.
        attribute: what `value.name` is, for objects that are neither tensors nor libraries (`self`).
    """

    def __init__(
        self,
        b: Builder,
        names: dict[str, Any],
        attribute: Callable[[Any, str], Any] | None = None,
        call: Callable[[Any, list[Any], dict[str, Any]], Any] | None = None,
    ) -> None:
        self.b = b
        self.names = names
        self.attribute = attribute
        self.call_object = call
        self.steps = 0

    def step(self, node: ast.AST) -> None:
        """Count what is done, so that no code runs for ever."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise self.refusal(node, f"code of more than {MAX_STEPS} steps")

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
        if node.id in BUILTINS or node.id in ("sum", "abs", "min", "max", "pow", "isinstance", "print"):
            return Library(f"builtins.{node.id}")
        raise self.refusal(node, f"the name {node.id!r}, which the file does not define")

    def of_tuple(self, node: ast.Tuple) -> Any:
        """`(a, b)`."""
        return tuple(self.spread(node.elts))

    def of_list(self, node: ast.List) -> Any:
        """`[a, b]`."""
        return list(self.spread(node.elts))

    def of_dict(self, node: ast.Dict) -> Any:
        """`{a: b}`."""
        if None in node.keys:
            raise self.refusal(node, "a dict with ** in it")
        return {
            self.evaluate(key): self.evaluate(value) for key, value in zip(node.keys, node.values, strict=True) if key
        }

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
        if isinstance(value, Library):
            return Library(library_path(f"{value.path}.{node.attr}"))
        if isinstance(value, Value):
            return self.tensor_attribute(node, value)
        if isinstance(value, list | tuple) and node.attr in ("as_list", "append", "extend", "ndims", "rank", "index"):
            return len(value) if node.attr in ("ndims", "rank") else Bound(value, node.attr)
        if isinstance(value, dict) and node.attr in ("items", "keys", "values", "get"):
            return Bound(value, node.attr)
        if self.attribute is not None:
            return self.attribute(value, node.attr)
        raise self.refusal(node, f"the attribute {node.attr!r}")

    def tensor_attribute(self, node: ast.Attribute, value: Value) -> Any:
        """What a tensor has: a shape, a dtype, methods."""
        if node.attr in ("shape", "_keras_shape"):
            return self.sizes(value)
        if node.attr in ("dtype", "ndim"):
            return value.dtype if node.attr == "dtype" else value.rank
        return Bound(value, node.attr)

    def sizes(self, value: Value) -> tuple[Any, ...]:
        """The shape; what is unknown is read at run time."""
        return tuple(self.operation("shape", value))

    def of_subscript(self, node: ast.Subscript) -> Any:
        """`value[key]`."""
        value, key = self.evaluate(node.value), self.evaluate(node.slice)
        if isinstance(value, Value):
            return self.operation("get_item", value, key)
        try:
            return value[key]
        except (LookupError, TypeError) as error:
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
            if type(kind) in IDENTITY:
                result = result and IDENTITY[type(kind)](left, right)
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
        return Closure(node, self.names)

    def of_listcomp(self, node: ast.ListComp) -> Any:
        """`[f(i) for i in items]`, unrolled."""
        return list(self.comprehension(node.elt, node.generators))

    def of_generatorexp(self, node: ast.GeneratorExp) -> Any:
        """Likewise."""
        return list(self.comprehension(node.elt, node.generators))

    def comprehension(self, element: ast.expr, generators: Sequence[ast.comprehension]) -> Iterator[Any]:
        """The items of nested loops."""
        if not generators:
            yield self.evaluate(element)
            return
        first, *rest = generators
        for item in self.items(first.iter):
            self.assign(first.target, item)
            if all(self.truth(condition) for condition in first.ifs):
                yield from self.comprehension(element, rest)

    def of_joinedstr(self, node: ast.JoinedStr) -> Any:
        """An f-string, which names something."""
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else str(self.evaluate(part.value))  # type: ignore[attr-defined]
            for part in node.values
        )

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name, or several to the items of a sequence."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            items = list(value) if isinstance(value, list | tuple) else self.unstacked(target, value)
            if len(items) != len(target.elts):
                raise self.refusal(target, f"{len(items)} values for {len(target.elts)} names")
            for one, item in zip(target.elts, items, strict=True):
                self.assign(one, item)
        elif isinstance(target, ast.Subscript):
            container = self.evaluate(target.value)
            if not isinstance(container, list | dict):
                raise self.refusal(target, "an assignment into a tensor")
            container[self.evaluate(target.slice)] = value
        else:
            raise self.refusal(target, "an assignment to an attribute")

    def unstacked(self, node: ast.AST, value: Any) -> list[Any]:
        """A tensor taken apart along its first axis."""
        if not isinstance(value, Value):
            raise self.refusal(node, f"taking {type(value).__name__} apart")
        return list(self.operation("unstack", value))

    def traced(self, item: Any) -> bool:
        """Whether a value is known at run time only."""
        return isinstance(item, Value | Parameter | Size)

    def operation(self, name: str, *args: Any) -> Any:
        """An operation of keras.ops."""
        from k2t.rules.operations.base import call_operation

        return call_operation(self.b, name, args, {})

    def binary(self, node: ast.AST, kind: type[ast.AST], left: Any, right: Any) -> Any:
        """An operator between tensors, numbers or sequences."""
        name, function = OPERATORS.get(kind, ("", None))
        if function is None:
            raise self.refusal(node, f"the operator {kind.__name__}")
        if self.traced(left) or self.traced(right):
            return self.operation(name, left, right)
        if too_large(kind, left, right):
            raise self.refusal(node, "a number or list that large")
        try:
            return function(left, right)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise self.refusal(node, str(error)) from error

    def constant(self, node: ast.AST, value: Any) -> Any:
        """A value that must be known now."""
        if self.traced(value):
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
        if items is None:
            raise self.refusal(node, "a loop of unknown length")
        return items

    def refusal(self, node: ast.AST, what: str) -> UntranslatableError:
        """The error for a part of the code: what, and where."""
        text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
        line = getattr(node, "lineno", None)
        place = f", line {line}" if line else ""
        return UntranslatableError(f"{what} has no translation{place}: {text[:80]}")
