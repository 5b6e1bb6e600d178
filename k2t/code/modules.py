"""The files of the code: parsed, never imported; their statements run when a name that they define is wanted."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from k2t.code.slices import Definitions
from k2t.errors import ReadError
from k2t.rules.tracing.constants import BUILTINS
from k2t.rules.tracing.names import FUNCTIONS, Library

MAX_CODE = 1 << 24
# Files whose trees are kept: code is followed several times, first to evaluate it, then to find its structure.
KEPT = 32
# Folders above the script in which its imports are looked for.
LEVELS = 4
# Lines of notebooks that are no Python.
MAGIC = ("%", "!", "?")


class Module(dict[str, Any]):
    """The names of one file: a name that is missing makes the statements run that define it.

    Attributes:
        path: the file, as messages name it.
        run: runs statements in the scope of this module.
        stars: what `from x import *` names: modules or libraries, the last one first.
    """

    def __init__(self, path: Path, tree: ast.Module, run: Callable[[Module, list[ast.stmt]], None]) -> None:
        super().__init__(__name__="__main__", __file__=str(path))
        self.path = path
        self.tree = tree
        self.run = run
        self.definitions = definitions(tree)
        self.done: set[int] = set()
        self.stars: list[Module | Library] = []
        self.star_statements = [node for node in tree.body for item in imports(node) if item.names[0].name == "*"]

    def __contains__(self, name: object) -> bool:
        """Whether the file defines it, itself or by a star import."""
        return super().__contains__(name) or self.defines(str(name)) or self.starred(str(name)) is not None

    def __missing__(self, name: str) -> Any:
        """Run what defines the name."""
        if self.defines(name):
            self.require(name)
            if super().__contains__(name):
                return self[name]
        found = self.starred(name)
        if found is None:
            raise KeyError(name)
        self[name] = found
        return found

    def defines(self, name: str) -> bool:
        """Whether a statement of the file that has not run binds it."""
        return any(place not in self.done for place in self.definitions.of(name))

    def require(self, name: str) -> None:
        """Run the statements that `name` needs, in their order."""
        wanted = [place for place in self.definitions.needed(name) if place not in self.done]
        self.done.update(wanted)
        self.run(self, [self.tree.body[place] for place in wanted])

    def starred(self, name: str) -> Any:
        """What a star import says that the name is."""
        if self.star_statements:
            pending, self.star_statements = self.star_statements, []
            self.run(self, pending)
        if name.startswith("__"):
            return None
        for source in self.stars:
            if isinstance(source, Module) and name in source:
                return source[name]
        if name in BUILTINS or name in FUNCTIONS:
            return None
        from k2t.code.layers import exported

        found = (exported(source.path, name) for source in self.stars if isinstance(source, Library))
        return next((item for item in found if item is not None), None)


@functools.lru_cache(KEPT)
def definitions(tree: ast.Module) -> Definitions:
    """What the statements of a file bind and use."""
    return Definitions(tree.body)


def imports(node: ast.stmt) -> Iterator[ast.ImportFrom]:
    """The `from` imports of a statement, those in `try` and `if` included."""
    if isinstance(node, ast.ImportFrom):
        yield node
    elif isinstance(node, ast.Try | ast.If):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.stmt):
                yield from imports(inner)


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file or a notebook.

    Raises:
        ReadError: it cannot be read, or is no Python.
    """
    text = code_text(path)
    try:
        return parsed(text, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ReadError(f"{path}: is no Python that can be parsed: {error}") from error


def code_text(path: Path) -> str:
    """The text of a Python file, or of the cells of a notebook.

    Raises:
        ReadError: it cannot be read.
    """
    try:
        if path.stat().st_size > MAX_CODE:
            raise ReadError(f"{path}: too large to be Keras code")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: cannot be read ({error})") from error
    return cells(text, path) if path.suffix == ".ipynb" else text


@functools.lru_cache(KEPT)
def parsed(text: str, path: Path) -> ast.Module:
    """The tree; tabs, print statements and magics of old files are mended where the text as it is does not parse."""
    try:
        return ast.parse(text, str(path))
    except SyntaxError:
        from k2t.code.repair import repaired

        return ast.parse(repaired(text), str(path))


def cells(text: str, path: Path) -> str:
    """The code cells of a notebook as one text, lines that are no Python left out."""
    try:
        notebook = json.loads(text)
        found = notebook.get("cells") or [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        sources = [cell.get("source", cell.get("input", "")) for cell in found if cell.get("cell_type") == "code"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReadError(f"{path}: damaged notebook ({error})") from error
    return "\n".join(cell_text("".join(source)) for source in sources)


def cell_text(source: str) -> str:
    """A cell as Python; empty lines for one that is none, such as an exercise to be filled in."""
    from k2t.code.repair import plain_cell, repaired

    text = plain_cell(source)
    for mended in (text, repaired(text)):
        try:
            ast.parse(mended)
        except (SyntaxError, ValueError):
            continue
        return mended
    return "\n" * text.count("\n")


def locate(name: str, level: int, around: Path, base: Path) -> Path | None:
    """The file of an imported module, inside the project; None where it is of a library.

    Args:
        level: the dots in front of the name.
        around: the file that imports.
        base: the folder of the script itself.
    """
    parts = [part for part in name.split(".") if part]
    if level:
        start = around.parent
        for _ in range(level - 1):
            start = start.parent
        return file_of(start.joinpath(*parts))
    folders = [around.parent, base, *list(base.parents)[:LEVELS]]
    return next((found for folder in folders if parts and (found := file_of(folder.joinpath(*parts)))), None)


def file_of(path: Path) -> Path | None:
    """`path.py`, or the package `path`."""
    try:
        for found in (path.with_name(f"{path.name}.py") if path.name else None, path / "__init__.py"):
            if found is not None and found.is_file():
                return found
    except (OSError, ValueError):
        return None
    return None
