"""`forward`: the code with each call of a layer replaced by the call of its module."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any, TypeVar

from k2t.code.slices import assigned
from k2t.emit.syntax import BINARY, COMPARE, UNARY
from k2t.lower.names import Namespace
from k2t.program import Value
from k2t.structured.frames import NotStructured
from k2t.structured.plan import PLACE, Plan
from k2t.structured.projection import (
    BUILTINS,
    Projection,
    indexed,
    is_none,
    joined,
    negated,
    operator,
    parsed,
    permuted,
    zipped,
)
from k2t.structured.templates import Group, In, Key, Made, Moved, Of, Own, Step, Text
from k2t.structured.texts import singular, variables_of

Part = TypeVar("Part", In, Made)


class Forward(Projection):
    """Writes the statements of `forward`.

    Attributes:
        kept: variables of the constructor that forward reads as attributes.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.kept: dict[str, None] = {}
        self.scope: set[str] = set()
        self.elements: dict[Key, str] = {}
        self.names = Namespace(plan.local | {"self", "torch", "nn", "F"})
        self.before: list[ast.stmt] = []

    def write(self) -> list[ast.stmt]:
        """The statements."""
        return self.statements(self.plan.node.body)

    def statements(self, nodes: list[ast.stmt]) -> list[ast.stmt]:
        """Statements in order, up to the one that gives the result."""
        made: list[ast.stmt] = []
        for node in nodes:
            written = self.statement(node)
            written = [*self.before, *written]
            self.before = []
            for item in written[:1]:
                item.origins = [node]  # type: ignore[attr-defined]
            made += written
            if made and isinstance(made[-1], ast.Return):
                break
        return made

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """What one statement of the code becomes."""
        if isinstance(node, ast.For):
            return self.loop(node)
        if isinstance(node, ast.If):
            return self.condition(node)
        if isinstance(node, ast.With):
            return self.statements(node.body)
        if (result := self.result(node)) is not None:
            return [ast.Return(self.returned(result))]
        if isinstance(node, ast.Assign) and any(node.value in frame.inputs for frame in self.plan.frames):
            return []
        if isinstance(node, ast.Assign) and self.is_tensor(node.value):
            return [ast.Assign([self.target(item) for item in node.targets], self.tensor(node.value), lineno=0)]
        if isinstance(node, ast.Assign) and any(self.is_tensor(target) for target in node.targets):
            return [ast.Assign(node.targets, node.value, lineno=0)]
        if isinstance(node, ast.AugAssign) and (node in self.plan.templates or self.is_tensor(node.target)):
            return self.augmented(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and self.is_effect(node.value):
            return [ast.Expr(self.tensor(node.value))]
        return []

    def returned(self, node: ast.expr) -> ast.expr:
        """The result, each tensor in the order of axes that the class promises."""
        found = self.tensor(node)
        if not any(self.plan.orders):
            return found
        if len(self.plan.orders) == 1:
            return permuted(found, self.plan.orders[0])
        if not isinstance(found, ast.List | ast.Tuple) or len(found.elts) != len(self.plan.orders):
            raise NotStructured("several tensors are returned in another layout", node)
        items = [permuted(item, order) for item, order in zip(found.elts, self.plan.orders, strict=True)]
        return type(found)(items, ast.Load())

    def result(self, node: ast.stmt) -> ast.expr | None:
        """What the function gives, in the statement that makes it known."""
        for frame in self.plan.frames:
            if frame.model is not None and frame.model.site in set(ast.walk(node)):
                site = frame.model.site
                if not isinstance(site, ast.Call):
                    return None
                named = next((item.value for item in site.keywords if item.arg in ("outputs", "output")), None)
                return named or site.args[1]
        if isinstance(node, ast.Return) and not any(frame.model for frame in self.plan.frames):
            return node.value
        return None

    def is_effect(self, node: ast.Call) -> bool:
        """Whether it changes a collection of tensors."""
        func = node.func
        if not isinstance(func, ast.Attribute) or node in self.plan.templates:
            return False
        return self.is_tensor(func.value) and not isinstance(self.seen(func.value), Value)

    def augmented(self, node: ast.AugAssign) -> list[ast.stmt]:
        """`target += value`."""
        if node in self.plan.templates:
            return [ast.Assign([node.target], self.applied(node), lineno=0)]
        return [ast.AugAssign(node.target, node.op, self.tensor(node.value))]

    def target(self, node: ast.expr) -> ast.expr:
        """The left side of an assignment."""
        if isinstance(node, ast.Subscript):
            return ast.Subscript(self.tensor(node.value), self.index(node.slice), ast.Store())
        return node

    def condition(self, node: ast.If) -> list[ast.stmt]:
        """A condition on the configuration, where it concerns tensors."""
        chosen = self.chosen(node)
        if chosen is not None:
            return self.statements(chosen)
        body, orelse = self.statements(node.body), self.statements(node.orelse)
        if not body and not orelse:
            return []
        test = parsed(f"self.{flag}") if (flag := self.flag(node)) else self.config(node.test)
        if not body:
            return [ast.If(negated(test), orelse, [])]
        return [ast.If(test, body, orelse)]

    def loop(self, node: ast.For) -> list[ast.stmt]:
        """A loop over the modules that the constructor has made for it."""
        keys = [key for key in self.plan.within(node) if node in self.plan.modules[key].loops]
        keys = [key for key in keys if key in self.used(node)]
        for key in keys:
            if self.plan.modules[key].loops[-1] is node:
                self.elements[key] = self.names.claim(singular(self.plan.names[key]))
        around = self.scope
        targets = assigned(node.target)
        self.scope = around | targets
        body = self.statements(node.body)
        self.scope = around
        if not body:
            return []
        lists = [self.list_of(key, node) for key in keys]
        elements = [self.element(key, node) for key in keys]
        read = {item.id for part in body for item in ast.walk(part) if isinstance(item, ast.Name)}
        header = self.header(node, bool(targets & read), elements, lists)
        return [ast.For(*header, body, [], lineno=0)]

    def used(self, node: ast.For) -> set[Key]:
        """The modules that the loop calls."""
        inner = set(ast.walk(node))
        return {
            step.target.key
            for place, template in self.plan.templates.items()
            if place in inner
            for step in template.steps
            if isinstance(step.target, Own)
        }

    def list_of(self, key: Key, node: ast.For) -> ast.expr:
        """The list of modules that a loop goes over."""
        depth = self.plan.modules[key].loops.index(node)
        name = self.plan.names[key]
        return parsed(f"self.{name}" if depth == 0 else name if depth == 1 else f"{name}_{depth}")

    def element(self, key: Key, node: ast.For) -> ast.expr:
        """One of them."""
        loops = self.plan.modules[key].loops
        depth = loops.index(node) + 1
        name = self.plan.names[key] if depth == 1 else f"{self.plan.names[key]}_{depth}"
        return ast.Name(self.elements[key] if loops[-1] is node else name, ast.Store())

    def header(
        self, node: ast.For, needs_target: bool, elements: list[ast.expr], lists: list[ast.expr]
    ) -> tuple[ast.expr, ast.expr]:
        """The target and the iterable of a loop."""
        if not lists:
            return node.target, self.iterable(node.iter)
        if not needs_target and not self.is_tensor(node.iter):
            return joined(elements), zipped(lists)
        count = node.iter
        if isinstance(count, ast.Call) and isinstance(count.func, ast.Name) and not count.keywords:
            inner, outer = joined(elements), zipped(lists)
            if count.func.id == "range" and len(count.args) == 1:
                return ast.Tuple([node.target, inner], ast.Store()), ast.Call(ast.Name("enumerate"), [outer], [])
            if count.func.id == "zip" and isinstance(node.target, ast.Tuple):
                return self.zipped_with(node.target, count, elements, lists)
        return joined([node.target, *elements]), zipped([self.iterable(node.iter), *lists])

    def zipped_with(
        self, target: ast.Tuple, count: ast.Call, elements: list[ast.expr], lists: list[ast.expr]
    ) -> tuple[ast.expr, ast.expr]:
        """`for a, b in zip(…)`, with the modules in place of what only the constructor reads."""
        kept = [(one, item) for one, item in zip(target.elts, count.args, strict=True) if self.is_tensor(item)]
        ones, items = [one for one, _ in kept], [self.iterable(item) for _, item in kept]
        return joined([*ones, *elements]), zipped([*items, *lists])

    def iterable(self, node: ast.expr) -> ast.expr:
        """What a loop goes over."""
        return self.tensor(node) if self.is_tensor(node) else self.config(node)

    # Expressions

    def tensor(self, node: ast.expr) -> ast.expr:
        """An expression that holds tensors."""
        if node in self.plan.templates:
            return self.applied(node)
        if any(node in frame.inputs for frame in self.plan.frames):
            raise NotStructured("an input inside of an expression", node)
        if isinstance(node, ast.Name):
            if node.id in self.plan.local or node.id in BUILTINS:
                return ast.Name(node.id, ast.Load())  # the target of `x += y` is read, too
            raise NotStructured(f"reads {node.id}", node)
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Subscript):
            return ast.Subscript(self.tensor(node.value), self.index(node.slice), ast.Load())
        if isinstance(node, ast.IfExp):
            return ast.IfExp(self.config(node.test), self.tensor(node.body), self.tensor(node.orelse))
        if isinstance(node, ast.Call):
            func = node.func
            if isinstance(func, ast.Attribute):
                func = ast.Attribute(self.tensor(func.value), func.attr, ast.Load())
            elif not isinstance(func, ast.Name) or func.id not in BUILTINS:
                raise NotStructured(f"calls {ast.unparse(func)}", node)
            return ast.Call(func, [self.iterable(item) for item in node.args], [])
        if isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.BinOp):
            made: ast.expr = self.mapped(node, self.iterable)
            return made
        raise NotStructured(f"a tensor from {type(node).__name__.lower()}", node)

    def index(self, node: ast.expr) -> ast.expr:
        """An index, or a slice."""
        return self.mapped(node, self.config) if isinstance(node, ast.Slice) else self.config(node)

    def applied(self, node: ast.AST) -> ast.expr:
        """What a place does."""
        template = self.plan.templates[node]
        made: dict[Any, ast.expr] = {}
        everything = (template.output, *((step.args, step.kwargs) for step in template.steps))
        for operand, count in Counter(found_in(In, everything)).items():
            written = self.argument(node, operand, made)
            if count > 1 and any(isinstance(item, ast.Call) for item in ast.walk(written)):
                made[operand] = self.held(written)
        for moved, count in Counter(found for step in template.steps for found in moved_in(step.args)).items():
            if count > 1:
                made[moved] = self.held(self.argument(node, moved, made))
        uses = [found.step for found in found_in(Made, everything)]
        for number, step in enumerate(template.steps):
            written = self.step(node, step, made)
            made[number] = self.held(written) if uses.count(number) > 1 else written
        return self.argument(node, template.output, made)

    def held(self, value: ast.expr) -> ast.expr:
        """A variable for what is read several times."""
        name = self.names.claim("y")
        self.before.append(ast.Assign([ast.Name(name, ast.Store())], value, lineno=0))
        return ast.Name(name, ast.Load())

    def step(self, node: ast.AST, step: Step, made: dict[Any, ast.expr]) -> ast.expr:
        """One operation."""
        args = [self.argument(node, arg, made) for arg in step.args]
        keywords = [ast.keyword(key, self.argument(node, arg, made)) for key, arg in step.kwargs]
        target = step.target
        if isinstance(target, Own):
            call = ast.Call(self.attribute(target.key), args, keywords)
            module = self.plan.modules[target.key]
            call.weighted = module.state and not is_norm(module.call)  # type: ignore[attr-defined]
            return call
        if target == "[]":
            return ast.Subscript(args[0], args[1], ast.Load())
        if target in UNARY and len(args) == 1:
            return parsed(f"{target}({ast.unparse(args[0])})")
        if target in BINARY or target in COMPARE:
            return operator(target, *args)
        if target.startswith("."):
            return ast.Call(ast.Attribute(args[0], target[1:], ast.Load()), args[1:], keywords)
        return ast.Call(parsed(target), args, keywords)

    def attribute(self, key: Key) -> ast.expr:
        """A module where it is called."""
        if key in self.elements:
            return ast.Name(self.elements[key], ast.Load())
        if self.plan.modules[key].loops:
            raise NotStructured("a layer of a loop is called outside of it", key[0])
        return parsed(f"self.{self.plan.names[key]}")

    def argument(self, node: ast.AST, arg: Any, made: dict[Any, ast.expr]) -> ast.expr:
        """An argument of an operation."""
        if arg in made:
            return made[arg]
        if isinstance(arg, In):
            return self.operand(self.plan.operands[node][arg.operand], arg.path)
        if isinstance(arg, Own):
            return self.attribute(arg.key)
        if isinstance(arg, Made):
            return indexed(made[arg.step], arg.path)
        if isinstance(arg, Moved):
            return permuted(self.argument(node, arg.value, made), arg.order)
        if isinstance(arg, Of):
            subject = self.argument(node, arg.value, made)
            if arg.axis is None:
                return ast.Attribute(subject, "device", ast.Load())
            return indexed(ast.Attribute(subject, "shape", ast.Load()), (arg.axis,))
        if isinstance(arg, Text):
            return self.text(node, arg)
        if arg.kind == "slice":
            bounds = [self.argument(node, item, made) for item in arg.items]
            return ast.Slice(*(None if is_none(item) else item for item in bounds))
        whole = [In(operand, path) for operand, path in self.plan.leaves[node]]
        if (collection := self.plan.collection(node)) and list(arg.items) == whole:
            return self.tensor(collection)
        items = [self.argument(node, item, made) for item in arg.items]
        return ast.List(items, ast.Load()) if arg.kind == "list" else ast.Tuple(items, ast.Load())

    def text(self, node: ast.AST, arg: Text) -> ast.expr:
        """An expression of the constructor's variables."""
        if not variables_of(arg) or re.fullmatch(r"torch\.[\w.()]+", arg.code):
            return parsed(arg.code)
        if not PLACE.search(arg.code):
            return self.config(parsed(arg.code))
        return self.sized(node, parsed(arg.code))

    def sized(self, node: ast.AST, code: ast.expr) -> ast.expr:
        """An expression that reads sizes of the tensors of a place."""
        if isinstance(code, ast.Name):
            match = PLACE.fullmatch(code.id)
            return self.size_of_operand(node, match) if match else self.config(code)
        made: ast.expr = self.mapped(code, lambda inner: self.sized(node, inner))
        return made

    def size_of_operand(self, node: ast.AST, match: re.Match[str]) -> ast.expr:
        """`x.shape[1]` for a size of a tensor that a place reads."""
        operand, path = self.plan.leaves[node][int(match[1])]
        syntax = self.plan.operands[node][operand]
        if path or not isinstance(syntax, ast.Name):
            raise NotStructured("an operation that depends on the channels", node)
        return self.size(syntax, int(match[2].strip("_")) if match[2] else self.seen(syntax).rank - 1, syntax)

    def operand(self, node: ast.expr, path: tuple[Any, ...]) -> ast.expr:
        """A tensor among the operands."""
        if not path:
            return self.tensor(node)
        if isinstance(node, ast.List | ast.Tuple):
            return self.operand(node.elts[path[0]], path[1:])
        return indexed(self.tensor(node), path)

    def name(self, node: ast.Name) -> ast.expr:
        """A variable that forward has, or an attribute."""
        if node.id in self.scope:
            return node
        if (measured := self.measured(node.id)) is not None:
            return measured
        self.kept[node.id] = None
        return parsed(f"self.{node.id}")

    def size(self, subject: ast.expr, axis: int, node: ast.expr) -> ast.expr:
        """One size of a tensor."""
        return indexed(ast.Attribute(self.tensor(subject), "shape", ast.Load()), (self.plan.axis_of(subject, axis),))


def found_in(kind: type[Part], structure: Any) -> list[Part]:
    """The operands, or the results of operations, among arguments."""
    if isinstance(structure, kind):
        return [structure]
    if isinstance(structure, Moved | Of):
        return found_in(kind, structure.value)
    if isinstance(structure, Group):
        return found_in(kind, structure.items)
    return [found for item in structure for found in found_in(kind, item)] if isinstance(structure, tuple) else []


def moved_in(args: tuple[Any, ...]) -> list[Moved]:
    """The operands that are permuted, once for each use."""
    return [arg for arg in args if isinstance(arg, Moved) and isinstance(arg.value, In)]


def is_norm(call: Any) -> bool:
    """Whether a module belongs to the layer in front of it."""
    return isinstance(call, str) and "Norm" in call
