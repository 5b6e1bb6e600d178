"""The emitted file of a structured translation."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from k2t.emit.copied import copied, library
from k2t.emit.file import format_code, imports


def file_text(classes: Sequence[str], rest: Sequence[str] = ()) -> str:
    """Imports, helpers, classes and what stands behind them, formatted."""
    text = "\n\n\n".join(classes)
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    helpers, helper_names = copied(used & library().keys())
    body = "\n\n\n".join([*helpers, text, *rest])
    head = imports(body, helper_names)
    if not rest:
        head = head.replace("from safetensors.torch import load_model\n", "").replace("from pathlib import Path\n", "")
    return format_code(f"{head}\n\n{body}")
