"""Which model of a script is meant, and what it takes to make it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from k2t.code.arguments import as_list
from k2t.code.graphs import tensors
from k2t.code.objects import Broken, Custom, Given, Made, Net, Partial, Tensor, Thing
from k2t.code.script import Script
from k2t.errors import ReadError, UnsupportedError, UntranslatableError
from k2t.graph import Shape
from k2t.program import Value, leaves
from k2t.rules.custom.objects import CustomClass, Method
from k2t.rules.tracing.names import Closure, Unknown

MAKERS = ("Model", "Sequential", "Functional")
# Words of names that do not tell what a model is.
EMPTY_WORDS = frozenset(
    {"build", "make", "create", "get", "define", "construct", "init", "new", "model", "models", "net", "network"}
    | {"main", "train", "the", "my", "a", "function", "fn", "nn", "keras", "demo", "example", "test", "setup", "load"}
    | {"baseline"}
)
# Methods that take data.
FITTED = frozenset({"fit", "evaluate", "predict", "train_on_batch", "predict_on_batch"})
# Stands for the class of what a function has made when it returns nothing.
CLASS = CustomClass(ast.ClassDef("Function", [], [], [], []), [], {})
START = ast.Pass(lineno=1, col_offset=0)


def model_of(script: Script, entry: str, shapes: Sequence[Shape]) -> Net | Made:
    """The model that an entry names: a variable, or what a function, class or method makes.

    Raises:
        ReadError: there is no such name, several models could be meant, or a value is missing.
        UnsupportedError: parts of it have no translation.
    """
    name, index = split(entry)
    try:
        value = called(script, resolve(script, name), name, shapes)
    except UntranslatableError as error:
        raise ReadError(f"{script.base.name}:{name}: {error}") from error
    if index is not None and isinstance(value, list | tuple):
        value = value[index]
    return finished(script, value, name, shapes)


def title(entry: str, path: Path) -> str:
    """A name for a model that has none: after its builder, its variable, or the file; `net` if these say nothing."""
    for name in (entry.rpartition(".")[2].partition("[")[0], path.stem):
        words = [word for word in re.split(r"[_\W]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)) if word]
        if len(kept := [word for word in words if word.lower() not in EMPTY_WORDS]) > 0:
            return "_".join(kept)
    return "net"


def split(entry: str) -> tuple[str, int | None]:
    """`builder[1]`: the name and which of several results."""
    found = re.fullmatch(r"(.+?)\[(\d+)\]", entry)
    return (found[1], int(found[2])) if found else (entry, None)


def chosen(path: Path, tree: ast.Module) -> str:
    """The only model of a script that names none: a variable, then a function, then a class.

    Raises:
        ReadError: there is none, or there are several.
    """
    found = candidates(tree)
    for group in found:
        if "model" in group:
            return "model"
        if len(group) == 1:
            return group[0]
        if group:
            listed = ", ".join(group)
            raise ReadError(f"{path}: several models could be meant; name one: {path}:{group[-1]} (of {listed})")
    raise ReadError(f"{path}: no model is made in it; name the function or class that makes one behind a colon")


def candidates(tree: ast.Module) -> list[list[str]]:
    """Names of variables that hold models, of functions that make one, of subclasses of Model, and what may be one."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    makers = {node.name for node in functions if makes_model(node)}
    for _ in range(2):
        makers |= {node.name for node in functions if returns_call(node, makers)}
    used = {call_name(node) for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)}
    tops = [node for node in functions if node.name in makers and node.name not in used]
    made = assigned(tree)
    parts = {node.id for function in tops for node in ast.walk(function) if isinstance(node, ast.Name)}
    variables = [name for name, call in made if call_name(call) in {*MAKERS, *makers} and name not in parts]
    classes = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith(MAKERS) for base in node.bases)
    ]
    silent = [
        node.name
        for node in functions
        if any(call_name(part) in MAKERS for part in ast.walk(node) if isinstance(part, ast.Call))
    ]
    named = [name for name, _ in made if name == "model"]  # `model = Network().build()`
    return [list(dict.fromkeys(variables)), [node.name for node in tops] or sorted(makers), classes, silent, named]


