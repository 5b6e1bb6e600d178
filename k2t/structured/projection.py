"""What the two projections of a function's code have in common."""

from __future__ import annotations

import ast
import copy
from typing import Any

from k2t.program import Value, values
from k2t.structured.frames import NotStructured, arguments
from k2t.structured.plan import Plan
from k2t.structured.templates import Group, Text
from k2t.symbols import Symbolic

# Functions of Python that may stand in the emitted code as they are.
ITERATORS = frozenset({"enumerate", "list", "range", "reversed", "tuple", "zip", "sorted", "sum", "len", "min", "max"})
NUMERIC = frozenset({"abs", "bool", "float", "int", "round", "str", "pow", "divmod"})
METHODS = frozenset({"copy", "get", "index", "items", "keys", "pop", "values"})
BUILTINS = ITERATORS | NUMERIC


def parsed(code: str) -> ast.expr:
    """The syntax of an expression."""
    return ast.parse(code, mode="eval").body


def statement(code: str) -> ast.stmt:
    """The syntax of a statement."""
    return ast.parse(code).body[0]


def permuted(node: ast.expr, order: tuple[int, ...]) -> ast.expr:
    """`node.permute(0, 2, 1)`."""
    axes: list[ast.expr] = [ast.Constant(axis) for axis in order]
    return ast.Call(ast.Attribute(node, "permute", ast.Load()), axes, []) if axes else node


def indexed(node: ast.expr, path: tuple[Any, ...]) -> ast.expr:
    """`node[a][b]`."""
    for step in path:
        node = ast.Subscript(node, parsed(repr(step)), ast.Load())
    return node


def operator(sign: str, left: ast.expr, right: ast.expr) -> ast.expr:
    """`left sign right`."""
    shape = parsed(f"a {sign} b")
    if isinstance(shape, ast.Compare):
        return ast.Compare(left, shape.ops, [right])
    return ast.BinOp(left, shape.op, right)  # type: ignore[attr-defined]


def negated(test: ast.expr) -> ast.expr:
    """`not test`."""
    return (
        test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ast.UnaryOp(ast.Not(), test)
    )


def joined(targets: list[ast.expr]) -> ast.expr:
    """One target, or several."""
    return targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())


def zipped(items: list[ast.expr]) -> ast.expr:
    """One iterable, or several side by side."""
    return items[0] if len(items) == 1 else ast.Call(ast.Name("zip", ast.Load()), items, [])


def is_none(node: ast.expr) -> bool:
    """Whether it is `None`."""
    return isinstance(node, ast.Constant) and node.value is None


