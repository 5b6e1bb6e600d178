"""The command line. Each command imports what it needs when it runs, so that all of them start fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from k2t import __version__
from k2t.cli.check import check
from k2t.cli.convert import convert
from k2t.cli.inspect import inspect
from k2t.cli.layers import layers
from k2t.cli.terminal import printable
from k2t.cli.verify import record, verify
from k2t.errors import K2TError

if TYPE_CHECKING:
    from k2t.pipeline import Submit

__all__ = ["main"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@click.group(
    commands=[convert, verify, record, inspect, check, layers],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def k2t() -> None:
    """Move a Keras model to PyTorch, as source code, with proof."""


def main(arguments: Sequence[str] | None = None, submit: Submit = partial) -> int:
    """Run the command line; returns 0 (done), 1 (a check or parity failed) or 2 (bad input or a wrong call).

    Args:
        submit: begins a call, perhaps in another process, and returns a function that waits for its result.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code: Any = k2t.main(arguments, prog_name="k2t", standalone_mode=False, obj=submit)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the reader of the output, such as `head`, has enough; then click exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except click.UsageError as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        click.echo(f"Error: {printable(message(error))}", err=True)
        return 2
    return code if isinstance(code, int) else 0


def message(error: Exception) -> str:
    """What to tell the user about an error."""
    if isinstance(error, K2TError):
        return str(error)
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})" if trace else ""
    return f"this is a bug of k2t, please report it: {type(error).__name__}: {error}{place}"
