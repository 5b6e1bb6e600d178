"""What a file holds around its model: definitions that do not concern Keras, byte for byte."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

from k2t.sources import code_parts

KERAS = ("keras", "tensorflow", "tf_keras", "tflearn", "theano")


def around(source: str, emitted: str) -> str:
    """The functions, classes and constants of a script that have nothing to do with Keras, and their imports.

    They are as they stand in the script, comments above them included. What does more at import than to define
    something is left out, as is what reads a name that the script does not define.

    Args:
        emitted: the text of the emitted file, whose names nothing else may have.
    """
    taken = names_of(emitted)
    path = Path((code_parts(source) or (source,))[0])
    text = path.read_text("utf-8") if path.suffix == ".py" else ""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return ""
    imports = {name: line for node in tree.body for name, line in imported(node)}
    found = {name: node for node in tree.body if (name := defined(node)) and name not in taken}
    while foreign := [name for name, node in found.items() if not reads(node) <= found.keys() | imports.keys()]:
        for name in foreign:
            del found[name]
    needed = set().union(*map(reads, found.values()))
    lines = [f"{line}  # noqa: E402" for name, line in imports.items() if name in needed and name not in taken]
    parts = ["\n".join(dict.fromkeys(lines)), *(segment(text, node) for node in found.values())]
    kept = "\n\n\n".join(filter(None, parts))
    return f"\n\n# fmt: off\n{kept}\n# fmt: on\n" if found else ""


def names_of(text: str) -> set[str]:
    """The names that a file defines, imports or reads."""
    nodes = [*ast.walk(ast.parse(text))]
    found = {node.id for node in nodes if isinstance(node, ast.Name)}
    found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return found | {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}


def imported(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names that an import of something else than Keras binds, each with its statement."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return
    for item in node.names:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else item.name
        if module.split(".")[0] in (*KERAS, "", "__future__") or item.name == "*":
            continue
        alone = ast.Import([item]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [item], 0)
        yield item.asname or item.name.split(".")[0], ast.unparse(alone)


def defined(node: ast.stmt) -> str:
    """The name that a statement defines, where that is all it does; else ""."""
    if isinstance(node, ast.FunctionDef):
        plain = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        return node.name if not node.decorator_list and all(map(is_literal, plain)) else ""
    if isinstance(node, ast.ClassDef):
        inner = all(defined(item) or is_text(item) for item in node.body)
        return node.name if inner and not (node.decorator_list or node.bases or node.keywords) else ""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id if is_literal(node.value) else ""
    return ""


def is_text(node: ast.stmt) -> bool:
    """Whether it is a docstring, or nothing."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def is_literal(node: ast.expr) -> bool:
    """Whether an expression is made of constants alone."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def reads(node: ast.stmt) -> set[str]:
    """The names from elsewhere that a definition reads; Keras's, where it imports Keras itself."""
    names = [item for item in ast.walk(node) if isinstance(item, ast.Name)]
    own = {item.id for item in names if isinstance(item.ctx, ast.Store)} | set(dir(builtins))
    own |= {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
    own |= {item.name for item in ast.walk(node) if isinstance(item, ast.FunctionDef | ast.ClassDef)}
    own |= {item.name for item in ast.walk(node) if isinstance(item, ast.ExceptHandler) and item.name}
    inner = [item for item in ast.walk(node) if isinstance(item, ast.Import | ast.ImportFrom)]
    bound = {name for item in inner for name, _ in imported(item)}
    keras = {"keras"} if sum(len(item.names) for item in inner) > len(bound) else set()
    return ({item.id for item in names} - own - bound) | keras


def segment(text: str, node: ast.stmt) -> str:
    """The lines of a statement, with the comments directly above it."""
    lines = text.splitlines()
    first = node.lineno - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])
