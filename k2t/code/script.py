"""Follows a script as Python would run it, as far as the model needs it; what the code does not hold stays unknown."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from k2t.code.custom import untranslated
from k2t.code.graphs import tensors
from k2t.code.imports import Imports
from k2t.code.layers import era_of_code
from k2t.code.modules import Module, locate
from k2t.code.objects import Broken, Custom, Made, Net, Partial, Tensor, Thing
from k2t.code.records import RECORD_METHODS, fields_of, set_defaults, values_of
from k2t.code.slices import CHANGES, bound
from k2t.errors import Problem, UntranslatableError
from k2t.rules.custom.attributes import base_options
from k2t.rules.custom.objects import CustomClass, Method, Super
from k2t.rules.tracing.interpreter import loaded
from k2t.rules.tracing.names import (
    Bound,
    Closure,
    Library,
    LimitError,
    LoopExit,
    RaisedError,
    Returned,
    Scope,
    Unknown,
    UnknownError,
)

# What Python code raises here when it is given what it was not made for.
FAILURES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
# What a statement that cannot be followed counts as, so that loops of them end soon.
SKIPPED = 1000
# Loops of a file that take long train, and make no model.
LOOP_HEADSTART = 320_000
PROPERTIES = frozenset({"property", "cached_property"})


class Script(Imports):
    """Follows whole files.

    Args:
        path: the script.
        given: values that the user gives, by name.
        partial: whether a stand-in takes the place of a layer without a translation.

    Attributes:
        left_out: why stand-ins were put in.
    """

    def __init__(self, path: Path, given: Mapping[str, Any], *, partial: bool = False) -> None:
        super().__init__(path, given)
        self.partial = partial
        self.left_out: list[Problem] = []
        self.main = self.module(path)
        self.names = Scope(self.main)
        self.era = era_of_code(self.main.tree)

    def define(self, module: Module, statements: list[ast.stmt]) -> None:
        """Run statements of a file in its own scope."""
        outer, frames, depth = self.names, self.frames, self.depth
        self.names, self.frames, self.depth = Scope(module), [], 0
        try:
            for statement in statements:
                self.of_file(statement)
        finally:
            self.names, self.frames, self.depth = outer, frames, depth

    def of_file(self, statement: ast.stmt) -> None:
        """One statement of a file; each has its own limit of steps."""
        outer, self.steps = self.steps, LOOP_HEADSTART if isinstance(statement, ast.For | ast.While) else 0
        try:
            self.execute([statement])
        except (Returned, LoopExit):
            return
        except (LimitError, RaisedError) as error:
            self.skip(statement, str(error))
        finally:
            self.steps = outer

    def call(self, node: ast.AST, made: Made, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The outputs of a layer, a model or a function on these tensors, or of a stand-in."""
        found = super().call(node, made, args, kwargs)
        given = next(tensors(args), None)
        if not self.partial or not isinstance(found, Broken) or given is None:
            return found
        self.left_out += found.problems
        return self.record(Made(untranslated(made.layer.name, found.problems), self.serial()), (given,), {})

    def leave(self) -> None:
        """Remember the names of the function that ended last."""
        self.ended = dict(self.names.maps[0])

    def execute(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order; what one of them fails to make is unknown afterwards."""
        for statement in body:
            try:
                super().execute([statement])
            except (LimitError, RaisedError):
                raise
            except UnknownError as error:
                self.skip(statement, str(error), error.unknown)
            except UntranslatableError as error:
                self.skip(statement, str(error))
            except FAILURES as error:
                self.skip(statement, f"{type(error).__name__}: {error}")

    def skip(self, statement: ast.stmt, reason: str, cause: Unknown | None = None) -> None:
        """A statement cannot be followed: what it would bind or change is unknown."""
        self.steps += SKIPPED
        unknown = cause or Unknown(text_of(statement), self.place(statement), reason=reason)
        if any(isinstance(node, ast.Return) for node in outside_functions(statement)):
            raise Returned(unknown)
        for node in outside_functions(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
                self.spoil(node.func.value, unknown)
        for name in set(rebound(statement)):
            self.names[name] = unknown
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Attribute | ast.Subscript):
                    self.spoil(target.value, unknown, target)

    def spoil(self, node: ast.expr, unknown: Unknown, target: ast.expr | None = None) -> None:
        """An object that a failed statement would have changed."""
        try:
            item = self.evaluate(loaded(node))
        except (UntranslatableError, *FAILURES):
            return
        if isinstance(item, Net):
            item.problems.append(self.problem(node, item.layer.kind, str(unknown)))
        elif isinstance(item, list):
            item.append(unknown)
        elif isinstance(target, ast.Attribute) and isinstance(item, Thing | Made):
            item.attributes[target.attr] = unknown
        elif isinstance(item, dict) and isinstance(target, ast.Subscript):
            try:
                item[self.evaluate(target.slice)] = unknown
            except (UntranslatableError, *FAILURES):
                item[unknown] = unknown

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name; a value that the user gives wins where the code holds none."""
        if isinstance(target, ast.Name):
            if (
                isinstance(value, Unknown)
                and "load_model(" in value.text
                and isinstance(self.names.get(target.id), Net)
            ):
                return  # the model that was saved
            module = self.names.maps[0] is self.main
            if target.id in self.given and (module or isinstance(value, Unknown)):
                value = self.use(target.id)
            elif isinstance(value, Unknown) and not isinstance(value, Broken) and not value.name:
                value = Unknown(value.text, value.place, target.id, value.reason)
        super().assign(target, value)

    def do_assign(self, node: ast.Assign) -> None:
        """`a = b = value`; what is not known is remembered by the name that it has last."""
        value = self.evaluate(node.value)
        if isinstance(value, Unknown) and not isinstance(value, Broken):
            value = Unknown(text_of(node.value), self.place(node.value), reason=value.reason)
        for target in node.targets:
            self.assign(target, value)

    def of_attribute(self, node: ast.Attribute) -> Any:
        """`value.name`, which the user may give as a whole: `--arg x_train.shape=(60000, 28, 28)`."""
        if self.dotted and (name := ast.unparse(node)) in self.dotted:
            return self.use(name)
        return super().of_attribute(node)

    def use(self, name: str) -> Any:
        """A value that the user gives."""
        self.used.add(name)
        return self.given[name]

    def set_attribute(self, node: ast.Attribute, subject: Any, value: Any) -> None:
        """`subject.name = value`."""
        key = f"self.{node.attr}"
        if isinstance(subject, Thing | Custom) and key in self.given and isinstance(value, Unknown):
            value = self.use(key)
        if isinstance(value, Unknown) and not isinstance(value, Broken) and not value.name:
            value = Unknown(value.text, value.place, ast.unparse(node), value.reason)
        if node.attr == "__defaults__" and isinstance(subject, Bound) and isinstance(subject.subject, CustomClass):
            set_defaults(subject.subject, value)
        elif isinstance(subject, CustomClass | Thing):
            subject.attributes[node.attr] = value
        elif isinstance(subject, Made):
            self.set_of_layer(subject, node.attr, value)
        elif not isinstance(subject, Unknown | Library | Tensor | Closure):
            super().set_attribute(node, subject, value)

    def do_try(self, node: ast.Try) -> None:
        """The body; a handler if the code raises an error, or if what is imported is not there."""
        try:
            self.execute(node.body)
        except RaisedError:
            for handler in node.handlers[:1]:
                self.execute(handler.body)
        else:
            self.execute(node.orelse)
        self.execute(node.finalbody)

    def do_with(self, node: ast.With) -> None:
        """The body; what a context is bound to."""
        for item in node.items:
            if item.optional_vars is not None:
                try:
                    value = self.evaluate(item.context_expr)
                except UntranslatableError:
                    value = Unknown(text_of(item.context_expr), self.place(node))
                self.assign(item.optional_vars, value)
        self.execute(node.body)

    def do_classdef(self, node: ast.ClassDef) -> None:
        """A class; its constants are its attributes."""
        made = CustomClass(node, [self.evaluate(base) for base in node.bases], self.names)
        outer = self.names
        self.names = Scope(made.attributes, outer)
        try:
            self.execute([item for item in node.body if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)])
        finally:
            self.names = outer
        self.names[node.name] = made

    def do_functiondef(self, node: ast.FunctionDef) -> None:
        """A function of the code; a decorator of the code wraps it."""
        function: Any = Closure(node, self.names, self.defaults(node))
        for decorator in reversed(node.decorator_list):
            made = self.evaluate(decorator)
            if isinstance(made, Closure | Partial):
                function = self.apply(decorator, made, [function], {})
        self.names[node.name] = function

    do_asyncfunctiondef = do_functiondef

    def do_expr(self, node: ast.Expr) -> None:
        """A call for its effect."""
        if isinstance(node.value, ast.Yield | ast.YieldFrom | ast.Await):
            raise self.refusal(node, "a generator")
        super().do_expr(node)

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What an object has under this name."""
        if isinstance(value, Unknown):
            return value
        if isinstance(value, Library) and name in ("__version__", "VERSION"):
            return self.version(value.path)
        if isinstance(value, Module):
            if name in value:
                return value[name]
            inner = locate(name, 1, value.path, value.path)
            return self.module(inner) if inner else Unknown(f"{value.path.stem}.{name}", self.place(node))
        if isinstance(value, Library) and value.path.startswith("project:"):
            found = self.project_file(f"{value.path.removeprefix('project:')}.{name}", 0)
            return self.module(found) if found else Library(f"{value.path}.{name}")
        if isinstance(value, Thing | Custom):
            return self.own(node, value, name)
        if isinstance(value, Super):
            return self.of_super(node, value, name)
        if isinstance(value, CustomClass):
            return self.of_class(node, value, name)
        if isinstance(value, Closure) and name == "__name__":
            return getattr(value.node, "name", "<lambda>")
        if isinstance(value, int) and name == "value":
            return value  # a dimension of TensorFlow 1
        return super().attribute(node, value, name)

    def own(self, node: ast.AST, thing: Thing | Custom, name: str) -> Any:
        """`self.name`."""
        if name in thing.attributes:
            return thing.attributes[name]
        if name == "__class__":
            return thing.kind
        if name == "__dict__":
            return thing.attributes
        if (found := thing.kind.find(name)) is not None:
            return self.method_of(thing, *found)
        for kind in thing.kind.lineage():
            if name in kind.attributes:
                return kind.attributes[name]
        if isinstance(thing, Custom) and thing.base is not None and not thing.base.missing:
            options = base_options(thing.base.layer)
            if name in options:
                return options[name]
        if f"self.{name}" in self.given:
            return self.use(f"self.{name}")
        if name in RECORD_METHODS:
            return Bound(thing, name)
        if isinstance(thing, Custom):
            return self.of_layer(node, thing, name)
        if thing.kind.library_base() or any(
            isinstance(base, Unknown) for one in thing.kind.lineage() for base in one.bases
        ):
            return Unknown(f"self.{name}", self.place(node), f"self.{name}")
        raise self.refusal(node, f"the attribute {name!r}, which the class does not set,")

    def method_of(self, thing: Any, kind: CustomClass, function: ast.FunctionDef) -> Any:
        """A method, as its decorators have it."""
        decorators = {ast.unparse(item).rpartition(".")[2] for item in function.decorator_list}
        if decorators & PROPERTIES:
            return self.method(Method(thing, kind, function), [], {})
        if "staticmethod" in decorators:
            return Closure(function, kind.names)
        if "classmethod" in decorators:
            return Partial(Closure(function, kind.names), (thing if isinstance(thing, CustomClass) else thing.kind,))
        return Method(thing, kind, function)

    def of_class(self, node: ast.AST, kind: CustomClass, name: str) -> Any:
        """`Class.name`."""
        if name in ("__name__", "_fields"):
            return kind.name if name == "__name__" else tuple(fields_of(kind))
        if (found := kind.find(name)) is not None:
            decorators = {ast.unparse(item).rpartition(".")[2] for item in found[1].decorator_list}
            return self.method_of(kind, *found) if decorators else Closure(found[1], found[0].names)
        for one in kind.lineage():
            if name in one.attributes:
                return one.attributes[name]
        return Bound(kind, name)

    def of_super(self, node: ast.AST, value: Super, name: str) -> Any:
        """`super().name`."""
        found = value.instance.kind.find(name, after=value.kind)
        if found is not None:
            return Method(value.instance, *found)
        return Bound(value, name)

    def unstacked(self, node: ast.AST, value: Any) -> list[Any]:
        """A tensor or a named tuple taken apart."""
        return list(values_of(value).values()) if isinstance(value, Thing) else super().unstacked(node, value)

    def method(self, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of the code."""
        self.frames.append((method.instance, method.kind))
        try:
            return self.run(method.function, [method.instance, *args], kwargs)
        finally:
            self.frames.pop()


def text_of(node: ast.AST) -> str:
    """Code on one line."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def outside_functions(statement: ast.AST) -> list[ast.AST]:
    """The nodes of a statement; functions and classes without what is inside them."""
    found = [statement]
    if not isinstance(statement, ast.FunctionDef | ast.Lambda | ast.ClassDef):
        for child in ast.iter_child_nodes(statement):
            found += outside_functions(child)
    return found


def rebound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement binds anew."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        yield from bound(statement)
        return
    for node in outside_functions(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom) or (
            node is not statement and isinstance(node, ast.FunctionDef)
        ):
            yield from bound(node)
