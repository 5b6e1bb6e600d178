"""`k2t inspect`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import click

from k2t.cli.code import ARGUMENTS, INPUT_SHAPES
from k2t.cli.terminal import print_table, printable, shape_text

if TYPE_CHECKING:
    from k2t.errors import Problem
    from k2t.graph import Layer, Source
    from k2t.rules.parts import Parts, Place

COLUMNS = ("layer", "kind", "output shape", "parameters", "converts")


@dataclass(frozen=True)
class Row:
    """One call of a layer.

    Attributes:
        output_shape: of its first output, in Keras's order; None where it is not known.
        parameters: number of values in its weights; 0 for the second call of a layer.
        problem: why it does not convert.
    """

    name: str
    kind: str
    output_shape: list[int | None] | None
    parameters: int
    problem: str | None


@click.command()
@click.argument("source")
@click.option("--weights", help="The file of the weights, where SOURCE is an architecture alone.")
@click.option("--custom", metavar="FILE", help="Python source of custom layers, or rules for them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@ARGUMENTS
@INPUT_SHAPES
def inspect(source: str, custom: str | None, as_json: bool, **options: Any) -> None:
    """Show what is in a model file, or in the model that Keras code builds.

    Its layers, shapes and parameters, and what would not convert and why.
    """
    from k2t.pipeline import source_of
    from k2t.rules.translate import taught

    model = source_of(source, **options)
    with taught(custom):
        rows, problems = examine(model)
    if as_json:
        click.echo(as_object(model, rows, problems))
        return
    keras = f"Keras {model.keras_version or 'of unknown version'}"
    total = sum(row.parameters for row in rows)
    backend = f" on {model.backend}" if model.backend else ""
    title = f"{source}: {model.graph.name}, {keras}{backend}, {len(rows)} layers, {total:,} parameters"
    click.echo(printable(title))
    for declared in model.graph.inputs:
        click.echo(printable(f"  input  {declared.name}  {declared.dtype} {shape_text(declared.shape)}"))
    print_table(COLUMNS, map(cells, rows), numbers=("parameters",))
    lines = [f"does not convert: {problem}" for problem in problems]
    lines += [f"belongs to no layer: {name}" for name in model.surplus]
    click.echo(printable("\n".join(lines or ["Everything in it converts."])))


def examine(model: Source) -> tuple[list[Row], list[Problem]]:
    """A row for each call, and everything that stands in the way of a conversion."""
    from k2t.errors import Problem, ReadError
    from k2t.graph import Ref
    from k2t.program import Value
    from k2t.rules.binding import bind
    from k2t.rules.builder import trace_calls
    from k2t.rules.parts import Parts, settled

    parts: dict[int, Parts] = {}
    inputs = [Value(declared.shape, declared.dtype) for declared in model.graph.inputs]

    def attempt(varying: set[Place]) -> tuple[dict[Ref, Any], list[Problem]]:
        parts.clear()

        def child(layer: Layer, shared: bool) -> Parts:
            return parts.setdefault(id(layer), Parts(layer, shared=shared, varying=varying))

        return trace_calls(model.graph, inputs, [], child)

    known, problems = settled(attempt)
    failed = {problem.layer for problem in problems}
    for own in parts.values() if model.has_weights else ():
        try:
            if own.layer.name not in failed:
                bind(own.variables, own.layer)
        except ReadError as error:
            problems.append(Problem(own.layer.name, own.layer.kind, str(error)))
    reasons = {problem.layer: problem.reason for problem in problems}
    rows, seen = [], set()
    for call in model.graph.calls:
        output = known.get(Ref(call.name))
        layer = call.layer
        size = 0 if id(layer) in seen else count(layer, parts.get(id(layer)))
        seen.add(id(layer))
        shape = list(output.shape) if output else None
        rows.append(Row(call.name, layer.kind, shape, size, reasons.get(layer.name)))
    return rows, problems


def count(layer: Layer, parts: Parts | None) -> int:
    """The values in a layer's weights: those in the file, or those that its rule declares where there are none."""
    if layer.weights is None:
        return sum(prod(variable.shape) for variable in parts.variables) if parts else 0
    if layer.weights.tree is None:
        return sum(prod(array.shape) for array in layer.weights.flat or ())
    arrays = layer.weights.tree.items()
    return sum(prod(array.shape) for key, array in arrays if "seed_generator" not in key.split("/"))


def cells(row: Row) -> tuple[str, ...]:
    """The text of a row, in the order of `COLUMNS`."""
    shape = shape_text(row.output_shape) if row.output_shape else ""
    return row.name, row.kind, shape, f"{row.parameters:,}", "no" if row.problem else "yes"


def as_object(model: Source, rows: list[Row], problems: list[Problem]) -> str:
    """What `--json` prints."""
    return json.dumps(
        {
            "source": model.path,
            "name": model.graph.name,
            "keras_version": model.keras_version,
            "backend": model.backend,
            "inputs": [asdict(declared) for declared in model.graph.inputs],
            "layers": [asdict(row) for row in rows],
            "parameters": sum(row.parameters for row in rows),
            "problems": [asdict(problem) for problem in problems],
            "surplus": list(model.surplus),
        }
    )
