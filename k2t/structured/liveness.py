"""Removes what nothing reads from statements."""

from __future__ import annotations

import ast
from collections.abc import Sequence


def live(body: Sequence[ast.stmt], after: frozenset[str] = frozenset()) -> list[ast.stmt]:
    """The statements without assignments of variables that nothing reads behind them."""
    return sweep(body, set(after))[0]


def sweep(body: Sequence[ast.stmt], needed: set[str]) -> tuple[list[ast.stmt], set[str]]:
    """Statements from behind: those that are needed, and the variables that are needed in front of them."""
    kept: list[ast.stmt] = []
    for node in reversed(body):
        made, needed = step(node, needed)
        if made is not None:
            kept.append(made)
    return kept[::-1], needed


def step(node: ast.stmt, needed: set[str]) -> tuple[ast.stmt | None, set[str]]:
    """One statement."""
    if isinstance(node, ast.For):
        return loop(node, needed)
    if isinstance(node, ast.If):
        body, first = sweep(node.body, set(needed))
        orelse, second = sweep(node.orelse, set(needed))
        if not [item for item in (*body, *orelse) if not isinstance(item, ast.Pass)]:
            return None, needed
        made = ast.If(node.test, body or [ast.Pass()], orelse)
        return located(made, node), first | second | reads(node.test)
    if isinstance(node, ast.Assign):
        stored = names(node, ast.Store)
        plain = all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
        if plain and stored and not stored & needed and not popped(node) & needed:
            return None, needed
        if plain:
            return node, (needed - stored) | reads(node.value)
        target = node.targets[0]
        owner = root(target)
        return (node, needed | reads(node)) if owner == "self" or owner in needed else (None, needed)
    if isinstance(node, ast.AugAssign):
        return (
            (node, needed | reads(node) | names(node, ast.Store)) if names(node, ast.Store) & needed else (None, needed)
        )
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        owner = root(node.value.func.value)
        return (node, needed | reads(node)) if owner == "self" or owner in needed else (None, needed)
    return node, needed | reads(node)


def loop(node: ast.For, needed: set[str]) -> tuple[ast.stmt | None, set[str]]:
    """A loop: what its body needs in front may come from the round before."""
    around = set(needed)
    while True:
        body, first = sweep(node.body, set(around))
        first -= names(node.target, ast.Store)
        if first <= around:
            break
        around |= first
    if not body:
        return None, needed
    return located(ast.For(node.target, node.iter, body, [], lineno=0), node), around | reads(node.iter)


def located(made: ast.stmt, node: ast.stmt) -> ast.stmt:
    """The new statement at the place of the old one."""
    ast.copy_location(made, node)
    made.origins = getattr(node, "origins", [])  # type: ignore[attr-defined]
    return made


def popped(node: ast.AST) -> set[str]:
    """The lists that it takes something out of."""
    return {root(item.value) for item in ast.walk(node) if isinstance(item, ast.Attribute) and item.attr == "pop"}


def root(node: ast.expr) -> str:
    """The variable that an attribute or an item belongs to."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def reads(node: ast.AST) -> set[str]:
    """The variables that it reads."""
    return names(node, ast.Load)


def names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """The variables in this context; those without one are read."""
    found = (item for item in ast.walk(node) if isinstance(item, ast.Name))
    return {item.id for item in found if isinstance(getattr(item, "ctx", ast.Load()), context)}
