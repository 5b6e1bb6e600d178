"""Follows the written classes and compares what they compute with what the code computes, operation by operation."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from k2t.errors import K2TError
from k2t.graph import Layer
from k2t.program import Block
from k2t.rules.builder import Builder
from k2t.rules.parts import Parts
from k2t.rules.tracing.interpreter import Interpreter
from k2t.rules.tracing.names import Bound, Library, Returned, Scope
from k2t.structured.frames import NotStructured
from k2t.structured.plan import FUNCTIONS
from k2t.structured.terms import (
    PARAMETER,
    Made,
    Sizes,
    Term,
    applied,
    canonical,
    followed,
    made_of,
    paths,
    size_of,
    stateless,
    term,
)

SIGNS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
# Methods of tensors that return several.
SEVERAL = ("chunk", "split", "unbind")
MODULES = {function: module for module, function in FUNCTIONS.items()}
FAILURES = (K2TError, SyntaxError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(eq=False)
class Instance:
    """An object of a written class."""

    kind: ast.ClassDef
    attributes: dict[str, Any] = field(default_factory=dict)


class Follower(Interpreter):
    """Follows the classes."""

    def __init__(
        self, classes: Sequence[str], constants: Mapping[str, Any], stateless: frozenset[str], sizes: Sizes
    ) -> None:
        super().__init__(Builder([], Parts(Layer("", "")), ""), {})
        self.stateless = stateless
        self.tensor_sizes = sizes
        self.outputs: set[str] = set()
        self.classes = {}
        for text in classes:
            node = ast.parse(text).body[0]
            if isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
        known = {name: Library(name) for name in ("nn", "F", "torch", "math")}
        self.outer = Scope({**known, **self.classes, **constants})

    def of_name(self, node: ast.Name) -> Any:
        """A variable, a library, a class; any other name is a helper's."""
        if node.id in self.names:
            return self.names[node.id]
        try:
            return super().of_name(node)
        except K2TError:
            return Library(node.id)

    def construct(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Instance:
        """An object of a class."""
        made = Instance(self.classes[name])
        if any(isinstance(item, ast.FunctionDef) and item.name == "__init__" for item in made.kind.body):
            self.invoke(made, "__init__", args, kwargs)
        return made

    def invoke(self, instance: Instance, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A call of a method."""
        node = next(item for item in instance.kind.body if isinstance(item, ast.FunctionDef) and item.name == method)
        kept = self.names
        names = [item.arg for item in node.args.args]
        defaults = dict(zip(names[len(names) - len(node.args.defaults) :], node.args.defaults, strict=True))
        self.names = self.outer
        bound = {name: self.evaluate(value) for name, value in defaults.items()}
        self.names = Scope({**bound, **dict(zip(names, [instance, *args], strict=False)), **kwargs}, self.outer)
        try:
            self.execute(node.body)
        except Returned as returned:
            return returned.value
        finally:
            self.names = kept
        return None

    def do_expr(self, node: ast.Expr) -> None:
        """A call for its effect; of the base class and on the weights, nothing."""
        if not ast.unparse(node).startswith(("super()", "self.apply(")):
            super().do_expr(node)

    def traced(self, item: Any) -> bool:
        """Whether it is a tensor."""
        return isinstance(item, Term) or (isinstance(item, Made) and item.call == PARAMETER)

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What an object has under this name."""
        if isinstance(value, Instance):
            return Bound(value, name) if name == "logits" else value.attributes[name]
        if isinstance(value, Term):
            return (
                ("shape", value) if name == "shape" else term(name, value) if name == "device" else Bound(value, name)
            )
        return super().attribute(node, value, name)

    def set_attribute(self, node: ast.Attribute, subject: Any, value: Any) -> None:
        """`self.name = value`."""
        subject.attributes[node.attr] = value

    def of_subscript(self, node: ast.Subscript) -> Any:
        """A part of a tensor, or an item."""
        subject = self.evaluate(node.value)
        if isinstance(subject, tuple) and subject[:1] == ("shape",):
            return size_of(subject[1], self.evaluate(node.slice), self.tensor_sizes)
        if not isinstance(subject, Term):
            return super().of_subscript(node)
        index = self.evaluate(node.slice)
        if isinstance(index, int) and subject.digest in self.outputs:
            made = term("output", subject.digest, index)
            self.outputs.add(made.digest)
            return made
        return applied("[]", [subject, index], {})

    def of_slice(self, node: ast.Slice) -> slice:
        """`a:b`."""
        return slice(*(None if part is None else self.evaluate(part) for part in (node.lower, node.upper, node.step)))

    def binary(self, node: ast.AST, kind: type[ast.AST], left: Any, right: Any) -> Any:
        """An operator."""
        if self.traced(left) or self.traced(right):
            return applied(SIGNS[kind], [left, right], {})
        return super().binary(node, kind, left, right)

    def of_unaryop(self, node: ast.UnaryOp) -> Any:
        """`-x` and `~x`."""
        value = self.evaluate(node.operand)
        if isinstance(value, Term):
            return applied("-" if isinstance(node.op, ast.USub) else "~", [value], {})
        return super().of_unaryop(ast.UnaryOp(node.op, ast.Constant(value)))

    def unstacked(self, node: ast.AST, value: Any) -> list[Any]:
        """Several tensors that a module returns."""
        if isinstance(value, Term) and isinstance(node, ast.Tuple):
            return [term("output", value.digest, index) for index in range(len(node.elts))]
        return super().unstacked(node, value)

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call."""
        if isinstance(function, ast.ClassDef):
            return self.construct(function.name, args, kwargs)
        if isinstance(function, Instance):
            return self.invoke(function, "forward", args, kwargs)
        if isinstance(function, Made):
            path = "" if function.call in self.stateless else function.path
            made = applied(function.call, args, kwargs, path + repr(function.args))
            self.outputs.add(made.digest)
            return made
        if isinstance(function, Bound) and isinstance(function.subject, Instance):
            return self.invoke(function.subject, function.name, args, kwargs)
        if isinstance(function, Bound) and isinstance(function.subject, Term):
            made = applied(f".{function.name}", [function.subject, *args], kwargs)
            self.outputs |= {made.digest} if function.name in SEVERAL else set()
            return made
        if isinstance(function, Library) and not function.path.startswith("builtins."):
            path = function.path
            if path == "nn.ModuleList":
                return list(args[0]) if args else []
            if path in MODULES:
                return applied(MODULES[path], args[:1], {}, repr((canonical(args[1:]), canonical(kwargs))))
            if any(map(self.traced, flat((args, kwargs)))):
                return applied(path, args, kwargs)
            return made_of(path, args, kwargs)
        return super().apply(node, function, args, kwargs)


def flat(structure: Any) -> list[Any]:
    """The leaves of nested arguments."""
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in flat(item)]
    return [leaf for item in structure.values() for leaf in flat(item)] if isinstance(structure, dict) else [structure]


def name_modules(item: Any, path: str, seen: set[int]) -> None:
    """Give each module its path below the model, the first if it has several."""
    if isinstance(item, Made) and id(item) not in seen:
        seen.add(id(item))
        item.path = path
    elif isinstance(item, Instance):
        for name, value in item.attributes.items():
            name_modules(value, f"{path}.{name}" if path else name, seen)
    elif isinstance(item, list):
        for index, value in enumerate(item):
            name_modules(value, f"{path}.{index}", seen)


def same(
    classes: Sequence[str],
    constants: Mapping[str, Any],
    name: str,
    arguments: Mapping[str, Any],
    block: Block,
    named: bool = True,
) -> bool:
    """Whether the class computes what the program computes.

    Args:
        arguments: of the class's constructor.
        named: whether the paths of modules are compared, too.
    """
    sizes: Sizes = {}
    inputs = [term("input", index) for index in range(len(block.inputs))]
    expected = canonical(followed(block, inputs, named, sizes))
    follower = Follower(classes, constants, stateless(block), sizes)
    try:
        net = follower.construct(name, [], arguments)
        if named:
            name_modules(net, "", set())
        found = follower.invoke(net, "forward", inputs, {})
    except FAILURES as error:
        raise NotStructured(f"the written class cannot be followed: {error}") from error
    if named and weighted(net, follower.stateless) != set(paths(block)):
        return False
    return bool(canonical(found) == expected)


def weighted(item: Any, stateless: frozenset[str]) -> set[str]:
    """The paths of the modules with weights that were constructed."""
    if isinstance(item, Made):
        return set() if item.call in stateless else {item.path}
    inner = list(item.attributes.values()) if isinstance(item, Instance) else item if isinstance(item, list) else []
    return set().union(*(weighted(one, stateless) for one in inner))
