"""The whole route on one page: read → rules → lower → emit."""

from __future__ import annotations

import functools
import json
import math
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2t import __version__ as VERSION
from k2t import hashes
from k2t.emit.draft import Draft
from k2t.emit.header import Header, with_header
from k2t.emit.model import ModelCode, Stored, places_room, write_code
from k2t.emit.weights import Entry, entries, header
from k2t.errors import K2TError
from k2t.graph import Calls, Shape, Source
from k2t.lower import lower
from k2t.program import Block, Value, values
from k2t.read import read
from k2t.rules.translate import translate
from k2t.sources import code_parts, written

if TYPE_CHECKING:
    from k2t.structured.translate import Structured

# Begins a call, and returns a function that waits for its result.
Submit = Callable[..., Callable[[], Any]]

WIDTHS = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model, on both sides.

    Attributes:
        permute: `torch_tensor = keras_tensor.permute(permute)`; None where they agree.
    """

    name: str
    keras_shape: list[int | None]
    torch_shape: list[int | None]
    permute: list[int] | None
    dtype: str


@dataclass
class Result:
    """A converted model.

    Attributes:
        source: the text of net.py.
        class_name: the main class in it.
        inputs, outputs: in Keras's order.
        calls: of code, what became of its calls of layers.
        parameters: number of values in Keras's weights.
        origin: the path of the source.
        file: what the file of weights holds.
        weights_origin: that of the weights, where they are in another file.
    """

    source: str
    class_name: str
    keras_version: str
    backend: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    layers: int
    parameters: int
    origin: str
    tensors: list[Entry] = field(repr=False)
    metadata: dict[str, str] = field(repr=False)
    room: int = field(repr=False)
    file: Stored = "all"
    calls: Calls = field(default_factory=Calls)
    draft: Draft | None = field(default=None, repr=False)
    weights_origin: str = ""

    def write(self, path: str | Path, advance: Callable[[int], object] = lambda size: None) -> Path | None:
        """Write net.py and net.safetensors beside it: both whole, or neither. Returns the path of the weights.

        Code that was converted without weights has no such file, unless it holds long constants.

        Args:
            path: of net.py.
            advance: is told the size of each tensor when it is written, in bytes.
        """
        path = Path(path)
        if self.file == "nothing":
            path.write_text(self.source, "utf-8")
            return None
        if self.draft is None or self.draft.path != path:
            self.draft = Draft(path, self.tensors, self.room)
        draft, self.draft = self.draft, None
        metadata = self.metadata | {"k2t.source": relative(Path(self.origin), path.parent)}
        if self.weights_origin:
            metadata["k2t.weights_source"] = relative(Path(self.weights_origin), path.parent)
        return draft.finish(self.source, self.tensors, metadata, advance)


def convert(
    source: Any,
    *,
    weights: str | Path | None = None,
    class_name: str | None = None,
    layout: str = "torch",
    custom: str | Path | None = None,
    output: str | Path | None = None,
    fold_bn: bool = False,
    flat: bool = False,
    arguments: Mapping[str, Any] | None = None,
    input_shapes: Sequence[Shape] = (),
    partial: bool = False,
    keep: bool = True,
    submit: Submit = functools.partial,
) -> Result:
    """Convert a Keras model, saved or in memory, or Keras code.

    Args:
        source: the path of a file or folder, `model.py:builder` for code, or a live model of keras or tf_keras.
        weights: the file of the weights, where `source` holds the architecture alone.
        class_name: name of the emitted class; the model's own by default.
        layout: `torch` or `keras`, the order of axes at the inputs and outputs.
        custom: a file with the Python source of custom layers and functions, which is parsed and never run; or with
            rules for them, made with `k2t.rule`: a file that imports k2t is imported.
        output: where the result will be written; then the weights are on their way while the code is emitted.
        fold_bn: fold batch normalization into the layers around it, for inference only; what is folded is kept in
            float64 in the file, and loaded in the model's dtype.
        flat: one class with every layer, instead of classes for what repeats.
        arguments: of Keras code: those of the builder, and values for names that the code takes from elsewhere.
        input_shapes: of Keras code that does not say them, batch included.
        partial: of Keras code, layers without a translation are left to be written by hand; `calls` names them.
        keep: of Keras code, what else the file defines and does not concern Keras follows as it is.
        submit: begins a call, perhaps in another process, and returns a function that waits for its result.

    Raises:
        ReadError: the file cannot be read.
        UnsupportedError: it holds layers without a translation.
    """
    model = source_of(source, weights, arguments, input_shapes, partial=partial)
    sha256, weights_sha256 = submit(model.sha256), submit(hashes.sha256, weights) if weights else str
    usual = layout == "torch" and not (flat or fold_bn or custom or model.calls.left_out)
    form, why = structure(source, model, arguments or {}, class_name) if usual else (None, "")
    main, blocks = (form.main, []) if form else lowered(model, custom, layout, class_name, fold_bn)
    tensors = list(entries(main))
    stored = [model.has_weights or tensor.is_constant for tensor in tensors]
    file: Stored = "all" if model.has_weights else "constants" if any(stored) else "nothing"
    room = len(header(tensors, metadata(main, tensors))) + places_room(main) // 8 * 8
    draft = Draft(Path(output), [*compress(tensors, stored)], room) if output is not None and any(stored) else None
    call = functools.partial(write_code, blocks, model_dtype(model, tensors), file=file, flat=flat)
    code = structured_code(form, tensors, model.has_weights) if form else submit(call)()
    tensors = named(main, tensors, code)
    switches = {"--fold-bn": fold_bn, "--flat": flat, "--partial": partial, "--no-keep": not keep}
    options = command_line(options_of(weights, class_name, layout, custom, switches), arguments, input_shapes)
    head = Header(origin(model.path, output), sha256(), model.keras_version, VERSION, options, why, weights_sha256())
    return Result(
        source=with_header(main.name, with_kept(source, code.body, keep), head),
        class_name=main.name,
        keras_version=model.keras_version,
        backend=model.backend,
        inputs=inputs_of(main),
        outputs=outputs_of(main),
        layers=len([*model.graph.layers()]),
        parameters=parameters(tensors),
        origin=model.path,
        tensors=[*compress(tensors, stored)],
        metadata=metadata(main, tensors) | code.metadata | shas(head),
        room=room,
        file=file,
        calls=model.calls,
        draft=draft,
        weights_origin=str(weights or ""),
    )


def named(main: Block, tensors: list[Entry], code: ModelCode) -> list[Entry]:
    """Name the program and its entries as the code does."""
    main.name = code.name
    return [replace(tensor, key=key) for tensor, key in zip(tensors, code.keys, strict=True)]


def with_kept(source: Any, body: str, keep: bool) -> str:
    """The emitted code; behind it, of a script, what else it defines and does not concern Keras."""
    if not keep or not code_parts(source):
        return body
    from k2t.code.around import around
    from k2t.emit.file import with_rest

    imports, kept = around(str(source), body)
    return with_rest(body, imports, kept) if kept else body


def lowered(
    model: Source, custom: str | Path | None, layout: str, name: str | None, fold_bn: bool
) -> tuple[Block, list[Block]]:
    """The program of a model, and the classes that are to be written; the arguments are those of `convert`."""
    main = translate(model.graph, custom, model.code, has_weights=model.has_weights)
    return main, lower(main, layout=layout, name=name, fold_bn=fold_bn)


def options_of(
    weights: str | Path | None,
    class_name: str | None,
    layout: str,
    custom: str | Path | None,
    switches: Mapping[str, bool],
) -> dict[str, str | None]:
    """The options of a conversion that are not the usual ones; files by name."""
    return {
        "--weights": shlex.quote(Path(weights).name) if weights else None,
        "--class-name": class_name,
        "--layout": layout if layout != "torch" else None,
        "--custom": Path(custom).name if custom else None,
        **{name: "" for name, on in switches.items() if on},
    }


def command_line(
    options: Mapping[str, str | None], arguments: Mapping[str, Any] | None, shapes: Sequence[Shape]
) -> str:
    """The options of a conversion as a shell takes them."""
    given = [f"{key} {value}".strip() for key, value in options.items() if value is not None]
    return " ".join([*given, *written(arguments or {}, shapes)])


def origin(path: str, output: str | Path | None) -> str:
    """The name of a source for people; of code with its folder, since no file of weights says where it is."""
    code = code_parts(path)
    if not code or output is None:
        return Path(path).name
    file, entry = code
    return ":".join(filter(None, [relative(Path(file), Path(output).parent), entry]))


def structure(
    source: Any, model: Source, arguments: Mapping[str, Any], class_name: str | None
) -> tuple[Structured | None, str]:
    """For Keras code, its structured translation; or none, and why."""
    code = code_parts(source)
    if code is None:
        return None, ""
    from k2t.structured.convert import from_code, reason
    from k2t.structured.frames import NotStructured

    try:
        return from_code(Path(code[0]), code[1], model, arguments, class_name), ""
    except NotStructured as error:
        return None, reason(error, Path(code[0]))


def shas(head: Header) -> dict[str, str]:
    """What a file of weights says of its origin."""
    found = {"k2t.source_sha256": head.sha256, "k2t.weights_sha256": head.weights_sha256}
    return {key: sha256 for key, sha256 in found.items() if sha256}


def structured_code(form: Structured, tensors: list[Entry], has_weights: bool) -> ModelCode:
    """The code of a structured translation."""
    keys = tuple(tensor.key for tensor in tensors)
    return ModelCode(form.body(has_weights), form.main.name, keys, {"k2t.arguments": json.dumps(form.arguments)})


def source_of(
    source: str | Path,
    weights: str | Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    input_shapes: Sequence[Shape] = (),
    *,
    partial: bool = False,
) -> Source:
    """A model as data, from a file or from code; the arguments are those of `convert`."""
    if not code_parts(source):
        if arguments or input_shapes or partial:
            raise K2TError(f"{source}: is no Keras code; --arg and --input-shape are for Keras code, as is --partial")
        return read(source, weights=weights)
    from k2t.code import read_code

    return read_code(str(source), arguments, input_shapes, weights, partial=partial)


def parameters(tensors: list[Entry]) -> int:
    """Number of values in the variables of Keras that a state dict is made of."""
    variables = {id(variable): variable for item in tensors for variable in item.weight.variables}
    return sum(math.prod(variable.shape) for variable in variables.values())


def model_dtype(model: Source, tensors: list[Entry]) -> str:
    """The widest dtype of the model's layers and of their variables, those of wrapped layers included."""
    found = {layer.dtype for layer in model.graph.layers()}
    found |= {variable.dtype for item in tensors for variable in item.weight.variables}
    return max((dtype for dtype in found if dtype in WIDTHS), key=WIDTHS.index, default="float32")


