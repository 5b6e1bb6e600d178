"""Statements of a file as a function, and the numbers that they share with other functions."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Sequence

from k2t.structured.liveness import live
from k2t.structured.objects import free, names_in
from k2t.structured.projection import shaped
from k2t.structured.sequential import replaced

COMPREHENSIONS = (ast.ListComp, ast.DictComp)


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
    """Loops for `[layer(n)(x) for n in ns]`, branches for `f(x) if a else x`, statements for `a, b = f(), []`."""
    made = copy.copy(function)
    made.body = looped(function.body, names_in(function))
    return made


def looped(body: Sequence[ast.stmt], taken: set[str]) -> list[ast.stmt]:
    """The statements with loops and branches in place of expressions that make layers or call them under a name."""
    made: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.For | ast.If):
            inner = copy.copy(node)
            inner.body, inner.orelse = looped(node.body, taken), looped(node.orelse, taken)
            made.append(inner)
        elif isinstance(node, ast.Assign) and (parts := apart(node)):
            made += parts
        elif isinstance(node, ast.Assign) and isinstance(node.value, COMPREHENSIONS) and builds(node.value):
            made += loop_of(node, node.value)
        elif isinstance(node, ast.Assign | ast.Return) and isinstance(node.value, ast.IfExp) and branches(node.value):
            made += looped([branched(node, node.value)], taken)
        elif found := inner_loop(node):
            made += looped(named_first(node, found, taken), taken)
        else:
            made.append(node)
    return made


def branches(node: ast.IfExp) -> bool:
    """Whether it makes or calls layers on one side, by the look of it."""
    return calls_layers(node.body) or calls_layers(node.orelse)


def branched(node: ast.Assign | ast.Return, value: ast.IfExp) -> ast.If:
    """`x = a if test else b` as a statement."""
    sides = []
    for side in (value.body, value.orelse):
        one = copy.copy(node)
        one.value = side
        sides.append(one)
    return ast.copy_location(ast.If(value.test, [sides[0]], [sides[1]]), node)


def inner_loop(node: ast.stmt) -> ast.ListComp | ast.DictComp | None:
    """A comprehension that makes layers or calls them, inside of another expression of a statement."""
    if not isinstance(node, ast.Assign | ast.Return | ast.Expr) or node.value is None:
        return None
    found = (item for item in ast.walk(node.value) if isinstance(item, COMPREHENSIONS) and builds(item))
    return next(found, None)


def named_first(node: ast.stmt, made: ast.ListComp | ast.DictComp, taken: set[str]) -> list[ast.stmt]:
    """The comprehension under a name of its own, in front of the statement."""
    name = free("tensors", taken)
    taken.add(name)
    first = ast.Assign([ast.Name(name, ast.Store())], made, lineno=node.lineno)
    return [ast.copy_location(first, node), replaced(node, made, ast.Name(name, ast.Load()))]


def apart(node: ast.Assign) -> list[ast.stmt]:
    """`a = f()` and `b = []` for `a, b = f(), []`, or sizes of a shape; nothing for any other assignment."""
    target, value = node.targets[0], sizes(node) or node.value
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple) or len(target.elts) != len(value.elts):
        return []
    names = {item.id for item in target.elts if isinstance(item, ast.Name)}
    read = {item.id for item in ast.walk(value) if isinstance(item, ast.Name)}
    if names & read:
        return []
    pairs = zip(target.elts, value.elts, strict=True)
    return [ast.copy_location(ast.Assign([one], item, lineno=node.lineno), node) for one, item in pairs]


def sizes(node: ast.Assign) -> ast.Tuple | None:
    """For `h, w, c = x.shape[1:]`, the sizes one by one."""
    target, value, start = node.targets[0], node.value, 0
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice) and value.slice.upper is None:
        start = ast.literal_eval(value.slice.lower) if isinstance(value.slice.lower, ast.Constant) else 0
        value = value.value
    if not isinstance(target, ast.Tuple) or not isinstance(shaped(value), ast.Name):
        return None
    items = [ast.Subscript(value, ast.Constant(start + i), ast.Load()) for i in range(len(target.elts))]
    return ast.fix_missing_locations(ast.copy_location(ast.Tuple(list(items), ast.Load()), node))


def builds(node: ast.ListComp | ast.DictComp) -> bool:
    """Whether it makes layers or calls them, by the look of it."""
    return len(node.generators) == 1 and calls_layers(node.value if isinstance(node, ast.DictComp) else node.elt)


def calls_layers(node: ast.expr) -> bool:
    """Whether it makes layers or calls them, by the look of it."""
    calls = [ast.unparse(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)]
    names = [call.rpartition(".")[2] for call in calls]
    return any(name[:1].isupper() or name[-1:] == ")" for name in names) or any("layers." in call for call in calls)


def loop_of(node: ast.Assign, made: ast.ListComp | ast.DictComp) -> list[ast.stmt]:
    """`xs = []` or `xs = {}` and the loop."""
    generator, target = made.generators[0], ast.unparse(node.targets[0])
    first = ast.parse(f"{target} = {'{}' if isinstance(made, ast.DictComp) else '[]'}").body[0]
    holder = ast.parse(target, mode="eval").body
    fill: ast.stmt
    if isinstance(made, ast.DictComp):
        fill = ast.Assign([ast.Subscript(holder, made.key, ast.Store())], made.value, lineno=0)
    else:
        fill = ast.Expr(ast.Call(ast.Attribute(holder, "append", ast.Load()), [made.elt], []))
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
