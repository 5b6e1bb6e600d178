"""`k2t layers`."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import NamedTuple

import click

from k2t.cli.terminal import print_table

COLUMNS = ("Keras layer", "in PyTorch", "older names")


class Row(NamedTuple):
    """A Keras layer that k2t knows.

    Attributes:
        becomes: what it is in PyTorch; None for a layer without a translation.
        refused: why it has none.
        older: its names in earlier generations: `Keras 1` -> names.
    """

    layer: str
    becomes: str | None
    refused: str | None
    older: dict[str, list[str]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--markdown", is_flag=True, help="Print a table in Markdown.")
def layers(as_json: bool, markdown: bool) -> None:
    """List every Keras layer that k2t knows, and what it becomes."""
    rows = known_layers()
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows]))
    elif markdown:
        click.echo(as_markdown(rows))
    else:
        print_table(COLUMNS, map(cells, rows))


def known_layers() -> list[Row]:
    """A row for each rule and each refusal, by name."""
    import k2t.rules  # noqa: F401 - registers the rules
    from k2t.rules.base import REFUSED, RULES

    older = older_names()
    known = [Row(kind, rule.summary, None, older.get(kind, {})) for kind, rule in RULES.items()]
    refused = [Row(kind, None, reason, older.get(kind, {})) for kind, reason in REFUSED.items()]
    return sorted(known + refused)


def older_names() -> dict[str, dict[str, list[str]]]:
    """Today's name -> generation -> the names that it had."""
    from k2t.read.eras import keras1, keras2

    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    modes = {f"Merge(mode={mode!r})": kind for mode, kind in keras1.MERGES.items()}
    for generation, names in (("Keras 1", keras1.KINDS | modes), ("Keras 2", keras2.KINDS)):
        for name, kind in names.items():
            found[kind][generation].append(name)
    return {kind: dict(generations) for kind, generations in found.items()}


def cells(row: Row) -> tuple[str, str, str]:
    """The text of a row, in the order of `COLUMNS`."""
    older = "; ".join(f"{generation}: {', '.join(names)}" for generation, names in row.older.items())
    return row.layer, row.becomes or f"refused: {row.refused}", older


def as_markdown(rows: list[Row]) -> str:
    """The table for README.md."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
