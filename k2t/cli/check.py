"""`k2t check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from k2t.check import check_generated, python_files
from k2t.cli.terminal import printable

MODELS = (".h5", ".hdf5", ".keras")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
def check(files: tuple[Path, ...]) -> int:
    """Check that generated files are up to date.

    They must be as k2t would write them now: made from the source as it is, unedited, and with their weights.
    FILES are generated files, folders of them, or models, of which it checks that they convert. Python files that
    k2t did not write are passed over. Without FILES, checks everything below the current folder that Git does not
    ignore. Exits with 1 if something is wrong.
    """
    found = [line for path in expand(files or (Path(),)) for line in problems(path)]
    for line in found:
        click.echo(printable(line))
    return 1 if found else 0


def expand(files: tuple[Path, ...]) -> Iterator[Path]:
    """Each file, and those below each folder."""
    for path in files:
        if path.is_dir():
            yield from python_files(path)
        else:
            yield path


def problems(path: Path) -> Iterator[str]:
    """One line for each thing that is wrong with a file."""
    if path.suffix in MODELS:
        yield from check_model(path)
    else:
        yield from check_generated(path)


def check_model(path: Path) -> Iterator[str]:
    """Why a model does not convert."""
    from k2t.errors import K2TError, UnsupportedError
    from k2t.read import read
    from k2t.rules.translate import translate

    try:
        translate(read(path).graph)
    except UnsupportedError as error:
        yield from (f"{path}: {problem}" for problem in error.problems)
    except K2TError as error:
        yield str(error)
