"""Constructor calls of Keras layers in code of any release, as the configuration that today's Keras would save."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.read.eras import Era, modern_layer
from k2t.read.eras.signatures import TABLES, positional
from k2t.rules.base import REFUSED, RULES
from k2t.rules.custom.constructors import COMMON, INPUT, spelled
from k2t.rules.tracing.names import LIBRARIES, Library

# Names under which Keras exports a class besides its own.
RANKS = (1, 2, 3)
POOLS = {"Max": "Max", "Avg": "Average"}
ALIASES = {
    **{f"{short}Pool{rank}D": f"{long}Pooling{rank}D" for rank in RANKS for short, long in POOLS.items()},
    **{f"Global{short}Pool{rank}D": f"Global{long}Pooling{rank}D" for rank in RANKS for short, long in POOLS.items()},
    **{f"Convolution{rank}D": f"Conv{rank}D" for rank in RANKS},
    **{f"Convolution{rank}DTranspose": f"Conv{rank}DTranspose" for rank in RANKS},
    **{f"SeparableConvolution{rank}D": f"SeparableConv{rank}D" for rank in (1, 2)},
    **{f"Deconv{rank}D": f"Conv{rank}DTranspose" for rank in (2, 3)},
    **{f"Deconvolution{rank}D": f"Conv{rank}DTranspose" for rank in (2, 3)},
    **{f"AtrousConv{rank}D": f"AtrousConvolution{rank}D" for rank in (1, 2)},
    "GroupedQueryAttention": "GroupQueryAttention",
}
# Classes of older releases, which `modern_layer` renames.
OLD = frozenset(
    {"AtrousConvolution1D", "AtrousConvolution2D", "Deconvolution2D", "TimeDistributedDense", "CuDNNGRU", "CuDNNLSTM"}
    | {"SyncBatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2"}
)
FUNCTIONAL = frozenset({"add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"})
MODELS = frozenset({"Sequential", "Model", "Functional", "Graph"})
# First parts of the paths of Keras and of packages whose layers have rules.
PACKAGES = frozenset({"keras", "tfa", "tensorflow_addons", "keras_contrib", "tf"})
# Options that only Keras 1 had.
KERAS_1 = frozenset(
    {"nb_filter", "nb_row", "nb_col", "border_mode", "subsample", "dim_ordering", "init", "inner_init", "bias"}
    | {"W_regularizer", "b_regularizer", "U_regularizer", "W_constraint", "b_constraint", "inner_activation"}
    | {"filter_length", "subsample_length", "pool_length", "atrous_rate", "dropout_W", "dropout_U", "kernel_dim1"}
    | {"forget_bias_init", "gamma_init", "beta_init", "p", "stride"}
)
# Signs of a release in the code: names, and names of arguments.
SIGNS_1 = (
    (KERAS_1 - {"p", "stride", "init", "bias"})
    | {"get_output_shape_for", "image_dim_ordering", "set_image_dim_ordering", "concat_axis", "nb_epoch"}
    | {"samples_per_epoch"}
)
NOT_1 = frozenset({"kernel_size", "filters", "units", "epochs", "kernel_initializer", "steps_per_epoch", "rate"})
PATHS_3 = re.compile(
    r"keras\.(ops|random|saving|src|tree|KerasTensor|distribution|dtype_policies)\b|keras_hub|KERAS_BACKEND"
)
# What constructors of tf.keras 2 mean where they are silent.
DEFAULTS_2: Mapping[str, Mapping[str, Any]] = {
    "GRU": {"reset_after": True},
    "GRUCell": {"reset_after": True},
    "ConvLSTM1D": {"recurrent_activation": "hard_sigmoid"},
    "ConvLSTM2D": {"recurrent_activation": "hard_sigmoid"},
    "ConvLSTM3D": {"recurrent_activation": "hard_sigmoid"},
}
REQUIRED = {"Merge": {"mode": "sum"}}


@functools.lru_cache(32)
def era_of_code(tree: ast.Module) -> Era:
    """The release that code was written for, by its imports and spellings.

    tf.keras and code that could be Keras 2 or 3 means what tf-keras computes, the last of Keras 2.
    """
    nodes = list(ast.walk(tree))
    modules = {item.name for node in nodes if isinstance(node, ast.Import) for item in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    names = {node.arg for node in nodes if isinstance(node, ast.keyword)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    tensorflow = any(
        module.startswith(("tensorflow.keras", "tensorflow.python.keras", "tf_keras")) for module in modules
    )
    old = names & SIGNS_1 or any(isinstance(n, ast.Call) and named(n) == "merge" and len(n.args) <= 2 for n in nodes)
    keywords = [node for node in nodes if isinstance(node, ast.keyword)]
    modern = names & NOT_1 or any(
        word.arg == "padding" and isinstance(getattr(word.value, "value", None), str) for word in keywords
    )
    if old and not tensorflow and not (modern and not names & {"border_mode", "nb_filter", "get_output_shape_for"}):
        return Era((1, 2, 2), "tensorflow")
    texts = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)} | modules
    texts |= {f"{n.module}.{i.name}" for n in nodes if isinstance(n, ast.ImportFrom) for i in n.names}
    texts |= {node.value for node in nodes if isinstance(node, ast.Constant) and node.value == "KERAS_BACKEND"}
    if not tensorflow and any(PATHS_3.search(text) for text in texts):
        return Era((3,), "tensorflow")
    of_tensorflow = tensorflow or any(text.startswith(("tf.keras", "tensorflow.keras")) for text in texts)
    return Era((2, 15, 0), "tensorflow", tf_keras=True, old_calls=not of_tensorflow)


def named(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def kind_of(path: str) -> str:
    """The class of Keras that a dotted name is, "" if it is none."""
    first, _, name = path.rpartition(".")
    if first.split(".")[0] not in PACKAGES or first.split(".")[:2] == ["keras", "applications"]:
        return ""
    if first.startswith("tf.") and "layers" not in first:
        return ""
    kind = ALIASES.get(name, name)
    if first.split(".")[0] in ("tfa", "tensorflow_addons") and f"Addons>{name}" in RULES:
        return f"Addons>{name}"
    if name in OLD or kind in RULES or kind in REFUSED or kind in OLD:
        return name
    return ""


# Modules of Keras that hold neither layers nor models.
NO_MODELS = frozenset(
    {"optimizers", "callbacks", "utils", "datasets", "losses", "metrics", "regularizers", "preprocessing"}
)


def exported(library: str, name: str) -> Any:
    """What `from library import *` makes of a name; None where it is not known to export it."""
    path = f"{library}.{name}"
    if name in MODELS:
        return None if library.rpartition(".")[2] in NO_MODELS else Library(f"keras.models.{name}")
    if kind_of(path) or name in FUNCTIONAL | {"Input", "InputLayer", "Layer", "Wrapper", "merge"}:
        path = f"keras.layers.{name}" if library.startswith("keras.") else path
        return Library(path) if library.split(".", maxsplit=1)[0] in PACKAGES else None
    if library.rsplit(".", maxsplit=1)[-1] in ("layers", "models", "optimizers") and name in LIBRARIES:
        return None
    if library in ("tf", "tensorflow", "keras", "np", "math", "K"):
        return Library(path)
    if library.split(".", maxsplit=1)[0] in PACKAGES and name[0].isupper():
        return Library(path)
    known = {"keras.activations", "keras.regularizers", "keras.initializers", "keras.utils", "keras.backend"}
    return Library(path) if library in known else None


def is_keras_1_call(kind: str, args: list[Any], kwargs: Mapping[str, Any], era: Era) -> bool:
    """Whether a constructor is called as Keras 1 had it, which Keras 2 understood: `Conv2D(64, 3, 3)`."""
    if kwargs.keys() & KERAS_1:
        return True
    window = {"Conv2D": 3, "Conv3D": 4, "SeparableConv2D": 3, "Conv2DTranspose": 3}.get(ALIASES.get(kind, kind), 0)
    sizes = args[1:window]
    square = len(sizes) == window - 1 and all(isinstance(item, int) and item == sizes[0] for item in sizes)
    return era.old_calls and bool(window) and square


def is_keras_2_call(args: list[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a constructor is called as Keras 1 could not be, in a file that seems to be of Keras 1."""
    return (
        bool(kwargs.keys() & NOT_1)
        or isinstance(kwargs.get("padding"), str)
        or (len(args) > 1 and isinstance(args[0], int) and isinstance(args[1], tuple | list) and len(args[1]) <= 3)
    )


