"""A file of custom layers as rules: one for each class, and the functions that activations name."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k2t.errors import K2TError, ReadError, UntranslatableError, refusing
from k2t.graph import Layer, map_structure
from k2t.program import Value
from k2t.rules.base import CUSTOM, Custom, Rule
from k2t.rules.builder import Builder
from k2t.rules.custom.interpreter import LayerInterpreter
from k2t.rules.custom.objects import CustomClass, Instance, Sublayer
from k2t.rules.custom.weights import settle
from k2t.rules.parts import Parts
from k2t.rules.tracing.names import Closure

_numbers = itertools.count()


@contextmanager
def custom_objects(custom: Custom) -> Iterator[None]:
    """Within it, layers find what the user defines."""
    token = CUSTOM.set(custom)
    try:
        yield
    finally:
        CUSTOM.reset(token)


def load(path: Path) -> Custom:
    """What a file adds; one that imports k2t holds rules, and is imported.

    Raises:
        ReadError: it cannot be read, or is no Python.
    """
    try:
        tree = ast.parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: cannot be read: {error}") from error
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ReadError(f"{path}: is no Python that can be parsed: {error}") from error
    if imports_k2t(tree):
        import_rules(path)
    return custom_of(tree)


def parsed(code: str) -> Custom:
    """What source code adds; it is never run."""
    return custom_of(ast.parse(code))


def imports_k2t(tree: ast.Module) -> bool:
    """Whether the file is a program for k2t, with rules."""
    modules = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(module.split(".")[0] == "k2t" for module in modules)


def import_rules(path: Path) -> None:
    """Run a user's own file, which registers its rules."""
    name = f"k2t_custom_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ReadError(f"{path}: its name must end in .py, since it imports k2t and is run")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except K2TError:
        raise
    except Exception as error:
        raise ReadError(f"{path}: fails when it is imported: {type(error).__name__}: {error}") from error


def custom_of(tree: ast.Module) -> Custom:
    """The classes and functions of a file; statements that cannot be followed define nothing."""
    layer = Layer("custom", "")
    reader = LayerInterpreter(Builder([], Parts(layer), layer.name), {})
    for statement in tree.body:
        try:
            reader.execute([statement])
        except UntranslatableError:
            continue
    classes = [item for item in reader.names.values() if isinstance(item, CustomClass)]
    rules: dict[str, Rule] = {}
    for kind in classes:
        for name in filter(None, (kind.name, kind.registered())):
            rules[name] = rule_of(kind, name)
    functions = {name: item for name, item in reader.names.items() if isinstance(item, Closure)}
    return Custom(rules, {name: activation_of(item) for name, item in functions.items()}, reader.names)


def activation_of(function: Closure) -> Any:
    """A function of the file as an activation."""

    def activate(b: Builder, x: Value, **arguments: Any) -> Any:
        with refusing("cannot be followed"):
            return LayerInterpreter(b, {}).run(function, [x], arguments)

    return activate


class CustomRule(Rule):
    """The rule that a class of the file is: its `__init__` says which options there are."""

    def arguments(self, layer: Layer) -> dict[str, Any]:
        """None: the options are arguments of `__init__`."""
        return {}


def rule_of(kind: CustomClass, name: str) -> Rule:
    """A class as a rule."""
    instances: dict[Parts, Instance] = {}

    def translate(b: Builder, *inputs: Any, **calls: Any) -> Any:
        interpreter = LayerInterpreter(b, {})
        with refusing("cannot be followed"):
            if b.parts not in instances:
                instances[b.parts] = make(interpreter, kind, b)
            output = interpreter.call_instance(instances[b.parts], list(inputs), calls)
            settle(instances[b.parts])
        return output

    translate.__doc__ = ast.get_docstring(kind.node)
    found = kind.find("call")
    names = [item.arg for item in (*found[1].args.args, *found[1].args.kwonlyargs)][2:] if found else []
    takes_any = found is not None and found[1].args.kwarg is not None
    options = dict.fromkeys([*names, *(["training", "mask"] if takes_any else [])])
    return CustomRule(name, translate, (), False, options)


def make(interpreter: LayerInterpreter, kind: CustomClass, b: Builder) -> Instance:
    """The layer as its configuration makes it: `from_config`, or `__init__` with the options."""
    instance = Instance(kind, b.parts)
    layer = b.layer
    options = map_structure(lambda item: wrapped(item, b.parts), layer.options)
    common = {"name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype}
    found = kind.find("__init__")
    if found is not None and found[1].args.kwarg is None:
        names = {item.arg for item in (*found[1].args.args, *found[1].args.kwonlyargs)}
        common = {key: value for key, value in common.items() if key in names}
    interpreter.initialize(instance, [], {**common, **options})
    return instance


def wrapped(option: Any, parts: Parts) -> Any:
    """An option that is a layer, as the code sees it."""
    if isinstance(option, Layer):
        return Sublayer(option, parts.child(option, f"#{option.name}"))
    return option