def assigned(tree: ast.Module) -> list[tuple[str, ast.Call]]:
    """The variables of a file that are the result of a call, with the call."""
    body = [item for item in tree.body if not isinstance(item, ast.FunctionDef | ast.ClassDef)]
    return [
        (target.id, node.value)
        for node in ast.walk(ast.Module(body, []))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def call_name(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def makes_model(function: ast.FunctionDef) -> bool:
    """Whether a function makes a model and returns something."""
    nodes = list(ast.walk(function))
    makes = any(isinstance(node, ast.Call) and call_name(node) in MAKERS for node in nodes)
    return makes and any(isinstance(node, ast.Return) and node.value is not None for node in nodes)


def returns_call(function: ast.FunctionDef, makers: set[str]) -> bool:
    """Whether a function returns what one of these returns."""
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return any(isinstance(value, ast.Call) and call_name(value) in makers for value in returned)


def resolve(script: Script, name: str) -> Any:
    """What a dotted name stands for: a class's method belongs to an object of the class."""
    first, *rest = name.split(".")
    if first not in script.main:
        known = ", ".join(sorted({n for group in candidates(script.main.tree) for n in group})) or "none"
        raise ReadError(f"{script.base}: there is no {first!r}; models are made by: {known}")
    value = script.use(first) if first in script.given else script.main[first]
    for part in rest:
        if isinstance(value, CustomClass) and not is_static(value, part):
            value = instance(script, value)
        value = script.attribute(START, value, part)
    return value


def is_static(kind: CustomClass, name: str) -> bool:
    """Whether a name of a class needs no object."""
    found = kind.find(name)
    if found is None:
        return any(name in one.attributes for one in kind.lineage())
    return any(ast.unparse(item) in ("staticmethod", "classmethod") for item in found[1].decorator_list)


def instance(script: Script, kind: CustomClass) -> Any:
    """An object whose method is the entry; with attributes from the user, its constructor does not run."""
    given = {key.removeprefix("self."): script.use(key) for key in script.given if key.startswith("self.")}
    thing = script.blank(kind, {})
    thing.attributes |= given
    if not given:
        found = kind.find("__init__")
        arguments = wanted(script, Closure(found[1], found[0].names), skip=1) if found else {}
        script.initialize(START, thing, [], arguments)
    return thing


def wanted(script: Script, function: Closure, skip: int = 0, shapes: Sequence[Shape] = ()) -> dict[str, Any]:
    """The arguments of a function that the user gives; those without a default and without a value are unknown."""
    spec = function.node.args
    positional = [item.arg for item in (*spec.posonlyargs, *spec.args)][skip:]
    names = [*positional, *(item.arg for item in spec.kwonlyargs)]
    defaults = script.defaults(function.node) if function.defaults is None else function.defaults
    arguments: dict[str, Any] = {}
    for name in names:
        if name in script.given:
            arguments[name] = script.use(name)
        elif name not in defaults:
            arguments[name] = Unknown(name, script.place(function.node), name, "an argument without a default")
    if spec.kwarg is not None:
        bare = [key for key in script.given if "." not in key and key not in names]
        arguments |= {key: script.use(key) for key in bare}
    return arguments


def called(script: Script, value: Any, name: str, shapes: Sequence[Shape]) -> Any:
    """The result of a function, an object of a class."""
    if isinstance(value, Partial):
        inner = value.function
        if isinstance(inner, Closure):
            given = wanted(script, inner, skip=len(value.args))
            given = {
                key: item for key, item in given.items() if key not in value.kwargs or not isinstance(item, Unknown)
            }
            return script.apply(
                START, value, [], {k: v for k, v in given.items() if k not in value.kwargs or k in script.given}
            )
        return script.apply(START, value, [], {})
    if isinstance(value, Method):
        return script.method(value, [], wanted(script, value.function, skip=1))
    if isinstance(value, Closure):
        arguments = wanted(script, value)
        free = [key for key, item in arguments.items() if isinstance(item, Unknown)]
        for key, shape in zip(free, shapes, strict=False):
            arguments[key] = tuple(shape[1:]) if "shape" in key else script.given_tensor(key, shape)
        result = script.run(value, [], arguments)
        return script.ended.get("model", Thing(CLASS, script.ended)) if result is None else result
    if isinstance(value, CustomClass):
        found = value.find("__init__")
        arguments = wanted(script, Closure(found[1], found[0].names), skip=1) if found else {}
        return script.construct(START, value, [], arguments)
    return value


def finished(script: Script, value: Any, name: str, shapes: Sequence[Shape]) -> Net | Made:
    """What an entry makes, as a model with known inputs."""
    where = f"{script.base.name}:{name}"
    if isinstance(value, Broken):
        raise UnsupportedError(value.problems)
    if isinstance(value, Unknown):
        raise ReadError(f"{where}: {value}")
    if isinstance(value, list | tuple):
        value = joined(script, value, where)
    if isinstance(value, Thing):
        value = held(value, where)
    if isinstance(value, Tensor):
        value = between(script, value)
    if isinstance(value, Custom) and value.net is not None and not value.kind.find("call"):
        value = value.net
    if isinstance(value, Made) and value.missing:
        raise ReadError(f"{where}: {value.missing}")
    if not isinstance(value, Made):
        raise ReadError(f"{where}: makes {type(value).__name__}, and no model")
    if isinstance(value, Net):
        if value.problems:
            raise UnsupportedError(value.problems)
        if not any(script.built(START, value, shape) for shape in likely_shapes(script, value, name, shapes)):
            raise ReadError(
                f"{where}: the code does not hold the shape of its input; give it with --input-shape (None,...)"
            )
        if isinstance(value.outputs, Broken):
            raise UnsupportedError(value.outputs.problems)
        return value
    return wrapped(script, value, where, shapes)


def likely_shapes(script: Script, net: Net, name: str, shapes: Sequence[Shape]) -> Iterator[Shape | None]:
    """Shapes for a model's input: that of the user; those of the code take longer to find."""
    yield shapes[0] if shapes else None
    yield data_shape(script, name)
    yield use_shape(script, net, name)


def joined(script: Script, values: Any, where: str) -> Any:
    """Several models over the same inputs as one; tensors as the outputs of one."""
    models = [item for item in values if isinstance(item, Net)]
    broken = [item for item in values if isinstance(item, Broken)]
    if broken and not models:
        raise UnsupportedError([problem for item in broken for problem in item.problems])
    found = list(tensors(values))
    if len(models) == 1:
        return models[0]
    if (
        models
        and all(script.built(START, item) for item in models)
        and all(item.inputs == models[0].inputs for item in models)
    ):
        return script.functional(START, models[0].layer.name, models[0].inputs, [item.outputs for item in models])
    if models:
        raise ReadError(f"{where}: makes {len(values)} models; say which: {where}[0]")
    if found:
        return between(script, found)
    raise ReadError(f"{where}: makes a {type(values).__name__} without a model")


def between(script: Script, outputs: Any) -> Any:
    """A model from the inputs that tensors depend on."""
    inputs: list[Tensor] = []
    pending, seen = list(tensors(outputs)), set[int]()
    while pending:
        tensor = pending.pop()
        if isinstance(tensor.origin, Given):
            if tensor not in inputs:
                inputs.append(tensor)
        elif id(tensor.origin) not in seen:
            seen.add(id(tensor.origin))
            pending += tensors((tensor.origin.args, tensor.origin.kwargs))
    inputs.sort(key=lambda tensor: tensor.origin.made.serial)
    kept = [tensor for tensor in as_list(outputs) if tensor not in inputs]
    return script.functional(START, "model", inputs, kept)


def held(thing: Thing, where: str) -> Any:
    """The model that an object holds."""
    models = {key: item for key, item in thing.attributes.items() if isinstance(item, Net | Custom)}
    if "model" in models:
        return models["model"]
    if len(models) == 1:
        return next(iter(models.values()))
    listed = ", ".join(f"{where}.{key}" for key in models) or "none"
    raise ReadError(f"{where}: an object with several models, or none; name one: {listed}")


def wrapped(script: Script, made: Made, where: str, shapes: Sequence[Shape]) -> Net:
    """A layer, or a model with a `call` of its own, on inputs of known shape."""
    stated: Any = made.given_shape or ()
    stated = list(stated) if stated and isinstance(stated[0], tuple | list) else [stated] if stated else []
    found = list(shapes) or stated or seen_shapes(made)
    name = where.rpartition(":")[2]
    if not found and (fitted := data_shape(script, name)) is not None:
        found = [fitted]
    if not found and "." not in name and (used := use_shape(script, made, name)) is not None:
        found = [used]
    if not found:
        raise ReadError(
            f"{where}: the code does not hold the shape of its input; give it with --input-shape (None,...)"
        )
    method = made.kind.find("call") if isinstance(made, Custom) else None
    named = [item.arg for item in method[1].args.args][1:] if method else []
    required = len(named) - len(method[1].args.defaults) if method else 1
    kinds = input_dtype(made)
    apart = required >= len(found)
    names = [named[i] if apart and i < len(named) else f"input_{i + 1}" for i in range(len(found))]
    inputs = [script.given_tensor(name, tuple(shape), kinds) for name, shape in zip(names, found, strict=True)]
    args: list[Any] = list(inputs) if len(inputs) == 1 or apart else [inputs]
    output = script.call(START, made, args, {})
    net = script.functional(START, made.layer.name, inputs, output)
    if isinstance(net, Broken):
        raise UnsupportedError(net.problems)
    return net  # type: ignore[no-any-return]


def data_shape(script: Script, name: str) -> Shape | None:
    """The shape of the data that the script fits a variable's model to; the batch is open."""
    for node in ast.walk(script.main.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FITTED):
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == name:
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "x")]
            try:
                data = script.evaluate(given[0]) if given else None
            except (UntranslatableError, LookupError, TypeError, ValueError):
                continue
            if isinstance(data, np.ndarray):
                return (None, *data.shape[1:])
    return None


def use_shape(script: Script, made: Made, name: str) -> Shape | None:
    """The shape with which another model of the script calls a variable's model."""
    for node in script.main.tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name) or node.targets[0].id == name:
            continue
        if not any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node.value)):
            continue
        around = script.main[node.targets[0].id]
        if isinstance(around, Net):
            script.built(START, around, data_shape(script, node.targets[0].id))
        if found := seen_shapes(made):
            return found[0]
    return None


def input_dtype(made: Made) -> str:
    """Numbers of words where the first layer is an Embedding."""
    layers = [leaf for leaf in leaves(list(made.attributes.values())) if isinstance(leaf, Made)]
    return "int32" if layers and layers[0].layer.kind == "Embedding" else "float32"


def seen_shapes(made: Made) -> list[Shape]:
    """The shapes of a call that the code itself makes; the batch is open."""
    for call in made.calls:
        shapes = [leaf.value.shape for leaf in tensors((call.args,)) if isinstance(leaf.value, Value)]
        if shapes:
            return [(None, *shape[1:]) for shape in shapes]
    return []
