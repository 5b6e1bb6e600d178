"""Keras code that is run to have a reference: the statements that the model needs, then the model itself.

Runs in a child process only, and only with --run-source. Which statements are needed is found here anew, and not by
`k2t.code.slices`: a proof must not share the mistakes of what it proves.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import inspect
import json
import re
import sys
import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2t.errors import K2TError

# Methods of a model that do not change what it computes.
TRAINING = {
    *("compile", "fit", "fit_generator", "train_on_batch", "evaluate", "evaluate_generator", "test_on_batch"),
    *("summary", "predict", "predict_generator", "predict_on_batch", "predict_classes", "predict_proba"),
    *("save", "save_weights", "load_weights", "to_json", "to_yaml", "export", "reset_states", "adapt"),
    *("get_weights", "set_weights", "get_layer"),
}
# Functions of modules that change what the modules do.
SETTERS = ("set_", "append", "insert", "extend", "update")
DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
SCOPES = FUNCTIONS | COMPREHENSIONS | ast.ClassDef
MAGIC = re.compile(r"^\s*[%!?]")
LEVELS = 4  # folders above the script in which its imports are looked for
ALIAS = "k2t_"  # the script is no module of its own name: its package may import that
MODULE = re.compile(r"(tf\.|tensorflow\.)?keras(\.\w+)*")


def text_of(path: Path) -> str:
    """The Python source of a script, or of a notebook's code cells without its magics, which keep their lines."""
    if path.suffix != ".ipynb":
        return path.read_text("utf-8-sig")
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    lines = [line for cell in cells for line in "".join(cell["source"]).split("\n")]
    return "\n".join("" if MAGIC.match(line) else line for line in lines)


