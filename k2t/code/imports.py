"""Follows imports: of the project's own files, which are parsed, and of libraries, which are names."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from k2t.code.libraries import Libraries
from k2t.code.modules import Module, locate, parse
from k2t.rules.tracing.names import (
    CONSTANTS,
    Library,
    Unknown,
    library_path,
)

# Packages that are never looked for in the project.
LIBRARY_NAMES = frozenset(
    {"keras", "tensorflow", "tf_keras", "numpy", "math", "os", "sys", "functools", "typing", "random"}
)


class Imports(Libraries):
    """Follows imports."""

    def define(self, module: Module, statements: list[ast.stmt]) -> None:
        """Run statements of a file in its own scope."""
        raise NotImplementedError

    def module(self, path: Path) -> Module:
        """A file of the project, parsed once."""
        known = self.modules.get(path)
        if known is None:
            known = self.modules[path] = Module(path, parse(path), self.define)
        return known

    @property
    def file(self) -> Module | None:
        """The file whose code is followed."""
        last = self.names.maps[-1]
        return last if isinstance(last, Module) else None

    def place(self, node: ast.AST) -> str:
        """`file:line:column`."""
        name = self.file.path.name if self.file is not None else ""
        return f"{name}:{getattr(node, 'lineno', 0)}:{getattr(node, 'col_offset', -1) + 1}"

    def do_import(self, node: ast.Import) -> None:
        """A module of the project, or a library."""
        for item in node.names:
            found = self.project_file(item.name, 0)
            if found is None:
                super().do_import(ast.Import([item]))
            else:
                self.names[item.asname or item.name.split(".")[0]] = self.imported(item, found)

    def imported(self, item: ast.alias, found: Path) -> Any:
        """`import a.b`: `a`, or `a.b` where that has a name of its own."""
        if item.asname or "." not in item.name:
            return self.module(found)
        return Library(f"project:{item.name.split('.')[0]}")

    def project_file(self, name: str, level: int) -> Path | None:
        """The file of an imported module, where it lies in the project."""
        here = self.file.path if self.file is not None else self.base
        if not level and name.split(".", maxsplit=1)[0] in LIBRARY_NAMES:
            return None
        return locate(name, level, here, self.base.parent)

    def do_importfrom(self, node: ast.ImportFrom) -> None:
        """`from keras import backend as K`; a file of the project is followed."""
        found = self.project_file(node.module or "", node.level)
        for item in node.names:
            if item.name == "*":
                self.star(node, found)
            elif found is not None:
                self.names[item.asname or item.name] = self.member(node, found, item.name)
            elif (inner := self.project_file(f"{node.module or ''}.{item.name}", node.level)) is not None:
                self.names[item.asname or item.name] = self.module(inner)
            elif node.level:
                text = f"from {'.' * node.level}{node.module or ''} import {item.name}"
                self.names[item.asname or item.name] = Unknown(text, self.place(node), reason="there is no such file")
            else:
                path = library_path(f"{node.module}.{item.name}")
                made = CONSTANTS.get(path, Library(path))
                whole = Library(library_path(node.module or ""))
                self.names[item.asname or item.name] = self.version(whole.path) if item.name == "__version__" else made

    def star(self, node: ast.ImportFrom, found: Path | None) -> None:
        """`from x import *`."""
        if self.file is None or self.names.maps[0] is not self.file:
            raise self.refusal(node, "a star import inside a function")
        source = Library(library_path(node.module or "")) if found is None else self.module(found)
        self.file.stars.insert(0, source)

    def member(self, node: ast.AST, path: Path, name: str) -> Any:
        """A name of a file of the project, or a module of a package."""
        module = self.module(path)
        if name in module:
            return module[name]
        inner = locate(name, 1, path, path)
        if inner is not None and inner != path:
            return self.module(inner)
        return Unknown(f"from {path.stem} import {name}", self.place(node), reason="the file does not define it")

    def version(self, library: str) -> str:
        """The release that code which asks for one finds."""
        return "2.15.0" if library == "tf" else ".".join(map(str, (*self.era.version, 0, 0)[:3]))
