"""Finds the functions in the configuration of a Lambda layer and recovers them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from k2t.errors import ReadError
from k2t.graph import PythonFunction
from k2t.read.bytecode.decompile import decompile
from k2t.read.bytecode.marshalled import records

OPTIONS = ("function", "output_shape", "mask")


def recovered(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a Lambda layer, its functions as syntax trees; a function by name stays its name."""
    return {key: function(value) if key in OPTIONS else value for key, value in options.items()}


def function(value: Any) -> Any:
    """A stored function as data; anything else as it is."""
    parts = stored_parts(value)
    if parts is None:
        return value
    code, defaults, closure = parts
    try:
        node, record = decompile(records(data_of(code)))
    except ReadError as error:
        return PythonFunction(None, str(error))
    names = dict(zip(record.free, closure or (), strict=False))
    return PythonFunction(node, "", tuple(defaults or ()), names)


def stored_parts(value: Any) -> tuple[str, Any, Any] | None:
    """Code, defaults and closure: a list in HDF5, a dict in archives."""
    if isinstance(value, dict) and value.get("class_name") == "__lambda__":
        value = value.get("config")
        value = [value.get("code"), value.get("defaults"), value.get("closure")] if isinstance(value, dict) else None
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and len(value[0]) > 20:
        return value[0], value[1], value[2]
    return None


def data_of(code: str) -> bytes:
    """The bytes: base64, or before Keras 2.0.9 one character for each byte."""
    try:
        return base64.b64decode("".join(code.split()), validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        return code.encode("raw_unicode_escape")
    except UnicodeError as error:
        raise ReadError("the function of a Lambda is stored in an unknown way") from error
