"""Helper classes and functions that are copied into emitted files: real, tested code, found by name.

They live in `k2t/emit/helpers/`, which nothing imports at run time: it needs torch.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from k2t.errors import K2TError

FOLDER = Path(__file__).parent / "helpers"


@cache
def library() -> dict[str, tuple[str, frozenset[str]]]:
    """Name of each helper -> its text, and the names that the text uses."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        text = path.read_text()
        for node in ast.parse(text).body:
            name = defined(node)
            if name:
                used = {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}
                found[name] = (segment(text, node), frozenset(used - {name}))
    return found


@cache
def parents() -> dict[str, str]:
    """Name of each class of the helpers -> the class from which it is derived, as it is written."""
    nodes = [node for path in sorted(FOLDER.glob("*.py")) for node in ast.parse(path.read_text()).body]
    return {node.name: ast.unparse(node.bases[0]) for node in nodes if isinstance(node, ast.ClassDef) and node.bases}


def bases(name: str) -> list[str]:
    """A class and those from which it is derived, as far as helpers go: `Conv2dSame`, `nn.Conv2d`."""
    found = [name]
    while found[-1] in parents():
        found.append(parents()[found[-1]])
    return found


def defined(node: ast.stmt) -> str:
    """The name that a top-level statement defines, or ""."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def segment(text: str, node: ast.stmt) -> str:
    """The text of a statement, decorators and the comment above it included."""
    lines = text.splitlines()
    decorators = getattr(node, "decorator_list", [])
    start = min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
    while start and lines[start - 1].startswith("#"):
        start -= 1
    return "\n".join(lines[start : node.end_lineno])


def copied(names: set[str]) -> tuple[list[str], set[str]]:
    """The texts of these helpers and of those that they need, needed ones first; and every name used in them.

    Raises:
        K2TError: a rule names a helper that does not exist.
    """
    texts: dict[str, str] = {}
    used: set[str] = set()

    def add(name: str) -> None:
        if name in texts:
            return
        text, uses = library()[name]
        texts[name] = ""
        for other in sorted(uses & library().keys()):
            add(other)
        del texts[name]
        texts[name] = text
        used.update(uses)

    for name in sorted(names):
        if name not in library():
            raise K2TError(f"internal error: no helper is named {name}")
        add(name)
    return list(texts.values()), used
