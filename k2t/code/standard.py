"""What functions of Python's and other libraries do, as far as the making of models needs them."""

from __future__ import annotations

import ast
import itertools
import os.path
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from k2t.code.objects import Custom, Given, Made, Parser, Partial, PendingWeight, Tensor, Thing
from k2t.code.records import record_class
from k2t.graph import map_structure
from k2t.program import Value, leaves
from k2t.rules.custom.objects import CustomClass, Method, Super
from k2t.rules.tracing.names import Closure, Library, Unknown

LIMIT = 10_000

Handler = Callable[[Any, ast.AST, list[Any], dict[str, Any]], Any]
HANDLERS: dict[str, Handler] = {}


def handler(*paths: str) -> Callable[[Handler], Handler]:
    """Register what a function of a library does."""

    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(paths, function))
        return function

    return register


def text(node: ast.AST) -> str:
    """Code on one line."""
    found = " ".join(ast.unparse(node).split())
    return found if len(found) <= 80 else f"{found[:77]}..."


@handler("six.moves.range", "six.moves.xrange", "builtins.xrange", "past.builtins.xrange")
def xrange(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`six.moves.range`."""
    return script.builtin(node, "range", args, kwargs)


@handler("six.moves.zip")
def zipped(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`six.moves.zip`."""
    return list(zip(*args, strict=False))


@handler("functools.partial", "partial")
def partial(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`functools.partial`."""
    return Partial(args[0], tuple(args[1:]), kwargs)


@handler("functools.reduce", "builtins.reduce")
def reduce(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`functools.reduce`."""
    items = list(args[1])
    value = args[2] if len(args) > 2 else items.pop(0)
    for item in items:
        value = script.apply(node, args[0], [value, item], {})
    return value


@handler("functools.wraps")
def wraps(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`functools.wraps`."""
    return Unknown("functools.wraps")


@handler("builtins.map")
def mapped(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.map`."""
    return [script.apply(node, args[0], list(items), {}) for items in zip(*args[1:], strict=False)]


@handler("builtins.filter")
def filtered(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.filter`."""
    return [item for item in args[1] if (script.apply(node, args[0], [item], {}) if args[0] else item)]


@handler("builtins.sorted")
def in_order(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.sorted`."""
    key = kwargs.get("key")
    return sorted(
        args[0],
        key=(lambda item: script.apply(node, key, [item], {})) if key else None,
        reverse=bool(kwargs.get("reverse")),
    )


@handler("builtins.super")
def superclass(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.super`."""
    instance, kind = script.frames[-1]
    return Super(instance, args[0] if args and isinstance(args[0], CustomClass) else kind)


@handler("builtins.setattr")
def set_attribute(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.setattr`."""
    target = ast.Attribute(ast.Name("object", ast.Load()), args[1], ast.Store())
    script.set_attribute(ast.copy_location(target, node), args[0], args[2])


@handler("builtins.type")
def type_of(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.type`."""
    if isinstance(args[0], Thing | Custom):
        return args[0].kind
    return Library(f"builtins.{type(args[0]).__name__}")


@handler("builtins.callable")
def is_callable(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.callable`."""
    return isinstance(args[0], Closure | Partial | Library | Method | Made | CustomClass)


@handler("builtins.vars")
def variables(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.vars`."""
    return args[0].attributes


@handler("builtins.eval")
def evaluated(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`eval("ReLU")`: an expression that the code holds as text, followed like any other."""
    if len(args) != 1 or not isinstance(args[0], str):
        return refused(script, node, args, kwargs)
    try:
        found = ast.parse(args[0].strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return refused(script, node, args, kwargs)
    return script.evaluate(found)


@handler("builtins.input", "builtins.open", "builtins.exec")
def refused(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.input`."""
    return Unknown(text(node), script.place(node))


@handler("builtins.id", "builtins.hash")
def identity(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`builtins.id`."""
    return id(args[0])


@handler("collections.OrderedDict", "OrderedDict")
def ordered_dict(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`collections.OrderedDict`."""
    return dict(*args, **kwargs)


@handler("collections.deque")
def deque(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`collections.deque`."""
    return list(*args)


@handler("collections.namedtuple")
def named_tuple(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`collections.namedtuple`: a class that declares its fields."""
    return record_class(args[0], args[1], kwargs.get("defaults") or ())


@handler("copy.copy")
def copied(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`copy.copy`."""
    return args[0].copy() if isinstance(args[0], list | dict) else args[0]


@handler("copy.deepcopy")
def deep_copied(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`copy.deepcopy`."""
    return map_structure(lambda leaf: leaf, args[0])


@handler("itertools.product")
def product(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`itertools.product`."""
    return list(itertools.islice(itertools.product(*args, **kwargs), LIMIT))


@handler("itertools.chain", "itertools.chain.from_iterable")
def chain(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`itertools.chain`."""
    return [item for items in (args[0] if len(args) == 1 else args) for item in items]


@handler("os.path.join")
def joined(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`os.path.join`."""
    return (
        os.path.join(*args) if all(isinstance(item, str) for item in args) else Unknown(text(node), script.place(node))
    )


@handler("os.path.exists", "os.path.isfile", "os.path.isdir")
def exists(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`os.path.exists`: no file is there yet that would make the code load a model instead of building it."""
    return False


@handler("K.image_data_format", "keras.config.image_data_format")
def data_format(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`K.image_data_format`."""
    return script.era.data_format


@handler("K.image_dim_ordering")
def dim_ordering(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`K.image_dim_ordering`."""
    return "th" if script.era.data_format == "channels_first" else "tf"


@handler("K.set_image_data_format", "K.set_image_dim_ordering", "keras.config.set_image_data_format")
def set_data_format(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`K.set_image_data_format`."""
    which = {"th": "channels_first", "tf": "channels_last"}.get(args[0], args[0])
    script.era = replace(script.era, data_format=which)


@handler("tf.convert_to_tensor", "tf.constant", "keras.ops.convert_to_tensor", "K.constant", "np.array", "np.asarray")
def constant(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`tf.convert_to_tensor`."""
    if isinstance(args[0], Tensor | Unknown):
        return args[0]
    if any(isinstance(leaf, Tensor | Unknown) for leaf in leaves(args)):
        return script.function("tf.stack", [args[0]], {})
    given = kwargs.get("dtype")
    return np.asarray(args[0], given if isinstance(given, str) else None)


@handler("tf.Variable", "keras.Variable", "K.variable")
def variable(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`tf.Variable`."""
    value = kwargs.get("initial_value", args[0] if args else None)
    if isinstance(value, np.ndarray):
        return PendingWeight(kwargs.get("name"), value.shape, kwargs.get("trainable", True))
    if isinstance(value, Tensor) and isinstance(value.value, Value):
        return PendingWeight(kwargs.get("name"), value.value.shape, kwargs.get("trainable", True))
    return Unknown(text(node), script.place(node))


@handler("tf.function", "keras.saving.register_keras_serializable", "keras.utils.register_keras_serializable")
def decorator(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`tf.function`."""
    return args[0] if args and not isinstance(args[0], str) else Unknown("decorator")


def source_inputs(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The inputs that a tensor depends on."""
    found: dict[Any, None] = {}
    pending = [args[0]]
    while pending:
        tensor = pending.pop()
        if isinstance(tensor.origin, Given):
            found[tensor.origin.made.calls[0].tensors[0]] = None
        else:
            pending += [leaf for leaf in leaves((tensor.origin.args, tensor.origin.kwargs)) if isinstance(leaf, Tensor)]
    return list(found)


def input_shape(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`_obtain_input_shape` of `keras.applications`: the given shape, or the default one where the top needs it."""
    shape = args[0] if args else kwargs["input_shape"]
    size = kwargs.get("default_size", args[1] if len(args) > 1 else None)
    if isinstance(shape, Unknown):
        return shape
    if shape is not None:
        return tuple(shape)
    flat = kwargs.get("require_flatten", kwargs.get("include_top", args[4] if len(args) > 4 else False))
    sizes = (size, size) if flat else (None, None)
    return (3, *sizes) if script.era.data_format == "channels_first" else (*sizes, 3)


def record_of(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`InputSpec(...)`: its arguments as attributes."""
    values = {
        "ndim": None,
        "shape": None,
        "axes": None,
        **dict(zip(("dtype", "shape", "ndim"), args, strict=False)),
        **kwargs,
    }
    return Thing(CustomClass(ast.ClassDef("InputSpec", [], [], [], []), [], {}), values)


def normal_format(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`conv_utils.normalize_data_format(value)`."""
    given = args[0] if args else kwargs.get("value")
    return script.era.data_format if given is None else given


def normal_tuple(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`conv_utils.normalize_tuple(value, n, name)`."""
    count = args[1] if len(args) > 1 else kwargs["n"]
    return (args[0],) * count if isinstance(args[0], int) else tuple(args[0])


def inert(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Computes nothing of a model."""
    return Unknown(text(node), script.place(node))


# By the last part of their names, which modules they lie in having changed from release to release.
NAMED: dict[str, Handler] = {
    "get_source_inputs": source_inputs,
    "_obtain_input_shape": input_shape,
    "obtain_input_shape": input_shape,
    "InputSpec": record_of,
    "normalize_data_format": normal_format,
    "normalize_tuple": normal_tuple,
    "load_model": inert,
    "load_weights_from_hdf5_group": inert,
    "get_file": inert,
}


@handler("inspect.signature", "inspect.getfullargspec", "inspect.getargspec")
def signature(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The parameters of a function of the code; of a layer of Keras, its inputs."""
    function = args[0].function if isinstance(args[0], Method) else args[0]
    names = function.parameters() if isinstance(function, Closure) else ["inputs"]
    return Thing(
        CustomClass(ast.ClassDef("Signature", [], [], [], []), [], {}),
        {"parameters": dict.fromkeys(names), "args": names},
    )


@handler("argparse.ArgumentParser")
def parser(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`argparse.ArgumentParser`."""
    return Parser()


@handler(
    "distutils.version.LooseVersion", "distutils.version.StrictVersion", "packaging.version.parse",
    "packaging.version.Version", "pkg_resources.parse_version",
)  # fmt: skip
def parsed_version(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`distutils.version.LooseVersion`."""
    return tuple(int(part) for part in str(args[0]).split(".") if part.isdecimal())


@handler("K.is_keras_tensor", "keras.utils.is_keras_tensor", "keras.backend.is_keras_tensor", "tf.is_tensor")
def is_tensor(script: Any, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """`K.is_keras_tensor`."""
    return isinstance(args[0], Tensor)
