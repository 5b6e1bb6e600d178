"""`k2t layers`."""

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import click

from k2t.cli.terminal import print_table

RELEASES = ("Keras 1.2", "Keras 2.2", "Keras 2.15", "Keras 3.15")
COLUMNS = ("Keras", "in PyTorch", *RELEASES)
# What files have as layers and no rule translates.
OTHERS = {
    "ConvLSTM2DCell": "A part of ConvRNN2D, which becomes the loop that ConvLSTM2D becomes.",
    "InputLayer": "An argument of `forward`.",
}
USUAL = "The function of PyTorch that computes the same, or a few of them."


class Row(NamedTuple):
    """A layer or a function of Keras.

    Attributes:
        type: "layer", or "operation" for a function of keras.ops.
        becomes: what it is in PyTorch; None for what has no translation.
        refused: why it has none, and the way out.
        generations: release -> its names there.
    """

    name: str
    type: str
    becomes: str | None
    refused: str | None
    generations: dict[str, list[str]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--markdown", is_flag=True, help="Print a table of the layers in Markdown.")
def layers(as_json: bool, markdown: bool) -> None:
    """List every layer and operation of Keras, and what it becomes."""
    rows = known_layers()
    if markdown:
        click.echo(as_markdown(rows))
        return
    rows += known_operations()
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows]))
    else:
        print_table(COLUMNS, map(cells, rows))


def known_layers() -> list[Row]:
    """A row for each rule and each refusal, by name."""
    import k2t.rules  # noqa: F401 - registers the rules
    from k2t.rules.base import REFUSED, RULES

    names = names_by_layer()
    known = [(kind, rule.summary, None) for kind, rule in RULES.items()]
    known += [(kind, text, None) for kind, text in OTHERS.items()]
    refused = [(kind, None, reason) for kind, reason in REFUSED.items()]
    rows = [Row(kind, "layer", text, reason, names.get(kind, {})) for kind, text, reason in [*known, *refused]]
    return sorted(rows)


def known_operations() -> list[Row]:
    """A row for each function of keras.ops, by name."""
    from k2t.read.eras.exported import OPERATIONS as EXPORTED
    from k2t.rules import operations  # noqa: F401 - registers them
    from k2t.rules.activations import ACTIVATIONS
    from k2t.rules.operations.base import OPERATIONS, REFUSED_OPERATIONS

    rows = []
    for name in EXPORTED:
        last = name.rpartition(".")[2]
        refused = REFUSED_OPERATIONS.get(last)
        translation = OPERATIONS.get(last) or ACTIVATIONS.get(last)
        if refused or translation:
            text = None if refused else (inspect.getdoc(translation) or USUAL).partition("\n")[0]
            rows.append(Row(name, "operation", text, refused, {RELEASES[-1]: [f"keras.ops.{name}"]}))
    return rows


def names_by_layer() -> dict[str, dict[str, list[str]]]:
    """Today's name -> release -> the names that it had there."""
    from k2t.read.eras import keras1

    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for release, name, kind in exported_layers():
        found[kind][release].append(name)
    for mode, kind in keras1.MERGES.items():
        found[kind][RELEASES[0]].append(f"Merge(mode={mode!r})")
    return {kind: dict(releases) for kind, releases in found.items()}


def exported_layers() -> Iterator[tuple[str, str, str]]:
    """(release, name there, today's name) of each layer that a release exports."""
    from k2t.read.eras import keras1, keras2
    from k2t.read.eras.exported import EXPORTED

    for release in RELEASES:
        for name in EXPORTED[release]:
            kind = keras1.KINDS.get(name, name) if release == RELEASES[0] else name
            yield release, name, keras2.KINDS.get(kind, kind) if release != RELEASES[-1] else kind


def cells(row: Row) -> tuple[str, ...]:
    """The text of a row, in the order of `COLUMNS`."""
    names = [", ".join(row.generations.get(release, [])) for release in RELEASES]
    return row.name, row.becomes or f"refused: {row.refused}", *("yes" if n == row.name else n for n in names)


def as_markdown(rows: list[Row]) -> str:
    """The table for README.md."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
