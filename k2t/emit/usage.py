"""Who calls what: the functions of copied helpers, and every call of them in a file."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from k2t.emit.copied import bases

Function = tuple[
    str, str
]  # the class at the top of its family, or "", and the name; of a constructor, the class itself
LIBRARIES = {"F", "math", "nn", "torch"}


@dataclass(frozen=True)
class Call:
    """A call of what may be one of several functions of the helpers.

    Attributes:
        sure: it is in the helpers, and a call of this function and no other.
    """

    node: ast.Call
    functions: frozenset[Function]
    sure: bool


class Usage:
    """The classes and functions of the helpers, and the calls of them.

    Attributes:
        families: the class from which classes are derived -> these classes.
        defined: the functions; those that override each other are one, except constructors.
        free: those that are values somewhere: who calls them is not known.
    """

    def __init__(self, module: ast.Module, user: ast.Module) -> None:
        self.module = module
        self.user = user
        self.classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
        self.families: dict[str, list[ast.ClassDef]] = {}
        for name, node in self.classes.items():
            self.families.setdefault(self.line(name)[-1], []).append(node)
        self.defined: dict[Function, list[ast.FunctionDef]] = {}
        for owner, function in methods(module):
            self.defined.setdefault(self.function(owner, function.name), []).append(function)
        names = [*ast.walk(user), *ast.walk(module)]
        self.attributes = {node.attr for node in names if isinstance(node, ast.Attribute) and is_stored(node)}
        self.calls = [*self._calls(user, inside=False), *self._calls(module, inside=True)]
        self.free = set(self._free())

    def line(self, name: str) -> list[str]:
        """A class and the helpers from which it is derived."""
        return [item for item in bases(name) if item in self.classes]

    def function(self, owner: str, name: str) -> Function:
        """What a method belongs to."""
        return (owner if name == "__init__" or not owner else self.line(owner)[-1], name)

    def constructor(self, name: str) -> Function:
        """The constructor that a class has or inherits."""
        return next((owner for owner in self.line(name) if (owner, "__init__") in self.defined), name), "__init__"

    def _calls(self, module: ast.Module, inside: bool) -> Iterator[Call]:
        for statement in module.body:
            owner = statement.name if inside and isinstance(statement, ast.ClassDef) else ""
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    known = self._known(node.func, owner)
                    functions = [known] if known else self._possible(node.func)
                    yield Call(node, frozenset(functions), sure=inside and known is not None)

    def _known(self, called: ast.expr, owner: str) -> Function | None:
        """The function that is certainly meant."""
        found: Function | None = None
        match called:
            case ast.Name(name):
                found = self.constructor(name) if name in self.classes else ("", name)
            case ast.Attribute(ast.Name("self"), name) if owner:
                found = self.function(owner, name)
            case ast.Attribute(ast.Call(ast.Name("super")), name) if owner:
                for base in self.line(owner)[1:2]:
                    found = self.constructor(base) if name == "__init__" else self.function(base, name)
        return found if found in self.defined else None

    def _possible(self, called: ast.expr) -> Iterator[Function]:
        """The functions that may be meant: a module may be an instance of any class, and so may an object."""
        match called:
            case ast.Name(name):
                names = {"forward"} if not hasattr(builtins, name) else set()
            case ast.Attribute(_, name):
                names = set() if is_of_library(called) else {name, "forward"} if name in self.attributes else {name}
            case _:
                names = {"forward"}
        yield from (function for function in self.defined if function[0] and function[1] in names)

    def _free(self) -> Iterator[Function]:
        nodes = [*ast.walk(self.user), *ast.walk(self.module)]
        names = Counter(node.id for node in nodes if isinstance(node, ast.Name))
        for node in nodes:
            names.subtract(leaf.id for leaf in expected(node) if isinstance(leaf, ast.Name))
        for name in +names:
            if name in self.classes:
                yield self.constructor(name)
            yield "", name


def expected(node: ast.AST) -> Iterable[ast.AST]:
    """Where the name of a class or function is no value: calls, bases, annotations, classes of isinstance."""
    match node:
        case ast.Call(ast.Name("isinstance") as called, [_, classes]):
            return [called, *ast.walk(classes)]
        case ast.Call(ast.Name() as called):
            return [called]
        case ast.ClassDef(bases=bases):
            return bases
        case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
            return ast.walk(annotation)
        case ast.FunctionDef(returns=ast.expr() as annotation):
            return ast.walk(annotation)
    return []


def is_stored(node: ast.Attribute) -> bool:
    """Whether this assigns to an attribute."""
    return isinstance(node.ctx, ast.Store)


def is_of_library(node: ast.Attribute) -> bool:
    """Whether this is `torch.cat` or `F.relu`, no attribute of an object."""
    return isinstance(node.value, ast.Name) and node.value.id in LIBRARIES


def methods(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module behind "", and those of its classes behind the class's name."""
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef):
            yield "", statement
        elif isinstance(statement, ast.ClassDef):
            yield from ((statement.name, node) for node in statement.body if isinstance(node, ast.FunctionDef))