class Projection:
    """Walks the code of one function and writes one of the methods of its class."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def seen(self, node: ast.AST) -> Any:
        """What an expression gave in an execution that evaluated it."""
        found = (frame.seen[node] for frame in self.plan.frames if node in frame.seen)
        return next(found, None)

    def evaluated(self, node: ast.AST) -> list[Any]:
        """What an expression gave at last, in each execution that evaluated it."""
        return [frame.seen[node] for frame in self.plan.frames if node in frame.seen]

    def is_tensor(self, node: ast.AST) -> bool:
        """Whether an expression holds tensors."""
        if isinstance(node, ast.Name) and node.id in self.plan.tensors:
            return True
        if node in self.plan.templates:
            return True
        if isinstance(node, ast.List | ast.Tuple) and node.elts:
            return any(self.is_tensor(item) for item in node.elts)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ITERATORS - {"len", "range"}
        ):
            return any(self.is_tensor(item) for item in node.args)
        return any(
            any(values(value)) for value in self.evaluated(node) if isinstance(value, Value | list | tuple | dict)
        )

    def shape_of(self, node: ast.AST) -> tuple[ast.expr, int] | None:
        """For `x.shape[axis]` and its like, the tensor and the axis."""
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant | ast.UnaryOp):
            return None
        subject = shaped(node.value)
        tensor = self.seen(subject) if subject is not None else None
        if subject is None or not isinstance(tensor, Value):
            return None
        axis = ast.literal_eval(node.slice)
        return subject, axis % tensor.rank

    def measured(self, name: str) -> ast.expr | None:
        """`x.shape[1]` for a variable that holds this size of a tensor which stays what it is."""
        stores = [item.id for item in ast.walk(self.plan.node) if is_stored(item)]  # type: ignore[attr-defined]
        nodes = [node for node in ast.walk(self.plan.node) if isinstance(node, ast.Assign)]
        value = next((node.value for node in nodes if ast.unparse(node.targets[0]) == name), None)
        if stores.count(name) != 1 or value is None or not (shape := self.shape_of(value)):
            return None
        subject, axis = shape
        given = {item.arg for item in arguments(self.plan.node)}
        stays = isinstance(subject, ast.Name) and stores.count(subject.id) == (subject.id not in given)
        return self.size(subject, axis, subject) if stays else None

    def constant(self, node: ast.expr) -> ast.expr | None:
        """An expression of what the function does not vary, as a literal."""
        found = self.evaluated(node)
        plain = [item for item in found if item is None or isinstance(item, bool | int | float | str | tuple | list)]
        if not found or len(plain) < len(found) or any(repr(item) != repr(found[0]) for item in found):
            return None
        if any(isinstance(leaf, Symbolic) for leaf in flat(found[0])):
            return None
        try:
            return parsed(repr(found[0]))
        except SyntaxError:
            return None

    def name(self, node: ast.Name) -> ast.expr:
        """A variable of the function that is no tensor."""
        raise NotImplementedError

    def size(self, subject: ast.expr, axis: int, node: ast.expr) -> ast.expr:
        """One size of a tensor."""
        raise NotImplementedError

    def config(self, node: ast.expr) -> ast.expr:
        """An expression that is no tensor.

        Raises:
            NotStructured: it needs something that the class does not have.
        """
        if shape := self.shape_of(node):
            return self.size(*shape, node)
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            if node.id in self.plan.local and node.id not in self.plan.tensors:
                return self.name(node)
            if node.id in BUILTINS or (node.id in self.plan.constants and node.id not in self.plan.local):
                return node
        literal = None if self.reads_local(node) else self.constant(node)
        if literal is not None:
            return literal
        if isinstance(node, ast.Name | ast.Attribute | ast.Lambda):
            raise NotStructured(f"reads {ast.unparse(node)}", node)
        if isinstance(node, ast.Call) and self.is_method(node.func):
            return ast.Call(node.func, [self.config(item) for item in node.args], [])
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in BUILTINS):
            raise NotStructured(f"calls {ast.unparse(node.func)}", node)
        made: ast.expr = self.mapped(node, self.config)
        return made

    def is_method(self, node: ast.expr) -> bool:
        """Whether it is a method of a list or dict of numbers that the function has."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or node.attr not in METHODS:
            return False
        return node.value.id in self.plan.local and not self.is_tensor(node.value)

    def reads_local(self, node: ast.AST) -> bool:
        """Whether an expression reads variables of the function, or constants of the file."""
        known = self.plan.local | self.plan.constants
        return any(isinstance(item, ast.Name) and item.id in known for item in ast.walk(node))

    def mapped(self, node: Any, function: Any) -> Any:
        """The syntax with each expression inside it replaced."""
        made = copy.copy(node)
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(made, field, function(value))
            elif isinstance(value, list):
                setattr(made, field, [self.item(item, function) for item in value])
            elif isinstance(value, ast.keyword | ast.comprehension):
                setattr(made, field, self.mapped(value, function))
        return made

    def item(self, item: Any, function: Any) -> Any:
        """One of several parts of an expression."""
        if isinstance(item, ast.expr):
            return function(item)
        return self.mapped(item, function) if isinstance(item, ast.keyword | ast.comprehension) else item

    def flag(self, node: ast.If) -> str:
        """For a condition on the sizes of tensors, the attribute that keeps its outcome; else ""."""
        if not any(isinstance(item, ast.expr) and self.shape_of(item) for item in ast.walk(node.test)):
            return ""
        names = [self.plan.names[key] for part in node.body for key in self.plan.within(part)]
        names += [item.id for part in node.body for item in ast.walk(part) if is_stored(item)]  # type: ignore[attr-defined]
        return f"has_{names[0]}" if names else ""

    def chosen(self, node: ast.If) -> list[ast.stmt] | None:
        """For a condition that every execution decides alike, the statements that are executed."""
        outcomes = self.plan.taken.get(node, set())
        if len(outcomes) == 2:
            return None
        return node.body if True in outcomes else node.orelse if outcomes else []


def is_stored(node: ast.AST) -> bool:
    """Whether it is a variable that is assigned."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def shaped(node: ast.expr) -> ast.expr | None:
    """The tensor in `x.shape`, `K.int_shape(x)` or `x.get_shape().as_list()`."""
    if isinstance(node, ast.Attribute):
        return node.value if node.attr in ("shape", "_keras_shape") else None
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("int_shape", "shape") and node.args:
        return node.args[0]
    if isinstance(node.func, ast.Attribute) and name in ("get_shape", "as_list"):
        return shaped(node.func.value) if name == "as_list" else node.func.value
    return None


def flat(structure: Any) -> list[Any]:
    """The leaves of nested lists and tuples."""
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in flat(item)]
    return [structure]


def argument_code(tree: Any) -> str:
    """A constructor's argument as text."""
    if isinstance(tree, Text):
        return tree.code
    if isinstance(tree, Group) and tree.kind in ("tuple", "list"):
        codes = [argument_code(item) for item in tree.items]
        return f"({', '.join(codes)},)" if tree.kind == "tuple" else f"[{', '.join(codes)}]"
    raise NotStructured("an argument that a constructor cannot have")
