"""Helper classes and functions that are copied into emitted files: real, tested code, found by name.

They live in `k2t/emit/helpers/`, which nothing imports at run time: it needs torch.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from k2t.errors import K2TError

FOLDER = Path(__file__).parent / "helpers"


# A statement of a helper file that defines a name; the few files that are needed are parsed.
DEFINITION = re.compile(r"^(?:class |def |(?=\w+ = ))(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Helper:
    """A class, function or constant that emitted files may contain.

    Attributes:
        uses: the names in its text.
        base: of a class, that from which it is derived, as it is written.
    """

    text: str
    uses: frozenset[str]
    base: str


@cache
def index() -> dict[str, Path]:
    """Name of each helper -> the file that it is in."""
    return {name: path for path in sorted(FOLDER.glob("*.py")) for name in DEFINITION.findall(path.read_text("utf-8"))}


@cache
def helpers_in(path: Path) -> dict[str, Helper]:
    """The helpers of a file, by name."""
    text = path.read_text("utf-8")
    return {name: helper(text, node, name) for node in ast.parse(text).body if (name := defined(node))}


def helper(text: str, node: ast.stmt, name: str) -> Helper:
    """The statement of a file that defines this name."""
    base = ast.unparse(node.bases[0]) if isinstance(node, ast.ClassDef) and node.bases else ""
    return Helper(segment(text, node), frozenset(names_in(node) - {name}), base)


def names_in(node: ast.AST) -> set[str]:
    """Every name in a text."""
    return {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}


def bases(name: str) -> list[str]:
    """A class and those from which it is derived, as far as helpers go: `Conv2dSame`, `nn.Conv2d`."""
    found = [name]
    while (path := index().get(found[-1])) and (base := helpers_in(path)[found[-1]].base):
        found.append(base)
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


def copied(names: set[str]) -> list[str]:
    """The texts of these helpers and of those that they need, needed ones first.

    Raises:
        K2TError: a rule names a helper that does not exist.
    """
    texts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in texts:
            return
        found = helpers_in(index()[name])[name]
        texts[name] = ""
        for other in sorted(found.uses & index().keys()):
            add(other)
        del texts[name]
        texts[name] = found.text

    for name in sorted(names):
        if name not in index():
            raise K2TError(f"internal error: no helper is named {name}")
        add(name)
    return list(texts.values())
