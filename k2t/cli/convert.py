"""`k2t convert`."""

from __future__ import annotations

import json
import keyword
import re
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from k2t.check import read_generated
from k2t.cli.code import ARGUMENTS, INPUT_SHAPES
from k2t.cli.terminal import note, printable, shape_text
from k2t.errors import K2TError, UnsupportedError
from k2t.sources import code_parts, written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k2t.graph import Shape
    from k2t.pipeline import Result, Submit, Tensor
    from k2t.verify import Parity

SLOW_WRITE = 100_000_000  # bytes that take about a second


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; the weights go beside it.  [default: SOURCE's name with .py, of code with _torch.py, in "
    "the current folder]",
)
@click.option("--class-name", help="Name of the class.  [default: the model's name]")
@click.option("--weights", help="The file of the weights, where SOURCE is an architecture alone.")
@click.option(
    "--custom",
    metavar="FILE",
    help="Python source of custom layers, which is parsed and not run; or, if it imports k2t, rules for them.",
)
@click.option(
    "--layout",
    type=click.Choice(["torch", "keras"]),
    default="torch",
    show_default=True,
    help="Order of the axes at inputs and outputs; torch is channels first.",
)
@click.option("--flat", is_flag=True, help="One class with every layer, instead of classes for what repeats.")
@click.option("--fold-bn", is_flag=True, help="Fold batch normalization into the layers around it; for inference only.")
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Compare with Keras afterwards.  [default: if torch, TensorFlow and Keras are installed]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@ARGUMENTS
@INPUT_SHAPES
@click.option(
    "--partial",
    is_flag=True,
    help="Keras code: leave layers without a translation to be written by hand, marked in the output, and exit with 0.",
)
@click.option(
    "--keep/--no-keep",
    default=True,
    show_default=True,
    help="Keras code: keep the functions, classes and constants of the file that do not concern Keras, as they are.",
)
@click.pass_obj
def convert(
    submit: Submit, /, source: str, output: Path | None, verify: bool | None, as_json: bool, **options: Any
) -> int:
    """Convert a Keras model to PyTorch source code.

    Writes a module and, beside it, its weights as safetensors. SOURCE is a .h5 or .keras file, a SavedModel folder of
    tf.keras, an architecture's .json with --weights, or Keras code, which is parsed and not run: model.py,
    model.py:builder, notebook.ipynb. Code without --weights gives a module without weights. Exits with 1 if the module
    does not compute what Keras computes; the files are kept then.
    """
    output = checked(output, source) if output else default_output(source)
    if verify:
        require_reference()
    submit(prepare)
    from k2t.pipeline import convert as run

    try:
        result = run(source, output=output, submit=submit, **options)
    except UnsupportedError as error:
        raise K2TError(f"{source}: {error}") from error
    weights = write(result, output)
    parity = compare(output, source, verify, **options)
    if as_json:
        click.echo(as_object(result, source, output, weights, parity))
    else:
        show(result, output, weights, parity)
    for problem in result.calls.left_out:
        note(f"not translated: {problem}")
    if result.calls.total:
        note(f"translated {result.calls.translated} of {result.calls.total} layer calls")
    return 0 if parity is None or parity.ok else 1


def prepare() -> None:
    """Import what writes code: LibCST takes a fifth of a second."""
    import k2t.emit.file
    import k2t.emit.model
    import k2t.recover  # noqa: F401


def default_output(source: str) -> Path:
    """The name that `import` takes, in the current folder; never a file that somebody wrote or edited."""
    code = code_parts(source)
    stem = f"{Path(code[0]).stem}_torch" if code else Path(source).stem
    stem = re.sub(r"\W", "_", stem, flags=re.ASCII)
    if not stem.isidentifier() or keyword.iskeyword(stem):
        stem = f"net_{stem}"
    output = checked(Path(f"{stem}.py"), source)
    if output.exists():
        generated = read_generated(output)
        if generated is None or generated.edited:
            raise K2TError(f"{output}: exists and is not as k2t wrote it; name the file to write with -o")
    return output


