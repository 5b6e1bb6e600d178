"""Mends what is no Python 3: magics of notebooks, print statements and tabs of Python 2."""

from __future__ import annotations

import re

MAGIC = re.compile(r"^(\s*)([%!?]|\w+\?)")
PRINT = re.compile(r"^(\s*)print\b(?!\s*\()(.*)$")
EXCEPT = re.compile(r"^(\s*except\s+[\w.()]+)\s*,\s*(\w+)\s*:")
EXEC = re.compile(r"^(\s*)(exec)\s+(?!\()(.*)$")
RAISE = re.compile(r"^(\s*raise\s+[\w.]+)\s*,\s*(.+)$")
MENDED = (
    (MAGIC, r"\1pass  # \2"),
    (PRINT, r"\1print(\2)"),
    (EXCEPT, r"\1 as \2:"),
    (EXEC, r"\1exec(\3)"),
    (RAISE, r"\1(\2)"),
)


def plain_cell(text: str) -> str:
    """A cell without magics; a cell of another language is empty."""
    if text.lstrip().startswith("%%") and not text.lstrip().startswith(("%%time", "%%capture", "%%prun")):
        return ""
    return "\n".join(MAGIC.sub(r"\1pass  # \2", line) for line in text.splitlines())


def repaired(text: str) -> str:
    """The text with lines that only Python 2 or a notebook understands replaced."""
    lines = []
    for line in text.expandtabs(8).splitlines():
        mended = line
        for pattern, replacement in MENDED:
            mended = pattern.sub(replacement, mended)
        lines.append(mended.replace("<>", "!="))
    return "\n".join(lines)