def metadata(main: Block, tensors: list[Entry]) -> dict[str, str]:
    """What verification needs to know and does not depend on the code."""
    names = {item.key: [variable.keras_name for variable in item.weight.variables] for item in tensors}
    return {
        "k2t.version": VERSION,
        "k2t.class": main.name,
        "k2t.inputs": json.dumps([vars(item) for item in inputs_of(main)]),
        "k2t.outputs": json.dumps([vars(item) for item in outputs_of(main)]),
        "k2t.weights": json.dumps(names),
    }


def inputs_of(main: Block) -> list[Tensor]:
    """The inputs, by name."""
    return [tensor(main, name, value) for name, value in zip(main.input_names, main.inputs, strict=True)]


def outputs_of(main: Block) -> list[Tensor]:
    """The outputs, named after the layers that make them."""
    return [tensor(main, value.layer, value) for value in values(main.outputs)]


def relative(path: Path, folder: Path) -> str:
    """Where `k2t check` finds the source: relative to the generated file; its name alone if they share no folder."""
    places = path.resolve(), folder.resolve()
    if places[0].anchor != places[1].anchor or places[0].parts[:2] != places[1].parts[:2]:
        return path.name
    return Path(os.path.relpath(*places)).as_posix()


def tensor(block: Block, name: str, value: Value) -> Tensor:
    """A tensor at the border."""
    order = block.order(value)
    torch_shape = [value.shape[axis] for axis in order or range(value.rank)]
    return Tensor(name, list(value.shape), torch_shape, order, value.dtype)
