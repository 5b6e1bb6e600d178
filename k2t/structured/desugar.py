"""Statements of a file as a function, and the numbers that they share with other functions."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Sequence

from k2t.structured.liveness import live


def wrapped(body: Sequence[ast.stmt], name: str, result: str, fixed: Collection[ast.stmt]) -> ast.FunctionDef:
    """Statements of a file as a function that gives the value of the variable `result`; without those in `fixed`."""
    nothing = ast.arguments([], [], None, [], [], None, [])
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    kept = live([node for node in body if not isinstance(node, kinds) and node not in fixed], frozenset({result}))
    last = ast.Return(ast.Name(result, ast.Load()))
    return ast.FunctionDef(
        name, nothing, [*kept, ast.copy_location(last, kept[-1] if kept else ast.Pass(lineno=1, col_offset=0))], []
    )


def with_loops(function: ast.FunctionDef) -> ast.FunctionDef:
    """`xs = [layer(n)(x) for n in ns]` as a list and a loop that fills it, `a, b = f(), g()` as two statements."""
    made = copy.copy(function)
    made.body = looped(function.body)
    return made


def looped(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements with loops in place of comprehensions that make layers or call them."""
    made: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.For | ast.If):
            inner = copy.copy(node)
            inner.body, inner.orelse = looped(node.body), looped(node.orelse)
            made.append(inner)
        elif isinstance(node, ast.Assign) and (parts := apart(node)):
            made += parts
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.ListComp) and builds(node.value):
            made += loop_of(node, node.value)
        else:
            made.append(node)
    return made


def apart(node: ast.Assign) -> list[ast.stmt]:
    """`a = f()` and `b = g()` for `a, b = f(), g()`; nothing for any other assignment."""
    target, value = node.targets[0], node.value
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple) or len(target.elts) != len(value.elts):
        return []
    names = {item.id for item in target.elts if isinstance(item, ast.Name)}
    read = {item.id for item in ast.walk(value) if isinstance(item, ast.Name)}
    if names & read or not all(isinstance(item, ast.Call) for item in value.elts):
        return []
    pairs = zip(target.elts, value.elts, strict=True)
    return [ast.copy_location(ast.Assign([one], item, lineno=node.lineno), node) for one, item in pairs]


def builds(node: ast.ListComp) -> bool:
    """Whether it makes layers or calls them, by the look of it."""
    calls = [item for item in ast.walk(node.elt) if isinstance(item, ast.Call)]
    names = [ast.unparse(call.func).rpartition(".")[2] for call in calls]
    return len(node.generators) == 1 and any(name[:1].isupper() or name[-1:] == ")" for name in names)


def loop_of(node: ast.Assign, made: ast.ListComp) -> list[ast.stmt]:
    """`xs = []` and the loop."""
    generator, target = made.generators[0], ast.unparse(node.targets[0])
    first = ast.parse(f"{target} = []").body[0]
    fill: ast.stmt = ast.Expr(ast.Call(ast.parse(f"{target}.append", mode="eval").body, [made.elt], []))
    for test in generator.ifs:
        fill = ast.If(test, [fill], [])
    loop = ast.For(generator.target, generator.iter, [fill], [])
    return [ast.fix_missing_locations(ast.copy_location(item, node)) for item in (first, loop)]


def constants(tree: ast.Module) -> dict[str, ast.Assign]:
    """The numbers and tables that a file assigns once, by name."""
    stores = [item.id for item in ast.walk(tree) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)]
    found: dict[str, ast.Assign] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if stores.count(name) == 1 and is_constant(node.value, found.keys()):
            found[name] = node
    return found


def is_constant(node: ast.AST, known: Collection[str]) -> bool:
    """Whether it is a number, or made of numbers and of constants."""
    if isinstance(node, ast.Name):
        return node.id in known
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float | str | None)
    kinds = (ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.Dict)
    if isinstance(node, ast.operator | ast.unaryop | ast.expr_context):
        return True
    return isinstance(node, kinds) and all(is_constant(child, known) for child in ast.iter_child_nodes(node))