def options_of(kind: str, args: list[Any], kwargs: dict[str, Any], era: Era) -> tuple[str, dict[str, Any]]:
    """Today's class and configuration of `kind(*args, **kwargs)`, as code of that release writes it.

    Raises:
        UntranslatableError: the layer is known to have no translation, or takes fewer arguments.
    """
    if kind in REFUSED:
        raise UntranslatableError(f"{kind}: {REFUSED[kind]}")
    if era.keras_1 and is_keras_2_call(args, kwargs):
        era = Era((2, 2, 4), era.backend, False, era.data_format)
    if not era.keras_1 and era.version < (3,) and is_keras_1_call(kind, args, kwargs, era):
        era = Era((1, 2, 2), era.backend, False, era.data_format)
    names = (
        positional(kind, era)
        or positional(ALIASES.get(kind, kind), era)
        or tuple(RULES[kind].options if kind in RULES else ())
    )
    names = names or TABLES[1].get(kind, ())
    if kind == "AtrousConvolution2D":
        names = TABLES[1][kind]
    if len(args) > len(names):
        raise UntranslatableError(f"{kind} is made with {len(args)} positional arguments")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    legacy = ALIASES.get(kind, kind) if kind not in OLD else kind
    if era.keras_1 and kind in ("Deconvolution2D", "Deconv2D"):
        legacy = "Deconvolution2D"
    keep = RULES[legacy].options.keys() if legacy in RULES else set()
    given = {key: value for key, value in given.items() if key not in (COMMON | INPUT) - keep or key in ("input_dim",)}
    if legacy != "Embedding":
        given.pop("input_dim", None)
    if era.before_keras_3 and not era.keras_1:
        given = {**DEFAULTS_2.get(legacy, {}), **given}
    given = {key: plain(value) for key, value in {**REQUIRED.get(legacy, {}), **given}.items()}
    if (
        era.data_format == "channels_first"
        and not era.keras_1
        and legacy in RULES
        and "data_format" in RULES[legacy].options
    ):
        given["data_format"] = given.get("data_format") or era.data_format
    today, config = modern_layer(legacy, given, era)
    config = {key: value for key, value in config.items() if not key.endswith(("_regularizer", "_constraint"))}
    if today in RULES and None in config.values():
        config = {key: value for key, value in config.items() if value is not None or key not in OPTIONAL}
    return today, {key: spelled(today, key, value) for key, value in config.items()}


