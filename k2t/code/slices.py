"""Which statements of a file a name needs: those that bind or change it, and what these need in turn."""

from __future__ import annotations

import ast
import builtins
from bisect import bisect_left
from collections.abc import Iterator, Sequence

# Methods that change their object.
CHANGES = frozenset(
    {"add", "append", "build", "clear", "extend", "insert", "load_state_dict", "pop", "remove", "reverse", "setdefault"}
    | {"sort", "update", "add_argument", "set_defaults"}
)
# Functions of libraries that change how layers are made afterwards.
SETTINGS = frozenset({"set_image_dim_ordering", "set_image_data_format", "set_floatx"})


class Definitions:
    """The top-level statements of a file, by the names that they bind, change and use."""

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        self.binds: dict[str, list[int]] = {}
        self.uses: list[set[str]] = []
        self.deferred: list[set[str]] = []
        self.settings: list[int] = []
        for place, statement in enumerate(body):
            for name in set(bound(statement)):
                self.binds.setdefault(name, []).append(place)
            nodes = list(ast.walk(statement))
            self.uses.append(free(statement))
            functions = [
                node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            ]
            self.deferred.append(set().union(*(free(node) for node in functions)))
            if not isinstance(statement, ast.FunctionDef | ast.ClassDef) and any(
                isinstance(node, ast.Attribute | ast.Name) and tail(node) in SETTINGS for node in nodes
            ):
                self.settings.append(place)

    def of(self, name: str) -> list[int]:
        """The statements that bind or change a name."""
        return self.binds.get(name, [])

    def needed(self, name: str) -> list[int]:
        """The places of all statements that a name needs, in their order.

        A statement needs what is bound before it; a function, which runs later, what is bound anywhere.
        """
        wanted: set[int] = set()
        reached: dict[str, int] = {}  # how many of the statements that bind a name are wanted already
        pending = [*self.of(name), *self.settings]
        while pending:
            place = pending.pop()
            if place in wanted:
                continue
            wanted.add(place)
            for used in self.uses[place]:
                binding = self.of(used)
                end = len(binding) if used in self.deferred[place] else bisect_left(binding, place)
                pending += binding[reached.get(used, 0) : end]
                reached[used] = max(end, reached.get(used, 0))
        return sorted(wanted)


def assigned(node: ast.AST) -> set[str]:
    """The variables that a piece of syntax assigns."""
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}


def free(node: ast.AST) -> set[str]:
    """The names that a statement takes from its file: those that its functions bind themselves are left out."""
    if isinstance(node, ast.Name):
        return {node.id}
    found = set().union(*(free(child) for child in ast.iter_child_nodes(node)))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        own = {item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)}
        body = node.body if isinstance(node.body, list) else [node.body]
        shared = {
            name for part in body for item in ast.walk(part) if isinstance(item, ast.Global) for name in item.names
        }
        for part in body:
            own |= assigned(part)
        decorators = getattr(node, "decorator_list", [])
        around = set().union(
            *(free(item) for item in [*node.args.defaults, *filter(None, node.args.kw_defaults), *decorators])
        )
        found = (found - (own - shared)) | around
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        own = {item.id for part in node.generators for item in ast.walk(part.target) if isinstance(item, ast.Name)}
        found = (found - own) | free(node.generators[0].iter)
    return found


def tail(node: ast.expr) -> str:
    """The last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def root(node: ast.expr) -> ast.expr:
    """What a chain of attributes, subscripts and calls starts from."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


def targets(node: ast.AST) -> Iterator[str]:
    """The names that an assignment to this target binds or changes."""
    if isinstance(node, ast.Tuple | ast.List):
        for item in node.elts:
            yield from targets(item)
    elif isinstance(node, ast.expr) and isinstance(found := root(node), ast.Name):
        yield found.id


def bound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement binds or changes, where it runs."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (item.asname or item.name.split(".")[0] for item in statement.names)
        return
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from targets(target)
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For | ast.NamedExpr | ast.comprehension):
        yield from targets(statement.target)
    elif isinstance(statement, ast.withitem) and statement.optional_vars is not None:
        yield from targets(statement.optional_vars)
    elif isinstance(statement, ast.ExceptHandler) and statement.name:
        yield statement.name
    elif isinstance(statement, ast.Call):
        yield from changed(statement)
    elif isinstance(statement, ast.Lambda):
        return
    for child in ast.iter_child_nodes(statement):
        yield from bound(child)


def changed(call: ast.Call) -> Iterator[str]:
    """The names that a call may change: what its method belongs to, and arguments of functions of unknown effect."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in CHANGES:
        yield from targets(call.func.value)
    if isinstance(call.func, ast.Name) and not hasattr(
        builtins, call.func.id
    ):  # a function of the file may add layers to a model that it is given
        yield from (item.id for item in call.args if isinstance(item, ast.Name))
