"""The emitted file of a structured translation."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from k2t.emit.copied import copied, index, names_in
from k2t.emit.file import format_code, imports, loading
from k2t.emit.trim import trimmed


def file_text(parts: Sequence[str], name: str, arguments: Mapping[str, Any] | None = None) -> str:
    """Imports, helpers, and the parts, formatted.

    Args:
        parts: constants, classes and functions.
        name: the main class.
        arguments: with which `load` constructs it; without, there is no `load`.
    """
    given = ", ".join(f"{key}={value!r}" for key, value in (arguments or {}).items())
    load = "" if arguments is None else loading(name, "all").replace(f"{name}()", f"{name}({given})")
    text = "\n\n\n".join(filter(None, [*parts, load]))
    used = names_in(ast.parse(text)) & index().keys()
    body = "\n\n\n".join([*trimmed(copied(used), text), text])
    return format_code(f"{imports(body)}\n\n{body}")
