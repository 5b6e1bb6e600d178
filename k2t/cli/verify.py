"""`k2t verify` and `k2t record`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from k2t.cli.code import ARGUMENTS, INPUT_SHAPES
from k2t.cli.terminal import show
from k2t.errors import K2TError

WEIGHTS = click.option("--weights", help="The file of the weights, where SOURCE is an architecture alone.")
RUN_SOURCE = click.option("--run-source", is_flag=True, help="Run code that SOURCE holds, to have a reference.")


@click.command()
@click.argument("net", type=click.Path(path_type=Path))
@click.argument("source")
@WEIGHTS
@click.option("--device", default="cpu", show_default=True, help="Where the module runs, such as cuda.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), help="Compare in this one only.  [default: both]")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@ARGUMENTS
@INPUT_SHAPES
@RUN_SOURCE
def verify(net: Path, source: str, report: Path | None, as_json: bool, **options: Any) -> int:
    """Compare a generated file with Keras.

    Runs both on the same random inputs and compares every output and layer. SOURCE is what NET was made from, or a
    file of `k2t record`. Exits with 1 if they differ.
    """
    from k2t.verify import report as write_report
    from k2t.verify import table
    from k2t.verify import verify as run

    parity = run(net, source, **options)
    if report:
        write_report(parity, report)
    if as_json:
        click.echo(parity.to_json())
    else:
        show(table(parity))
    return 0 if parity.ok else 1


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="reference.safetensors",
    show_default=True,
    help="The file to write.",
)
@WEIGHTS
@ARGUMENTS
@INPUT_SHAPES
@RUN_SOURCE
def record(source: str, output: Path, **options: Any) -> None:
    """Store what Keras computes, to verify elsewhere.

    Stores random inputs and all that Keras computes from them, for machines without TensorFlow:
    `k2t verify net.py reference.safetensors` takes the file in SOURCE's place.
    """
    from k2t.verify import record as run

    if not output.parent.is_dir():
        raise K2TError(f"{output}: there is no folder {output.parent}; make it first")
    run(source, output, **options)
    click.echo(f"{output}: inputs and reference of {source}")
