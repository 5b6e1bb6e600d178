"""What a file holds around its model: definitions that do not concern Keras, byte for byte."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module
from pathlib import Path

from k2t.code.modules import code_text
from k2t.code.slices import assigned
from k2t.sources import code_parts

# What kept definitions may import: of the standard library what every release of Python has, and NumPy.
MODULES = {
    *("abc", "argparse", "ast", "base64", "bisect", "calendar", "codecs", "collections", "colorsys", "configparser"),
    *("contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "enum", "errno", "fnmatch", "fractions"),
    *("functools", "gc", "getpass", "glob", "gzip", "hashlib", "heapq", "html", "inspect", "io", "itertools", "json"),
    *("logging", "math", "multiprocessing", "numbers", "numpy", "operator", "os", "pathlib", "pickle", "platform"),
    *("pprint", "queue", "random", "re", "secrets", "shlex", "shutil", "signal", "socket", "statistics", "string"),
    *("struct", "subprocess", "sys", "tarfile", "tempfile", "textwrap", "threading", "time", "timeit", "traceback"),
    *("types", "typing", "urllib", "uuid", "warnings", "wave", "weakref", "xml", "zipfile", "zlib"),
}
DECORATORS = ("classmethod", "property", "staticmethod")
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.ExceptHandler)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def around(source: str, emitted: str) -> tuple[list[str], str]:
    """(imports, definitions) of a script that do not concern Keras.

    Functions, classes and constants stay as they stand in the script, comments above them included, where they need
    nothing but each other, the standard library and NumPy, and do no more at import than to define something. A
    function or class that only code of Keras uses goes with it. A constant stays where a definition that stays reads
    it, or where nothing does and its name is in capitals.

    Args:
        emitted: the text of the emitted file, whose names nothing else may have.
    """
    text = code_text(Path((code_parts(source) or (source,))[0]))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return [], ""
    own = ast.parse(emitted)
    taken, there = names_of(own), dict(pair for node in own.body for pair in imported(node))
    lines = dict(pair for node in tree.body for pair in imported(node))
    lines = {name: line for name, line in lines.items() if name not in taken or there.get(name) == line}
    found = {name: node for name, node in definitions(tree).items() if name not in taken}
    remain(found, lines, tree)
    needed = set().union(*map(reads, found.values()))
    return [line for name, line in lines.items() if name in needed], joined(text, list(found.values()))


def definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    """The statements that do no more than to define something, by its name, alone on their lines."""
    rows = Counter(row for node in tree.body for row in {node.lineno, node.end_lineno})
    alone = [node for node in tree.body if rows[node.lineno] == rows[node.end_lineno] == 1]
    stores = Counter(name for node in tree.body if not isinstance(node, ast.FunctionDef) for name in assigned(node))
    return {
        name: node
        for node in alone
        if (name := defined(node)) and not name.startswith("__") and stores[name] <= isinstance(node, ASSIGNMENTS)
    }


def remain(found: dict[str, ast.stmt], imports: Collection[str], tree: ast.Module) -> None:
    """Leave those definitions that stay."""
    needs = {node: reads(node) for node in pieces(tree.body)}
    variables = {name for node in needs if not isinstance(node, SCOPES) for name in assigned(node)}
    users: dict[str, set[ast.AST]] = {name: set() for name in found}
    for node, names in needs.items():
        for name in names & found.keys():
            users[name] |= {node} - {found[name]}
    while True:
        known = found.keys() | imports
        kept = set(found.values())
        plain = {node for node, names in needs.items() if names <= known | variables}
        gone = [
            name
            for name, node in found.items()
            if not needs[node] <= known
            or (users[name] and users[name].isdisjoint(kept if isinstance(node, ASSIGNMENTS) else plain))
            or (not users[name] and isinstance(node, ASSIGNMENTS) and not name.isupper())
        ]
        for name in gone:
            del found[name]
        if not gone:
            return


def pieces(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements, those inside of conditions and loops one by one, and what these depend on."""
    for node in nodes:
        if isinstance(node, BLOCKS):
            yield from pieces(ast.iter_child_nodes(node))
        else:
            yield node


def names_of(tree: ast.Module) -> set[str]:
    """The names that a file defines, imports or reads."""
    nodes = [*ast.walk(tree)]
    found = {node.id for node in nodes if isinstance(node, ast.Name)}
    found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return found | {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}


def imported(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names that an import binds which kept definitions may need, each with its statement."""
    for item in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
        if isinstance(node, ast.Import) and exists(item.name):
            yield item.asname or item.name.split(".")[0], ast.unparse(ast.Import([item]))
        elif isinstance(node, ast.ImportFrom) and not node.level and exists(node.module or "", item.name):
            yield item.asname or item.name, ast.unparse(ast.ImportFrom(node.module, [item], 0))


def exists(module: str, name: str = "") -> bool:
    """Whether a module of those that may be imported exists, and has this name."""
    if module.partition(".")[0] not in MODULES:
        return False
    try:
        found = import_module(module)
    except ImportError:
        return False
    return not name or hasattr(found, name)


def defined(node: ast.stmt) -> str:
    """The name that a statement defines, where that is all it does; else ""."""
    if isinstance(node, ast.FunctionDef):
        plain = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        return node.name if is_usual(node.decorator_list, DECORATORS) and all(map(is_literal, plain)) else ""
    if isinstance(node, ast.ClassDef):
        inner = all(defined(item) or is_text(item) for item in node.body)
        plain_bases = all(isinstance(base, ast.Name) for base in node.bases)
        return node.name if inner and plain_bases and not (node.decorator_list or node.keywords) else ""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id if is_literal(node.value) else ""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        return node.target.id if is_literal(node.value) else ""
    return ""


def is_usual(decorators: list[ast.expr], known: Collection[str]) -> bool:
    """Whether there are no other decorators than those of Python's own classes."""
    return all(isinstance(item, ast.Name) and item.id in known for item in decorators)


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


def reads(node: ast.AST) -> set[str]:
    """The names from elsewhere that a piece of code reads; Keras's, where it imports what may not be imported."""
    nodes = [*ast.walk(node)]
    own = assigned(node) | {item.arg for item in nodes if isinstance(item, ast.arg)} | set(dir(builtins))
    own |= {item.name for item in nodes if isinstance(item, ast.FunctionDef | ast.ClassDef)}
    own |= {item.name for item in nodes if isinstance(item, ast.ExceptHandler) and item.name}
    inner = [item for item in nodes if isinstance(item, ast.Import | ast.ImportFrom)]
    bound = {name for item in inner for name, _ in imported(item)}
    keras = {"keras"} if sum(len(item.names) for item in inner) > len(bound) else set()
    found = {item.id for item in nodes if isinstance(item, ast.Name)} - own - bound
    return found.union(keras, *(item.names for item in nodes if isinstance(item, ast.Global)))


def joined(text: str, found: list[ast.stmt]) -> str:
    """The definitions as they stand in the text; constants below each other."""
    made = ""
    for node, before in zip(found, [None, *found], strict=False):
        near = isinstance(node, ASSIGNMENTS) and isinstance(before, ASSIGNMENTS)
        made += ("\n" if near else "\n\n\n") * (before is not None) + segment(text, node)
    return made


def segment(text: str, node: ast.stmt) -> str:
    """The lines of a statement, with the comments directly above it."""
    lines = re.split(r"\r\n?|\n", text)
    first = node.lineno - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])
