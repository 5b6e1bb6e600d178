"""A structured translation in place of the evaluated one: the same layers and borders, bound to the weights."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k2t.code.entry import chosen
from k2t.code.modules import parse
from k2t.graph import Graph, Source, refs
from k2t.program import Block, values
from k2t.rules.translate import translate
from k2t.structured.frames import NotStructured
from k2t.structured.pairs import adopt, ends
from k2t.structured.translate import Structured, structured
from k2t.symbols import number


def from_code(path: Path, entry: str, source: Source, arguments: Mapping[str, Any], name: str | None) -> Structured:
    """The structured translation of code that has been evaluated.

    Args:
        source: the evaluated model.
        arguments: of the builder, and values of names that the code leaves open.
        name: the class name that the user wants.

    Raises:
        NotStructured: there is none, or it computes something else than the evaluated model.
    """
    result = structured(path, entry or chosen(path, parse(path)), arguments, source.graph.inputs, name)
    adopt(result.ends, ends(translate(source.graph, has_weights=source.has_weights)))
    describe(result.main, source.graph)
    result.main.name = result.class_name
    return result


def describe(main: Block, graph: Graph) -> None:
    """Name the inputs and outputs as the model does.

    Raises:
        NotStructured: there are others.
    """
    outputs, ends = list(values(main.outputs)), list(refs(graph.outputs))
    if len(main.inputs) != len(graph.inputs) or len(outputs) != len(ends):
        raise NotStructured("other inputs or outputs than the evaluated model")
    main.input_names = [item.name for item in graph.inputs]
    for value, end in zip(outputs, ends, strict=True):
        value.layer = end.call.partition("#")[0]
    for value in {*main.inputs, *outputs}:
        value.shape = tuple(map(number, value.shape))


def reason(error: NotStructured, path: Path) -> str:
    """Why code is evaluated instead, and where that was seen, if the file has it so."""
    said = str(error).splitlines()[0].partition(", line ")[0]
    if error.node is None or not (line := getattr(error.node, "lineno", 0)):
        return said
    text = ast.unparse(error.node).splitlines()[0][:60]
    here = path.read_text("utf-8", errors="replace").splitlines()[line - 1 : line]
    return f"{said}, line {line}: {text}" if here and text.partition("(")[0] in here[0] else said
