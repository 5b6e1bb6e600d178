"""Copied helpers keep the options that a file uses: an argument that always has one value is replaced by it.

A parameter that always gets the same constant, an attribute that only holds it and a variable that only gets a
constant go, and `fold` takes the branches that are left without a choice. This repeats until nothing changes.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from itertools import chain

from k2t.emit.copied import defined, names_in
from k2t.emit.fold import fold, is_constant
from k2t.emit.usage import Call, Function, Usage, is_of_library, is_stored, methods


def trimmed(helpers: list[str], text: str) -> list[str]:
    """The texts of helpers as `text`, what uses them, needs them. Those that change lose their comments."""
    if not helpers:
        return []
    module, user = ast.parse("\n\n".join(helpers)), ast.parse(text)
    before = found = texts(module)
    called = {function for call in Usage(module, user).calls if call.sure for function in call.functions}
    while True:
        trim(Usage(module, user), called)
        module.body = [ast.fix_missing_locations(fold(statement)) for statement in module.body]
        if texts(module) == found:
            break
        found = texts(module)
    needed = reached(module, user)
    pairs = zip(helpers, before, found, module.body, strict=True)
    return [old if same == new else new for old, same, new, node in pairs if defined(node) in needed]


def reached(module: ast.Module, user: ast.Module) -> set[str]:
    """The names that are read in a file, and in what of the helpers has such a name."""
    uses = {defined(node): names_in(node) for node in module.body}
    found: set[str] = set()
    more = names_in(user)
    while more:
        found |= more
        more = set().union(*(uses[name] for name in more & uses.keys())) - found
    return found


def texts(module: ast.Module) -> list[str]:
    """Each statement as text; a tuple that is returned or assigned is without parentheses."""
    plain = deepcopy(module)
    for node in ast.walk(plain):
        if isinstance(node, ast.Return | ast.Assign) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            node.value = ast.Name(", ".join(map(ast.unparse, node.value.elts)))
    return [ast.unparse(statement) for statement in plain.body]


def trim(usage: Usage, called: set[Function]) -> None:
    """Take out what is constant now; what becomes constant by that is for the next time.

    Args:
        called: the functions that the helpers themselves called before anything was taken out.
    """
    for function, nodes in usage.defined.items():
        calls = [call for call in usage.calls if function in call.functions]
        if calls and function not in usage.free and (function[1] == "__init__" or not function[1].startswith("__")):
            for name in drop_parameters(function, nodes, calls):
                forget(name, [*nodes, *usage.families.get((usage.line(function[0]) or [""])[-1], ())])
    for family in usage.families.values():
        drop_attributes(family, usage)
    for _, node in methods(usage.module):
        drop_variables(node)
    drop_methods(usage, called)


def drop_parameters(function: Function, nodes: list[ast.FunctionDef], calls: list[Call]) -> list[str]:
    """Take the parameters that have the same constant in every call, or that are not read, from functions and calls."""
    dropped = []
    given = [(call, arguments) for call in calls if (arguments := matched(nodes[0], function, call.node)) is not None]
    alike = given and all(parameters(node, function).keys() == parameters(nodes[0], function).keys() for node in nodes)
    for name, default in parameters(nodes[0], function).items() if alike else ():
        values = [arguments.get(name, default) for _, arguments in given]
        may_go = all(call.sure or name not in arguments for call, arguments in given)
        constant = common_constant(values)
        is_read = any(reads(node, name) for node in nodes)
        if not may_go or any(stored(node)[name] for node in nodes) or (is_read and constant is None):
            continue
        dropped.append(name)
        for call, arguments in given:
            remove_argument(call.node, arguments.get(name))
        for node in nodes:
            remove_parameter(node, name)
            if constant:
                replace(node, name, constant)
    return dropped


def common_constant(values: Sequence[ast.expr | None]) -> ast.expr | None:
    """The constant that all of these are, if they are one."""
    texts = {ast.unparse(value) if value and is_constant(value) else None for value in values}
    return values[0] if len(texts) == 1 and None not in texts else None


def parameters(node: ast.FunctionDef, function: Function) -> dict[str, ast.expr | None]:
    """Name of each parameter -> its default; `self` is none."""
    spec = node.args
    defaults = [*[None] * (len(spec.args) - len(spec.defaults)), *spec.defaults]
    found = {item.arg: default for item, default in zip(spec.args, defaults, strict=True)}
    found |= {item.arg: default for item, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)}
    return {name: default for name, default in found.items() if not (function[0] and name == "self")}


def matched(node: ast.FunctionDef, function: Function, call: ast.Call) -> dict[str, ast.expr] | None:
    """Parameter -> its argument in a call; None if this cannot be a call of the function."""
    known = parameters(node, function)
    if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
        return {name: call for name in known}
    found = dict(zip(known, call.args, strict=False))
    found |= {item.arg: item.value for item in call.keywords if item.arg}
    missing = any(default is None and name not in found for name, default in known.items())
    return None if missing or len(call.args) > len(known) or found.keys() - known else found


def remove_argument(call: ast.Call, value: ast.expr | None) -> None:
    """Take an argument from a call."""
    call.args = [item for item in call.args if item is not value]
    call.keywords = [item for item in call.keywords if item.value is not value]


def remove_parameter(node: ast.FunctionDef, name: str) -> None:
    """Take a parameter from a signature."""
    spec = node.args
    first = len(spec.args) - len(spec.defaults)
    spec.defaults = [value for item, value in zip(spec.args[first:], spec.defaults, strict=True) if item.arg != name]
    spec.args = [item for item in spec.args if item.arg != name]
    kept = [pair for pair in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if pair[0].arg != name]
    spec.kwonlyargs, spec.kw_defaults = [item for item, _ in kept], [default for _, default in kept]


def forget(name: str, nodes: Sequence[ast.FunctionDef | ast.ClassDef]) -> None:
    """Take from docstrings what tells of a name: its line, and the paragraphs with it but the first."""
    for node in nodes:
        match node.body[0]:
            case ast.Expr(ast.Constant(str(text)) as docstring):
                lines = [line for line in text.split("\n") if not line.lstrip().startswith(f"{name}: ")]
                first, *others = "\n".join(lines).split("\n\n")
                docstring.value = "\n\n".join([first, *(part for part in others if f"`{name}`" not in part)])


def drop_attributes(family: list[ast.ClassDef], usage: Usage) -> None:
    """Take the attributes that constructors assign once, a constant, from classes that are derived from each other."""
    found = [node for node in [*ast.walk(usage.module), *ast.walk(usage.user)] if isinstance(node, ast.Attribute)]
    foreign = {node.attr for node in found if not is_of_library(node) and ast.unparse(node.value) != "self"}
    nodes = chain.from_iterable(map(ast.walk, family))
    writes = Counter(node.attr for node in nodes if isinstance(node, ast.Attribute) and is_stored(node))
    for owner, function in methods(usage.module):
        if function.name != "__init__" or usage.classes[owner] not in family:
            continue
        for statement in function.body[:]:
            match statement:
                case ast.Assign([ast.Attribute(ast.Name("self"), name)], value) if is_constant(value):
                    if writes[name] == 1 and name not in foreign:
                        function.body.remove(statement)
                        for node in family:
                            replace(node, f"self.{name}", value)


def drop_variables(node: ast.FunctionDef) -> None:
    """Take local variables that are assigned once, a constant."""
    for statement in node.body[:]:
        match statement:
            case ast.Assign([ast.Name(name)], value) if is_constant(value) and stored(node)[name] == 1:
                node.body.remove(statement)
                replace(node, name, value)


def drop_methods(usage: Usage, called: set[Function]) -> None:
    """Take the methods that were called in branches which are gone."""
    nodes = [*ast.walk(usage.module), *ast.walk(usage.user)]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for owner, node in methods(usage.module):
        if owner and usage.function(owner, node.name) in called and node.name not in {*read, "forward", "__init__"}:
            usage.classes[owner].body.remove(node)


def stored(node: ast.FunctionDef) -> Counter[str]:
    """How often each local variable is assigned; parameters of inner functions are."""
    inner = (leaf.arg for part in node.body for leaf in ast.walk(part) if isinstance(leaf, ast.arg))
    names = (leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store))
    return Counter([*names, *inner])


def reads(node: ast.FunctionDef, name: str) -> bool:
    """Whether a function reads a name."""
    return any(isinstance(leaf, ast.Name) and leaf.id == name for part in node.body for leaf in ast.walk(part))


def replace(node: ast.AST, name: str, value: ast.expr) -> None:
    """Put a constant in the place of a name, or of an attribute `self.name`, that is read."""

    class Replacer(ast.NodeTransformer):
        def visit(self, found: ast.AST) -> ast.AST:
            """The constant, or what was there."""
            is_read = isinstance(found, ast.Name | ast.Attribute) and isinstance(found.ctx, ast.Load)
            visited: ast.AST = deepcopy(value) if is_read and ast.unparse(found) == name else self.generic_visit(found)
            return visited

    Replacer().visit(node)