def bound(statement: ast.stmt) -> set[str]:
    """Names that a statement binds in the module."""
    names = {getattr(statement, "name", "")} - {""}
    for node in _here(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def _here(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in a statement that runs in the module's own scope."""
    yield node
    if isinstance(node, SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        yield from _here(child)


def read(node: ast.AST) -> set[str]:
    """Names of the module that a statement reads, those inside functions included."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    found = {name for child in ast.iter_child_nodes(node) for name in read(child)}
    if isinstance(node, FUNCTIONS | COMPREHENSIONS):
        found -= {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
        found -= {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
    if isinstance(node, FUNCTIONS):
        found |= {
            name for default in (*node.args.defaults, *node.args.kw_defaults) if default for name in read(default)
        }
    return found


def changed(statement: ast.stmt, libraries: Collection[str] = ()) -> set[str]:
    """Names whose objects a statement changes: `model.add(…)`, `layers[0].trainable = False`, `build_on(model)`.

    Args:
        libraries: names of modules: `keras.utils.plot_model(model)` changes none, `sys.path.append(".")` does.
    """
    names = set()
    for node in _here(statement):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if isinstance(function, ast.Attribute):
                silent = _root(function) in libraries and not function.attr.startswith(SETTERS)
                names |= {_root(function)} if function.attr not in TRAINING and not silent else set()
            elif isinstance(function, ast.Name) and function.id not in ("print", "plot_model", "display"):
                names |= {item.id for item in node.value.args if isinstance(item, ast.Name)}
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            names.add(_root(node))
    return names - {""}


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def needed(body: list[ast.stmt], name: str, given: Mapping[str, Any]) -> list[ast.stmt]:
    """The statements of a module on which one of its names depends, those behind its last change left out.

    Args:
        given: names whose values are given instead.
    """
    libraries = {name for item in body if isinstance(item, ast.Import | ast.ImportFrom) for name in bound(item)}
    places = [index for index, item in enumerate(body) if name in bound(item) | changed(item)]
    if not places:
        raise K2TError(f"there is no {name} in the code")
    defined = isinstance(body[places[-1]], DEFINITIONS)
    last = len(body) if defined else places[-1] + 1
    anywhere: set[str] = {name} if defined else set()  # what functions read when they are called
    while True:
        before, live = set(anywhere), {name}
        kept: list[ast.stmt] = []
        for item in reversed(body[:last]):
            wanted = (live | anywhere) - given.keys()
            if isinstance(item, DEFINITIONS):
                if bound(item) & wanted or "*" in bound(item) or getattr(item, "module", "") == "__future__":
                    kept.append(item)
                    anywhere |= read(item)
            elif (bound(item) | changed(item, libraries)) & wanted:
                kept.append(item)
                live = (live - bound(item) if isinstance(item, ast.Assign) else live) | read(item)
                anywhere |= read(item) & _functions(body)
        if anywhere == before:
            return kept[::-1]


def without_reloads(body: list[ast.stmt]) -> list[ast.stmt]:
    """A module's statements but `model = load_model(…)` where the model was built before: it is the one saved."""
    kept: list[ast.stmt] = []
    for item in body:
        reload = isinstance(item, ast.Assign) and ast.unparse(item.value).partition("(")[0].endswith("load_model")
        if not (reload and any(bound(item) <= bound(other) for other in kept)):
            kept.append(item)
    return kept


def unguarded(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    """A module's statements; those under `if __name__ == "__main__"` too, where only they bind the name."""
    guards = {id(item) for item in body if isinstance(item, ast.If) and "__name__" in read(item.test)}
    if any(name in bound(item) for item in body if id(item) not in guards):
        return body
    return [
        part for item in body for part in (item.body if id(item) in guards and isinstance(item, ast.If) else [item])
    ]


def parameters(body: list[ast.stmt], name: str) -> set[str]:
    """Names of the arguments of a function, or of a class's methods."""
    definitions = [item for item in body if isinstance(item, ast.FunctionDef | ast.ClassDef) and item.name == name]
    methods = [part for item in definitions for part in (item.body if isinstance(item, ast.ClassDef) else [item])]
    functions = [item for item in methods if isinstance(item, ast.FunctionDef)]
    return {arg.arg for item in functions for arg in (*item.args.posonlyargs, *item.args.args, *item.args.kwonlyargs)}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a module's names: `x_train.shape` makes an `x_train` that has a shape; `self` is none of them."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        name, *attributes = path.split(".")
        if name == "self":
            continue
        if not attributes:
            found[name] = value
            continue
        place = found.setdefault(name, types.SimpleNamespace())
        for attribute in attributes[:-1]:
            place = vars(place).setdefault(attribute, types.SimpleNamespace())
        setattr(place, attributes[-1], value)
    return found


def _functions(body: list[ast.stmt]) -> set[str]:
    return {name for item in body if isinstance(item, DEFINITIONS) for name in bound(item)}


@dataclass
class Script:
    """A source and what is wanted of it.

    Attributes:
        path: the script or notebook.
        entry: a function, a variable, a class, or `Class.method`; `build[0]` is the first of what it returns.
        arguments: those of the entry; those that it does not have are values of the module's own names; `self.x` are
            attributes that a method finds, and then its class is not initialised.
    """

    path: Path
    entry: str
    arguments: dict[str, Any]

    def run(self) -> Any:
        """A new object of the entry: a model, a layer, or a list of models.

        Raises:
            K2TError: the code fails, or there is no such entry.
        """
        name, *places = re.findall(r"[\w.]+", self.entry)
        root, _, member = name.partition(".")
        args = {name: _module_named(value) for name, value in self.arguments.items()}
        module = self._execute(root, args)
        found = getattr(module, root)
        try:
            if member:
                found = getattr(_instance(found, args), member)
            if inspect.isroutine(found) or inspect.isclass(found):
                found = found(**_accepted(found, args))
            return found[int(places[0])] if places else found
        except Exception as error:
            raise K2TError(f"{self.path}:{self.entry}: fails: {type(error).__name__}: {error}") from error

    def _execute(self, root: str, args: dict[str, Any]) -> types.ModuleType:
        """A new module of the script's name, in which what `root` needs was run."""
        package, folder = _package(self.path)
        if str(folder) not in sys.path:
            sys.path[:0] = [str(folder), str(self.path.parent)]
            sys.path += map(str, list(self.path.resolve().parents)[1 : LEVELS + 1])
        if package:
            with absent(folder):
                _imported(package, folder)
        module = types.ModuleType(f"{package}.{ALIAS}{self.path.stem}" if package else f"{ALIAS}{self.path.stem}")
        module.__file__ = str(self.path)
        module.__package__ = package
        sys.modules[module.__name__] = module
        tree = ast.parse(text_of(self.path), str(self.path))
        body = without_reloads(unguarded(tree.body, root))
        given = nested({name: value for name, value in args.items() if name not in parameters(body, root)})
        tree.body = needed(body, root, given)
        vars(module).update(given)
        try:
            with absent(folder):
                exec(compile(tree, str(self.path), "exec"), vars(module))
        except Exception as error:
            line = _line(error, str(self.path))
            raise K2TError(f"{self.path}{line}: fails: {type(error).__name__}: {error}") from error
        return module


class _Absent(types.ModuleType):
    """A module that is not installed: only who calls what is in it learns so."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> Any:
            raise ModuleNotFoundError(f"{self.__name__}.{name}: not installed")

        return missing


@dataclass
class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what nobody found, for the files of one folder: plotting, data, and what else a model does not need."""

    folder: Path

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not isinstance(sys.modules.get(name.partition(".")[0], self), _Absent | _Finder):
            return None
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        ours = frame is not None and Path(frame.f_code.co_filename).is_relative_to(self.folder)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        found = _Absent(spec.name)
        found.__path__ = []
        return found

    def exec_module(self, module: types.ModuleType) -> None:
        pass


@contextmanager
def absent(folder: Path) -> Iterator[None]:
    """Within it, files of a folder may import what is not installed."""
    finder = _Finder(folder)
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _imported(package: str, folder: Path) -> None:
    """Import a package for its parts; where its own code fails, it is empty."""
    try:
        importlib.import_module(package)
    except Exception:
        parts = package.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            empty = types.ModuleType(name)
            empty.__path__ = [str(folder.joinpath(*parts[:count]))]
            sys.modules.setdefault(name, empty)


def _line(error: Exception, path: str) -> str:
    """`:12`, the deepest line of the script in a traceback."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _package(path: Path) -> tuple[str, Path]:
    """The package that a file lies in ("" for none), and the folder from which it is imported."""
    names: list[str] = []
    folder = path.resolve().parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), folder


def _instance(found: type, args: Mapping[str, Any]) -> Any:
    """An object of a class that has the method; it is not initialised where its attributes are given."""
    attributes = {name[5:]: value for name, value in args.items() if name.startswith("self.")}
    if not attributes:
        return found(**_accepted(found, args))
    made: Any = object.__new__(found)
    vars(made).update(attributes)
    return made


def _accepted(function: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that a function or class takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return {name: value for name, value in args.items() if "." not in name}
    return {parameter.name: args[parameter.name] for parameter in parameters if parameter.name in args}


def _module_named(value: Any) -> Any:
    """The module that a text such as `keras.layers` names; any other value as it is."""
    if not (isinstance(value, str) and MODULE.fullmatch(value)):
        return value
    return importlib.import_module(re.sub(r"^(tf|tensorflow)\.", "", value))
