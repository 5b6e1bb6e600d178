"""What all commands share in writing to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

PIPE_WIDTH = 160
Shape = Sequence[int | None]


def printable(text: str) -> str:
    """The text without what would steer a terminal: names in a model file may hold anything."""
    return "".join(c if c == "\n" or c.isprintable() else ascii(c)[1:-1] for c in text)


def shape_text(shape: Shape) -> str:
    """`(N, 28, 28, 1)`; unknown sizes are `*`."""
    sizes = ["*" if size is None else str(size) for size in shape]
    if shape and shape[0] is None:
        sizes[0] = "N"
    return f"({', '.join(sizes)})"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """A table on stdout; the columns in `numbers` are right-aligned."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    show(table)


def show(table: Any) -> None:
    """A rich table on stdout, wide where no terminal limits it."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def note(text: str) -> None:
    """A message, which is no result: on stderr."""
    click.echo(printable(text), err=True)
