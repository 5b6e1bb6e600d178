"""The first lines of an emitted file: where it comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 97  # of a line: the first one has quotes in front


@dataclass(frozen=True)
class Header:
    """What the first lines say of the origin.

    Attributes:
        weights_sha256: of the file of weights, where that is another than the source.
        evaluated: why code was evaluated with its arguments instead of translated function by function, or "".
    """

    source: str
    sha256: str
    keras_version: str
    k2t_version: str
    options: str
    evaluated: str = ""
    weights_sha256: str = ""


def with_header(name: str, body: str, header: Header) -> str:
    """The whole file: where the class `name` comes from, then the body."""
    version = [f"(Keras {header.keras_version})"] if header.keras_version else []
    *parts, last = [f"{name}, converted by k2t {header.k2t_version}", "from", header.source, *version]
    lines = [
        filled([*parts, f"{last}."]),
        "",
        f"source sha256: {header.sha256}",
        *([f"weights sha256: {header.weights_sha256}"] if header.weights_sha256 else []),
        f"code sha256: {hashlib.sha256(body.encode()).hexdigest()}",
        *([f"options: {header.options}"] if header.options else []),
        *([f"evaluated with these arguments: {header.evaluated}"] if header.evaluated else []),
        "",
    ]
    return docstring_text("\n".join(lines)) + f"\n\n{body}"


def filled(parts: Iterable[str]) -> str:
    """The parts in as few lines as hold them, each part in one piece."""
    text, *others = parts
    for part in others:
        line = text.rpartition("\n")[2]
        text += (" " if len(f"{line} {part}") <= WIDTH else "\n") + part
    return text


def docstring_text(text: str) -> str:
    """A docstring as it is written; nothing in `text` can end it early."""
    safe = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    safe = "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in safe)
    return f'"""{safe}"""'