def checked(output: Path, source: str) -> Path:
    """The output, if it can be one."""
    if output.suffix != ".py":
        raise K2TError(f"{output}: the output is a Python file and its name must end in .py")
    if not output.parent.is_dir():
        raise K2TError(f"{output}: there is no folder {output.parent}; make it first")
    code = code_parts(source)
    if output.resolve() == Path(code[0] if code else source).resolve():
        raise K2TError(f"{output}: is the source itself; name another file with -o")
    return output


def write(result: Result, output: Path) -> Path | None:
    """Write the files, with a progress bar where that takes long and somebody looks."""
    total = sum(tensor.size for tensor in result.tensors)
    if total < SLOW_WRITE or not sys.stderr.isatty():
        return result.write(output)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("writing weights"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        return result.write(output, lambda size: bar.advance(task, size))


def require_reference() -> None:
    """Say what a verification needs."""
    missing = [name for name in ("torch", "tensorflow") if find_spec(name) is None]
    if not (find_spec("keras") or find_spec("tf_keras")):
        missing.append("keras")
    if missing:
        raise K2TError(f'{", ".join(missing)}: not installed; run `pip install "k2t[verify]"`')


def compare(
    output: Path,
    source: str,
    verify: bool | None,
    *,
    weights: str | None,
    arguments: Mapping[str, Any],
    input_shapes: Sequence[Shape],
    partial: bool,
    **options: Any,
) -> Parity | None:
    """The parity, None where it was not asked for or there is no reference and nobody insists."""
    if verify is False or partial:
        return None
    if code_parts(source):
        command = " ".join(["k2t verify", str(output), source, "--run-source", *written(arguments, input_shapes)])
        note(f"not verified: that would run {source}; if you trust it, `{command}`")
        return None
    try:
        require_reference()
        from k2t.verify import verify as run

        return run(output, source, weights=weights)
    except K2TError as error:
        if verify:
            raise
        note(f"not verified: {error}")
        return None


def as_object(result: Result, source: str, output: Path, weights: Path | None, parity: Parity | None) -> str:
    """What `--json` prints."""
    return json.dumps(
        {
            "source": source,
            "output": str(output),
            "weights": str(weights) if weights else None,
            "class_name": result.class_name,
            "keras_version": result.keras_version,
            "backend": result.backend,
            "inputs": [asdict(tensor) for tensor in result.inputs],
            "outputs": [asdict(tensor) for tensor in result.outputs],
            "layers": result.layers,
            "parameters": result.parameters,
            "parity": json.loads(parity.to_json()) if parity else None,
        }
    )


def show(result: Result, output: Path, weights: Path | None, parity: Parity | None) -> None:
    """The result for people."""
    origin = f"Keras {result.keras_version or 'of unknown version'}"
    lines = [
        f"{output}: {result.class_name}, {result.layers} layers, {result.parameters:,} parameters, from {origin}",
        *([f"{weights}: its {'weights' if result.file == 'all' else 'constants'}"] if weights else []),
        *([] if result.file == "all" else ["no weights: the code has none; name a file of them with --weights"]),
        *(f"  input   {line(tensor)}" for tensor in result.inputs),
        *(f"  output  {line(tensor)}" for tensor in result.outputs),
    ]
    click.echo(printable("\n".join(lines)))
    if parity is None:
        return
    from k2t.verify.report import summary

    click.echo(printable(summary(parity)))
    if not parity.ok:
        note(f"The files are kept; `k2t verify {output} {result.origin}` shows every layer.")


def line(tensor: Tensor) -> str:
    """One input or output: its name, its shape, and how it lies in Keras where that differs."""
    text = f"{tensor.name}  {tensor.dtype} {shape_text(tensor.torch_shape)}"
    return text if tensor.permute is None else f"{text}, in Keras {shape_text(tensor.keras_shape)}"
