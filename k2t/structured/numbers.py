"""Follows the numbers of a function: each knows the expression that makes it, and whether that still holds."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from k2t.code.script import FAILURES
from k2t.errors import UntranslatableError
from k2t.graph import Layer, map_structure
from k2t.program import Size, Value, values
from k2t.rules.builder import Builder
from k2t.rules.parts import Parts
from k2t.rules.tracing.interpreter import Interpreter
from k2t.rules.tracing.names import Bound, Library, Scope, Unknown
from k2t.structured.frames import Event, Frame, LayerObject, ModelObject, NotStructured
from k2t.structured.learned import Again
from k2t.structured.sizes import is_number
from k2t.symbols import Symbolic, number, symbol

# Functions of numbers that may stand in a constructor as they are.
NUMERIC = frozenset({"int", "max", "min", "round", "abs", "float", "len", "sum"})


class Numbers(Interpreter):
    """Follows functions, one frame for each execution.

    Attributes:
        frame: the current execution.
        event: the place that is working on tensors.
        constants: the numbers and tables of the file that stay as they are.
        from_outside: whether a variable that the code does not hold may be an argument of the main function.
    """

    def __init__(self, names: Scope, constants: frozenset[str]) -> None:
        super().__init__(Builder([], Parts(Layer("", "")), ""), names)
        self.constants = constants
        self.frame: Frame | None = None
        self.event: Event | None = None
        self.comparing = 0
        self.from_outside: Callable[[str], bool] = lambda name: False

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression; plain numbers inside a comparison."""
        value = super().evaluate(node)
        if self.comparing:
            if self.frame is not None:
                self.frame.seen[node] = value
            return map_structure(number, value) if isinstance(value, Symbolic | tuple) else value
        if self.frame is not None:
            value = self.coded(node, value)
            self.frame.seen[node] = value
        return value

    def coded(self, node: ast.expr, value: Any) -> Any:
        """The value with its expression, where it is a number that the function computes."""
        if isinstance(node, ast.Name):
            return self.named(node.id, value)
        table = node.value.id if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) else ""
        if table and self.is_shape(table):
            return value
        # `widths[-1]` is another item of a longer tuple
        if table and self.is_own(table) and isinstance(value, Symbolic):
            return symbol(number(value), ast.unparse(node), value.deps)
        if isinstance(value, bool | Symbolic) or not isinstance(value, int | float):
            return value
        if not isinstance(node, ast.Subscript | ast.IfExp | ast.Call | ast.BoolOp):
            return value
        names = [item.id for item in ast.walk(node) if isinstance(item, ast.Name)]
        local = [name for name in names if self.is_own(name) and not self.is_fixed(name)]
        own = [name for name in local if not any(values(self.names[name]))]
        own += [name for name in names if name in self.constants and not self.is_own(name) and name not in self.around]
        functions = [name for name in names if name in NUMERIC and name not in self.names]
        if len(own) + len(functions) < len(names) or not own:
            return value
        return symbol(value, ast.unparse(node), [self.dependency(name) for name in own if self.is_own(name)])

    def item(self, node: ast.AST, value: Any, key: Any) -> Any:
        """`value[key]`; keys are plain numbers."""
        return super().item(node, value, number(key))

    def is_own(self, name: str) -> bool:
        """Whether it is a variable of the current function itself, inside of a lambda as well."""
        holder = next((names for names in self.names.maps if name in names), None)
        return self.frame is not None and holder is self.frame.variables

    def is_shape(self, name: str) -> bool:
        """Whether a variable holds the shape of a tensor, whose sizes are known by themselves."""
        value = self.names[name]
        return isinstance(value, tuple) and bool(value) and isinstance(value[0], Size | None)

    @property
    def around(self) -> set[str]:
        """The names of functions around the current one."""
        return {name for names in self.names.maps[1:-1] for name in names}

    def is_fixed(self, name: str) -> bool:
        """Whether it is an argument that is to be a number."""
        return self.frame is not None and name in self.frame.fixed

    def dependency(self, name: str) -> Any:
        """A variable as it is now."""
        return (name, self.frame.versions[name]) if self.frame is not None else (name, 0)

    def named(self, name: str, value: Any) -> Any:
        """The value of a variable of the function: a number, or a tuple of these, by the variable's name."""
        own = self.is_own(name) and not self.is_fixed(name)
        if isinstance(value, bool) or not (own or (name in self.constants and name not in self.around)):
            return value
        deps = [self.dependency(name)] if own else []
        if isinstance(value, int | float):
            return symbol(number(value), name, deps)
        if isinstance(value, tuple) and value and all(is_number(item) for item in value):
            return tuple(symbol(number(item), f"{name}[{i}]", deps) for i, item in enumerate(value))
        return value

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name; a loop's target begins an iteration."""
        if self.frame is not None:
            if self.frame.loops and getattr(self.frame.loops[-1][0], "target", None) is target:
                loop, iteration = self.frame.loops[-1]
                self.frame.loops = (*self.frame.loops[:-1], (loop, iteration + 1))
            if isinstance(target, ast.Name):
                if isinstance(value, Unknown) and self.frame.parent is None and self.from_outside(target.id):
                    raise Again(outside=target.id)
                self.frame.versions[target.id] += 1
                self.frame.assigned[target.id].append(value)
        if isinstance(target, ast.Subscript) and any(values(value)) and self.frame is not None:
            self.frame.collections.append(self.evaluate(target.value))
        with self.plainly() if isinstance(target, ast.Subscript) else nullcontext():
            super().assign(target, value)

    def method_call(self, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method; lists and dicts that tensors are put into are remembered."""
        if self.frame is not None and not isinstance(bound.subject, Value) and any(values(args)):
            self.frame.collections.append(bound.subject)
        if isinstance(bound.subject, ModelObject):
            return None
        return super().method_call(bound, args, kwargs)

    def execute(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order; what cannot be followed and has nothing to do with tensors is not known."""
        for node in body:
            try:
                super().execute([node])
            except (UntranslatableError, *FAILURES) as error:
                if self.frame is None or self.concerns_tensors(node):
                    raise NotStructured(self.cause(node) or str(error), node) from error
                self.event = None
                for item in ast.walk(node):
                    if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
                        self.assign(item, Unknown(item.id, reason=str(error)))

    def cause(self, node: ast.stmt) -> str:
        """Why something that a statement reads is not known."""
        read = (self.names.get(item.id) for item in ast.walk(node) if isinstance(item, ast.Name))
        return next((item.reason for item in read if isinstance(item, Unknown)), "")

    def concerns_tensors(self, node: ast.stmt) -> bool:
        """Whether a statement reads or makes tensors, layers or models."""
        if any(isinstance(item, ast.Return) for item in ast.walk(node)):
            return True
        held = [self.names.get(item.id) for item in ast.walk(node) if isinstance(item, ast.Name)]
        if isinstance(node, ast.Expr):  # model.compile(…) and its like
            held = [item for item in held if not isinstance(item, ModelObject)]
        return any(isinstance(item, LayerObject | ModelObject) or is_layer(item) or any(values(item)) for item in held)

    def do_for(self, node: ast.For) -> None:
        """A loop, unrolled."""
        if self.frame is None:
            super().do_for(node)
            return
        around = self.frame.loops
        self.frame.loops = (*around, (node, -1))
        super().do_for(node)
        self.frame.loops = around
        for name in ast.walk(node.target):
            if isinstance(name, ast.Name):  # behind the loop, nothing is written in terms of its variable
                self.frame.versions[name.id] += 1

    def do_if(self, node: ast.If) -> None:
        """The branch that a condition chooses."""
        taken = self.truth(node.test)
        if self.frame is not None:
            self.frame.taken[node].append(taken)
        self.execute(node.body if taken else node.orelse)

    def of_compare(self, node: ast.Compare) -> Any:
        """`a < b`: of the sample values."""
        with self.plainly():
            return super().of_compare(node)

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Within it, numbers have no expressions."""
        self.comparing += 1
        try:
            yield
        finally:
            self.comparing -= 1


def is_layer(item: Any) -> bool:
    """Whether it constructs layers."""
    return isinstance(item, Library) and item.path.startswith("keras.layers")
