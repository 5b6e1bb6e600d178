"""Writes the bookkeeping of channels in a constructor as briefly as a person does."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence

from k2t.structured.fuse import assigned, reads
from k2t.structured.liveness import names

WIDTH = 40


def tidy(body: Sequence[ast.stmt], shadow: str) -> list[ast.stmt]:
    """The statements; variables that end with `shadow` may be replaced by what they hold."""
    made = unchanging(list(body), shadow)
    return once(inlined(once(made, shadow, {}), shadow), shadow, {})


def unchanging(body: list[ast.stmt], shadow: str) -> list[ast.stmt]:
    """Without variables that are assigned once and hold what never changes."""
    while True:
        counts = Counter(name for node in body for name in stores(node))
        found = next((node for node in body if constant(node, counts, shadow)), None)
        if found is None:
            return body
        name, value = assigned(found), found.value  # type: ignore[attr-defined]
        body = [put(node, str(name), value) for node in body if node is not found]


def constant(node: ast.stmt, counts: Counter[str], shadow: str) -> bool:
    """Whether it is such an assignment."""
    name = assigned(node)
    if name is None or not name.endswith(shadow) or counts[name] > 1:
        return False
    value = node.value  # type: ignore[attr-defined]
    return isinstance(value, ast.Name | ast.Constant | ast.Subscript) and not any(
        counts[item] for item in names(value, ast.Load)
    )


def once(body: Sequence[ast.stmt], shadow: str, known: dict[str, str]) -> list[ast.stmt]:
    """Without assignments of what the variable holds already."""
    made = []
    for node in body:
        name = assigned(node)
        if name is not None and name.endswith(shadow):
            text = ast.unparse(node.value)  # type: ignore[attr-defined]
            if text in (name, known.get(name)):
                continue
        changed = stores(node)
        known = {key: text for key, text in known.items() if key not in changed and not changed & names_of(text)}
        if isinstance(node, ast.For | ast.If):
            node.body = once(node.body, shadow, dict(known))
            node.orelse = once(node.orelse, shadow, dict(known))
        elif name is not None and name not in names_of(ast.unparse(node.value)):  # type: ignore[attr-defined]
            known[name] = ast.unparse(node.value)  # type: ignore[attr-defined]
        made.append(node)
    return made


def inlined(body: Sequence[ast.stmt], shadow: str) -> list[ast.stmt]:
    """Without variables that are read by the next statement alone, which assigns them anew behind it."""
    made: list[ast.stmt] = []
    for index, item in enumerate(body):
        node = item
        if isinstance(node, ast.For | ast.If):
            node.body, node.orelse = inlined(node.body, shadow), inlined(node.orelse, shadow)
        previous = assigned(made[-1]) if made else None
        if previous is not None and previous.endswith(shadow) and reads(node, previous) == 1:
            value = made[-1].value  # type: ignore[attr-defined]
            if (
                len(ast.unparse(value)) <= WIDTH
                and overwritten(body[index + 1 :], previous)
                and not isinstance(node, ast.For | ast.If)
            ):
                origins = [*getattr(made[-1], "origins", []), *getattr(node, "origins", [])]
                node = put(node, previous, made.pop().value)  # type: ignore[attr-defined]
                node.origins = origins  # type: ignore[attr-defined]
        made.append(node)
    return made


def overwritten(body: Sequence[ast.stmt], name: str) -> bool:
    """Whether the variable is assigned before it is read."""
    for node in body:
        if reads(node, name):
            return False
        if assigned(node) == name:
            return True
    return False


def put(node: ast.stmt, name: str, value: ast.expr) -> ast.stmt:
    """The statement with an expression in place of a variable that it reads."""

    class Replace(ast.NodeTransformer):
        def visit_Name(self, inner: ast.Name) -> ast.expr:
            return value if inner.id == name and not isinstance(getattr(inner, "ctx", None), ast.Store) else inner

    return Replace().visit(node)  # type: ignore[no-any-return]


def stores(node: ast.AST) -> set[str]:
    """The variables that it assigns, those inside of it too."""
    return names(node, ast.Store)


def names_of(text: str) -> set[str]:
    """The variables of an expression."""
    return names(ast.parse(text, mode="eval"), ast.Load)
