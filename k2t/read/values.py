"""Values of a configuration: what Keras's serializers wrap around plain data is taken off."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from k2t.errors import ReadError
from k2t.graph import Input

T = TypeVar("T")

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
KERAS_PACKAGES = frozenset({"keras", "tf_keras", "keras_core", "tensorflow", "builtins"})
# The floating point policies whose variables are of another type than the computation.
MIXED = {"mixed_float16": "float32", "mixed_bfloat16": "float32", "infer": "float32", "_infer": "float32"}
DTYPES = frozenset(
    {"float16", "bfloat16", "float32", "float64", "bool", "string", "complex64", "complex128"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


def parsed(text: str, where: str) -> Any:
    """JSON from an untrusted file: its texts can be written to another file."""
    try:
        value = json.loads(text)
        if not text.isascii():
            text.encode()
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ReadError(f"{where}: a text in it is not Unicode; the file is damaged") from error
    except ValueError as error:
        raise ReadError(f"{where}: damaged JSON ({error})") from error
    return value


def expect(value: Any, kind: type[T], where: str) -> T:
    """`value`, which must be of this JSON type."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ReadError(f"{where}: expected {kind.__name__}, found {short(value)}; the configuration is damaged")
    return value


def short(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_keras(module: Any) -> bool:
    """Whether a module path is inside Keras."""
    return isinstance(module, str) and module.split(".")[0] in KERAS_PACKAGES


def is_serialized(value: Any) -> bool:
    """Whether it stands for an object: a class and its configuration."""
    return isinstance(value, dict) and isinstance(value.get("class_name"), str)


def plain(value: Any) -> Any:
    """The same data without wrappers; what stands for another object keeps its form."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not is_serialized(value):
        return {key: plain(item) for key, item in value.items()}
    kind = value["class_name"]
    if kind in ("__tuple__", "TensorShape"):
        return [plain(item) for item in expect(value.get("items"), list, kind)]
    if kind == "function" and isinstance(value.get("config"), str):
        return _function(value)
    if kind in WRAPPERS:
        return WRAPPERS[kind](value.get("config", value))
    return {**value, "config": plain(value["config"])} if "config" in value else value


def _function(value: dict[str, Any]) -> str:
    """A function by name; one that is not Keras's keeps its package, so that it is not taken for Keras's."""
    name, registered = value["config"], value.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return registered
    return str(name) if is_keras(value.get("module", "keras")) else f"Custom>{name}"


def _tensor(config: dict[str, Any]) -> Any:
    """A constant; a number where it has no axes."""
    dtype = config.get("dtype", "float32")
    array = np.asarray(plain(config["value"]), "float32" if dtype == "bfloat16" else dtype)
    return array if array.ndim else array.item()


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "__tensor__": _tensor,
    "__numpy__": _tensor,
    "__bytes__": lambda config: config["value"],
    "__ellipsis__": lambda config: Ellipsis,
    "__slice__": lambda config: slice(*(plain(config[key]) for key in ("start", "stop", "step"))),
}


def variable_dtype(policy: Any) -> str | None:
    """The dtype of a layer's variables under a dtype policy; None for a policy without a translation."""
    if isinstance(policy, dict):
        config = policy.get("config")
        config = config if isinstance(config, dict) else {}
        if config.get("policy_map"):
            return None
        policy = config.get("default_policy") or config.get("name") or config.get("source_name")
        return variable_dtype(policy) if policy is not None else None
    if policy is None:
        return "float32"
    policy = MIXED.get(policy, policy) if isinstance(policy, str) else None
    return policy if policy in DTYPES else None


def quantization(policy: Any) -> dict[str, Any]:
    """How a layer under a dtype policy is quantized: its mode (`int8`, `int4/128`), and more; {} where it is not."""
    config = policy.get("config") if isinstance(policy, dict) else None
    return config if isinstance(config, dict) and "mode" in config else {}


def shape(value: Any, where: str) -> tuple[int | None, ...]:
    """A shape that includes the batch axis."""
    sizes = tuple(expect(plain(value), list, where))
    for size in sizes:
        if size is not None and expect(size, int, where) < 0:
            raise ReadError(f"{where}: {list(sizes)} is no shape; the configuration is damaged")
    return sizes


def declared_input(name: str, config: dict[str, Any]) -> Input:
    """An InputLayer as the input of a graph.

    Raises:
        ReadError: it takes sparse or ragged tensors.
    """
    for key in ("sparse", "ragged"):
        if config.get(key):
            raise ReadError(f"the input {name!r} takes {key} tensors, which have no translation")
    sizes = config.get("batch_shape", config.get("batch_input_shape"))
    if sizes is None:
        raise ReadError(f"the input {name!r} has no shape; the configuration is damaged")
    return Input(name, shape(sizes, name), variable_dtype(config.get("dtype", config.get("input_dtype"))) or "float32")
