"""The result for people: a table in the terminal, a page of HTML."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from k2t.verify.parity import Parity, Row

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("layer", "kind", "shape", "float64", "float32", "Keras's float32", "")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% } td, th { padding: .2rem .8rem; text-align: left }
td:nth-child(n+4), th:nth-child(n+4) { text-align: right; font-variant-numeric: tabular-nums }
tr { border-bottom: 1px solid #d8dee4 } .fails { color: #b3261e } .first { background: #fdecea; font-weight: 600 }
.ok { color: #1a7f37 } @media (prefers-color-scheme: dark) {
body { background: #101418; color: #e6e9ec } tr { border-color: #30363d } .first { background: #43201d } }
"""


def table(parity: Parity, *, layers: bool = True) -> Table:
    """A rich table: the layers in the module's order, then the outputs; the first that diverges is highlighted."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=summary(parity), title_style="bold green" if parity.ok else "bold red", title_justify="left")
    count = len(COLUMNS) - all(row.ok for row in (*parity.layers, *parity.outputs))  # no verdicts: no column
    for index, column in enumerate(COLUMNS[:count]):
        made.add_column(column, justify="right" if index in (3, 4, 5) else "left", overflow="fold", no_wrap=index > 1)
    for row in parity.layers if layers else ():
        first = row.name == parity.first_diverging
        made.add_row(
            *map(Text, cells(row, first)[:count]), style="" if row.ok else "bold white on red" if first else "red"
        )
    if layers and parity.layers:
        made.add_section()
    for row in parity.outputs:
        made.add_row(*map(Text, cells(row)[:count]), style="green" if row.ok else "red")
    return made


def report(parity: Parity, path: str | Path) -> None:
    """Write the result as one HTML file that needs no other."""
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    rows = [_html(row, row.name == parity.first_diverging) for row in parity.layers]
    rows += [_html(row) for row in parity.outputs]
    verdict = "ok" if parity.ok else "fails"
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(parity.net)}</title>\n'
        f"<style>{STYLE}</style></head><body>\n<h1>{escape(parity.net)}</h1>\n"
        f'<p class="{verdict}">{escape(summary(parity))}</p>\n'
        "<p>Errors are the largest absolute difference over the largest value of the reference. "
        f"Reference: {escape(parity.reference)} on {escape(parity.source)}; module on {escape(parity.device)}.</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{''.join(rows)}</tbody></table>\n</body></html>\n"
    )
    Path(path).write_text(page, "utf-8")


def summary(parity: Parity) -> str:
    """One line: the verdict, the largest error, where it begins."""
    inside = f"{len(parity.layers)} layers compared" if parity.layers else "none of the layers inside compared"
    facts = f"largest output error {parity.max_error:.1e}, {inside}, {parity.reference}"
    if parity.ok:
        return f"agrees with the reference: {facts}"
    where = f"; the first layer that diverges is {parity.first_diverging}" if parity.first_diverging else ""
    return f"does not agree with the reference: {facts}{where}"


def cells(row: Row, first: bool = False) -> tuple[str, ...]:
    """The text of a row, in the order of `COLUMNS`."""
    verdict = row.problem or ("" if row.ok else "first to diverge" if first else "diverges")
    shape = str(row.shape)
    errors = ("" if error is None else f"{error:.1e}" for error in (row.float64, row.float32, row.keras_float32))
    return (row.name, row.kind, shape, *errors, verdict)


def _html(row: Row, first: bool = False) -> str:
    style = " first" if first else ""
    style = f' class="fails{style}"' if not row.ok else ""
    return f"<tr{style}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(row, first))}</tr>\n"
