"""Options of Keras code, which several commands take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from k2t.errors import K2TError
from k2t.sources import value

if TYPE_CHECKING:
    from k2t.graph import Shape

NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def arguments(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """`--arg depth=3` as {"depth": 3}."""
    found = {}
    for text in given:
        name, equals, written = text.partition("=")
        if not (equals and NAME.fullmatch(name)):
            raise K2TError(f"--arg {text}: must be NAME=VALUE, such as depth=3")
        found[name] = value(written)
    return found


def shapes(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[Shape]:
    """`--input-shape '(None, 128)'` as [(None, 128)]."""
    found = []
    for text in given:
        shape = value(text)
        if not (
            isinstance(shape, tuple | list) and all(size is None or (type(size) is int and size > 0) for size in shape)
        ):
            raise K2TError(f"--input-shape {text}: must be a shape, batch first, such as (None, 28, 28, 1)")
        found.append(tuple(shape))
    return found


ARGUMENTS = click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    callback=arguments,
    help="Keras code: an argument of the builder, or the value of a name that the code takes from elsewhere.",
)
INPUT_SHAPES = click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    metavar="SHAPE",
    callback=shapes,
    help="Keras code: shape of an input, batch first, where the code does not say it; once for each input.",
)
