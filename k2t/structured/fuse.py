"""Joins statements of `forward` that a person would write as one: `F.relu(self.batch_norm(self.conv(x)))`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

WIDTH = 76
DEPTH = 3


def fused(body: Sequence[ast.stmt], inside: bool = False) -> list[ast.stmt]:
    """The statements, each that only feeds the next one written into it.

    Args:
        inside: whether they are the body of a loop or a branch, behind which variables may be read.
    """
    made: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.For | ast.If):
            node.body = fused(node.body, True)
            node.orelse = fused(node.orelse, True)
        if made and (item := fills(made[-1], node)) is not None:
            made[-1] = comprehension(made[-1], node, item)
            continue
        while made and joins(made[-1], node, inside, body):
            put(made.pop(), node)
        if not is_identity(node):
            made.append(node)
    return made


def fills(first: ast.stmt, second: ast.stmt) -> ast.expr | None:
    """For `xs = []` and a loop that does nothing but append to it, what it appends."""
    name = assigned(first)
    if name is None or ast.unparse(first.value) != "[]" or not isinstance(second, ast.For):  # type: ignore[attr-defined]
        return None
    only = second.body[0] if len(second.body) == 1 else None
    if not isinstance(only, ast.Expr) or not isinstance(only.value, ast.Call) or reads(second, name) != 1:
        return None
    return only.value.args[0] if ast.unparse(only.value.func) == f"{name}.append" else None


def comprehension(first: ast.stmt, second: ast.stmt, item: ast.expr) -> ast.stmt:
    """`xs = [item for target in items]`."""
    loop = ast.comprehension(second.target, second.iter, [], 0)  # type: ignore[attr-defined]
    made = ast.Assign(first.targets, ast.ListComp(item, [loop]), lineno=0)  # type: ignore[attr-defined]
    parts = (first, second, *second.body)  # type: ignore[attr-defined]
    made.origins = [origin for part in parts for origin in getattr(part, "origins", [])]  # type: ignore[attr-defined]
    return made


def is_identity(node: ast.stmt) -> bool:
    """Whether it is `x = x`."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    target = node.targets[0]
    return isinstance(target, ast.Name) and isinstance(node.value, ast.Name) and target.id == node.value.id


def joins(first: ast.stmt, second: ast.stmt, inside: bool, body: Sequence[ast.stmt]) -> bool:
    """Whether `first` is to be written into `second`."""
    name = assigned(first)
    if name is None or not isinstance(second, ast.Assign | ast.Return) or second.value is None:
        return False
    place = holder(second.value, name)
    if place is None or reads(second, name) != 1:
        return False
    value = first.value  # type: ignore[attr-defined]
    if isinstance(value, ast.Name):
        return False
    if not isinstance(second, ast.Return) and assigned(second) != name:
        behind = body[list(body).index(second) + 1 :] if second in body else body
        if inside or any(reads(item, name) for item in behind):
            return False
    if isinstance(second, ast.Return) and isinstance(second.value, ast.Name):
        return True
    if getattr(place, "weighted", False) and not (moves(value) and depth(value) == 1):
        return False
    return len(ast.unparse(value)) <= WIDTH and depth(value) < DEPTH


def assigned(node: ast.stmt) -> str | None:
    """The only variable that a statement assigns."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def holder(node: ast.expr, name: str) -> ast.expr | None:
    """The expression whose first part is the variable `name`."""
    if isinstance(node, ast.Name):
        return node if node.id == name else None
    first = first_part(node)
    if first is None:
        return None
    return node if isinstance(first, ast.Name) and first.id == name else holder(first, name)


def first_part(node: ast.expr) -> ast.expr | None:
    """What an expression evaluates first."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not rooted(node.func):
            return node.func.value
        return node.args[0] if node.args else None
    if isinstance(node, ast.BinOp):
        return node.left
    return node.value if isinstance(node, ast.Subscript) else None


def rooted(node: ast.Attribute) -> bool:
    """Whether it is an attribute of the class or a function of a library."""
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return isinstance(inner, ast.Name) and inner.id in ("self", "F", "torch", "nn")


def put(first: ast.stmt, second: ast.stmt) -> None:
    """Write the value of `first` into `second`."""
    name, value = assigned(first), first.value  # type: ignore[attr-defined]

    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return value if node.id == name and not isinstance(getattr(node, "ctx", None), ast.Store) else node

    second.value = Replace().visit(second.value)  # type: ignore[attr-defined]
    second.origins = [*getattr(first, "origins", []), *getattr(second, "origins", [])]  # type: ignore[attr-defined]


def reads(node: ast.AST, name: str) -> int:
    """How often it reads a variable."""
    found = (item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name)
    return sum(not isinstance(getattr(item, "ctx", None), ast.Store) for item in found)


def depth(node: ast.AST) -> int:
    """How many calls are nested in it."""
    inner = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
    return inner + isinstance(node, ast.Call)


def moves(node: ast.expr) -> bool:
    """Whether it only moves elements, or drops some."""
    if not isinstance(node, ast.Call):
        return False
    return isinstance(node.func, ast.Attribute) and (not rooted(node.func) or "dropout" in node.func.attr)
