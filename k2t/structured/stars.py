"""Functions with star arguments as functions of what a call gives: `**kwargs` by the names of the keys."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence

from k2t.rules.base import RULES
from k2t.rules.tracing.names import Closure
from k2t.structured.objects import free, is_identity, names_in
from k2t.structured.sequential import called


def is_starred(function: Closure) -> bool:
    """Whether it takes any number of arguments."""
    return function.node.args.vararg is not None or function.node.args.kwarg is not None


def spread(function: Closure, count: int, keys: Sequence[str]) -> ast.FunctionDef:
    """The function with `count` arguments in place of `*args`, and those of these names in place of `**kwargs`."""
    made: ast.FunctionDef = copy.deepcopy(function.node)  # type: ignore[assignment]
    spec, taken = made.args, names_in(made)
    stars, options = (spec.vararg.arg if spec.vararg else ""), (spec.kwarg.arg if spec.kwarg else "")
    positions = [free(word, taken) for word in words(function, made, stars)[:count]]
    positions += [f"{stars}_{index}" for index in range(len(positions), count)]
    spec.args += [ast.arg(name) for name in positions]
    spec.defaults = [] if count else spec.defaults  # then the call gives all that are in front
    spec.kwonlyargs += [ast.arg(key) for key in keys]
    spec.kw_defaults += [None] * len(keys)
    spec.vararg = spec.kwarg = None
    walker = Unstarred(stars, positions, options, keys)
    made.body = [node for node in map(walker.visit, made.body) if not is_identity(node)]
    return ast.fix_missing_locations(made)


def words(function: Closure, node: ast.AST, stars: str) -> list[str]:
    """The names that the arguments of `*args` have where they are handed on: to a layer, or a function of the code."""
    for call in (item for item in ast.walk(node) if isinstance(item, ast.Call)):
        place = next((i for i, item in enumerate(call.args) if is_star(item, stars)), None)
        if place is None:
            continue
        inner = function.names.get(called(call)) if isinstance(call.func, ast.Name) else None
        if isinstance(inner, Closure):
            spec = inner.node.args
            further = words(inner, inner.node, spec.vararg.arg) if spec.vararg else []
            return [*(item.arg for item in (*spec.posonlyargs, *spec.args)), *further][place:]
        if called(call) in RULES:
            return [*RULES[called(call)].options][place:]
    return []


def is_star(node: ast.expr, name: str) -> bool:
    """Whether it is `*name`."""
    return isinstance(node, ast.Starred) and isinstance(node.value, ast.Name) and node.value.id == name


class Unstarred(ast.NodeTransformer):
    """Replaces star arguments by the variables that stand for them.

    Attributes:
        keys: those that are in `kwargs`; `kwargs.pop` takes them out.
    """

    def __init__(self, stars: str, positions: Sequence[str], options: str, keys: Sequence[str]) -> None:
        self.stars = stars
        self.positions = positions
        self.options = options
        self.keys = list(keys)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`f(*args, **kwargs)`, `kwargs.get(key, default)`, `kwargs.pop(key, default)`."""
        func = node.func
        if (
            isinstance(func, ast.Attribute)
            and self.is_options(func.value)
            and func.attr in ("get", "pop", "setdefault")
        ):
            key, default = ast.literal_eval(node.args[0]), [*node.args, ast.Constant(None)][1]
            if key not in self.keys:
                return self.visit(default)  # type: ignore[no-any-return]
            if func.attr == "pop":
                self.keys.remove(key)
            return ast.Name(key, ast.Load())
        given = [ast.Name(name, ast.Load()) for name in self.positions]
        node.args = [one for item in node.args for one in (given if is_star(item, self.stars) else [item])]
        pairs = [ast.keyword(key, ast.Name(key, ast.Load())) for key in self.keys]
        keywords = [(pairs if k.arg is None and self.is_options(k.value) else [k]) for k in node.keywords]
        node.keywords = [one for some in keywords for one in some]
        self.generic_visit(node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """`kwargs[key]`."""
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if self.is_options(node.value) and key in self.keys:
            return ast.Name(str(key), node.ctx)
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """All of them at once."""
        if node.id == self.stars:
            return ast.Tuple([ast.Name(name, ast.Load()) for name in self.positions], ast.Load())
        if self.is_options(node):
            return ast.Dict([*map(ast.Constant, self.keys)], [ast.Name(key, ast.Load()) for key in self.keys])
        return node

    def is_options(self, node: ast.expr) -> bool:
        """Whether it is `kwargs`."""
        return isinstance(node, ast.Name) and bool(self.options) and node.id == self.options