# Options for which None means that nothing is said.
OPTIONAL = frozenset({"data_format", "kernel_initializer", "bias_initializer", "seed", "noise_shape", "mask"})


def plain(value: Any) -> Any:
    """Numbers of numpy as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.ndim <= 1 and value.size < 10:
        return value.tolist()
    return value


def input_shape(kwargs: Mapping[str, Any], kind: str, args: list[Any]) -> tuple[Any, ...] | None:
    """The shape of its input, batch included, that a layer's constructor states; None if it states none."""
    for key in ("batch_input_shape", "batch_shape"):
        if kwargs.get(key) is not None:
            return tuple(kwargs[key])
    batch = kwargs.get("batch_size")
    if (shape := kwargs.get("input_shape")) is not None:
        return (batch, *((shape,) if isinstance(shape, int) else shape))
    if kind == "Embedding":
        length = kwargs.get("input_length")
        return (batch, length) if not isinstance(length, tuple | list) else (batch, *length)
    if (size := kwargs.get("input_dim")) is not None:
        recurrent = kind in (
            "LSTM",
            "GRU",
            "SimpleRNN",
            "Conv1D",
            "Convolution1D",
            "TimeDistributedDense",
            "AtrousConvolution1D",
        )
        return (batch, kwargs.get("input_length"), size) if recurrent else (batch, size)
    return None
