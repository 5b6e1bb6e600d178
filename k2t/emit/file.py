"""The emitted file below its header: imports, helpers, classes, `load`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import libcst as cst

from k2t.emit.classes import Place, write_class
from k2t.emit.copied import copied, index
from k2t.emit.forward import input_arguments
from k2t.emit.initial import init_weights
from k2t.emit.model import Stored
from k2t.emit.trim import trimmed
from k2t.errors import K2TError
from k2t.lower.names import is_automatic
from k2t.program import Block, Code, Module, Op, Value, leaves, values

LINE_LENGTH = 100

LOAD = '''
WEIGHTS = Path(__file__).with_suffix(".safetensors")


def load(weights: str | Path = WEIGHTS, device: str = "cpu") -> {name}:
    """The model with its {what}."""
    model = {name}()
    load_model(model, weights{strict})
    return model.to(device){mode}
'''
LOADED = {"what": "converted weights, in eval mode", "strict": "", "mode": ".eval()"}
CONSTANTS = {"what": "constants; what is trained starts anew", "strict": ", strict=False", "mode": ""}


@dataclass(frozen=True)
class Emitted:
    """The text of a file below its header, and where each Keras call is in it: class -> places."""

    body: str
    places: dict[str, tuple[Place, ...]]


def write_body(blocks: Sequence[Block], dtype: str = "float32", *, file: Stored = "all") -> Emitted:
    """The formatted text for these classes, the main one last.

    Args:
        file: what the file of weights holds.

    Raises:
        K2TError: the formatter refused the text, which is a bug of k2t.
    """
    main = blocks[-1]
    start = init_weights(blocks)
    finish = ["self.apply(init_weights)"] * bool(start) + [f"self.to(torch.{dtype})"] * (dtype != "float32")
    written = [write_class(block, summary(block), finish if block is main else ()) for block in blocks]
    classes = cst.Module([item.node for item in written]).code
    helpers = copied(helper_targets(blocks) | ({"variance_scaling_"} & set(re.findall(r"\w+", start))))
    helpers = trimmed(helpers, f"{classes}\n\n{start}")
    body = "\n\n\n".join(filter(None, [*helpers, classes, start, loading(main.name, file)]))
    places = {block.name: item.places for block, item in zip(blocks, written, strict=True)}
    return Emitted(format_code(f"{imports(body)}\n\n{body}"), places)


def loading(name: str, file: Stored) -> str:
    """`load` for the class of this name."""
    return "" if file == "nothing" else LOAD.format(name=name, **(LOADED if file == "all" else CONSTANTS))


def summary(block: Block) -> str:
    """The docstring of a class: shapes of its inputs and outputs, as PyTorch sees them."""
    if block.summary:
        return block.summary
    shapes = [shape_text(block, value) for value in block.inputs]
    if len(shapes) > 1:
        shapes = [f"{name} {shape}" for name, shape in zip(input_arguments(block), shapes, strict=True)]
    results = [shape_text(block, value) for value in values(block.outputs)]
    if len(results) > 1:
        results = [f"{name} {shape}".strip() for name, shape in zip(output_labels(block), results, strict=True)]
    line = f"{', '.join(shapes)} -> {', '.join(results)}."
    if len(line) + len('    """"""') <= LINE_LENGTH:
        return line
    parts = {"Inputs": shapes, "Outputs": results}
    counts = [f"{len(items)} {title.lower().rstrip('s' if len(items) == 1 else '')}" for title, items in parts.items()]
    lines = [f"{' -> '.join(counts)}.", ""]
    for title, items in parts.items():
        lines += [f"    {title}:", *(f"        {item}" for item in items)]
    return "\n".join([*lines, "    "])


def output_labels(block: Block) -> list[str]:
    """The key of each output, or the name that a person gave its layer."""
    if isinstance(block.outputs, dict):
        return list(block.outputs)
    names = [value.layer.partition("#")[0] for value in values(block.outputs)]
    return ["" if is_automatic(name) else name for name in names]


def shape_text(block: Block, value: Value) -> str:
    """`(N, 3, 32, 32)`; unknown sizes are `*`."""
    order = block.layouts.get(value, tuple(range(value.rank)))
    sizes = ["N" if axis == 0 else str(value.shape[axis] or "*") for axis in order]
    return f"({', '.join(sizes)})"


def helper_targets(blocks: Sequence[Block]) -> set[str]:
    """Names of the helpers that the blocks use."""
    ops = [op for block in blocks for op in block.all_ops()]
    modules = [inner for block in blocks for module in block.modules() for inner in module.tree()]
    targets = {module.call for module in modules} | {op.target for op in ops if isinstance(op.target, str)}
    names = {target for target in targets if isinstance(target, str) and target.isidentifier()}
    calls: list[Op | Module] = [*ops, *modules]
    codes = (leaf for call in calls for leaf in leaves((call.args, call.kwargs)))
    called = {leaf.text.partition("(")[0] for leaf in codes if isinstance(leaf, Code)}
    names |= called & index().keys()
    return names


def imports(body: str) -> str:
    """The imports that the text needs, in the formatter's order."""
    plain = [name for name in ("math", "struct") if f"{name}." in body]
    lines = ["from __future__ import annotations", "from torch import Tensor, nn"]
    lines += [f"import {name}" for name in plain]
    lines += ["from collections.abc import Callable"] if "Callable[" in body else []
    lines += ["from pathlib import Path"] if "Path(" in body else []
    lines += ["from typing import Any"] if any(f"{mark}Any" in body for mark in (": ", "> ", ", ", "[")) else []
    lines += ["import torch"] if "torch." in body.replace("safetensors.torch", "") else []
    lines += ["from safetensors.torch import load_model"] if "load_model(" in body else []
    lines += ["from torch.nn import functional as F"] if re.search(r'^(?! *""").*\bF\.', body, re.M) else []
    return import_block(lines)


def import_block(lines: Iterable[str]) -> str:
    """Imports as linters sort them: of the future, of the standard library, of others; one for each module."""
    plain: set[str] = set()
    named: defaultdict[str, set[str]] = defaultdict(set)
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.ImportFrom):
            named[node.module or ""] |= {ast.unparse(item) for item in node.names}
        elif isinstance(node, ast.Import):
            plain |= {ast.unparse(item) for item in node.names}
    sections: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for module in sorted(plain, key=str.lower):
        sections[section(module)].append(f"import {module}")
    for module, names in sorted(named.items(), key=lambda pair: pair[0].lower()):
        ordered = sorted(names, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
        sections[section(module)].append(f"from {module} import {', '.join(ordered)}")
    return "\n\n".join("\n".join(section) for section in sections.values() if section)


def section(module: str) -> int:
    """Where linters sort its import."""
    first = module.partition(".")[0].partition(" ")[0]
    return 0 if first == "__future__" else 1 if first in sys.stdlib_module_names else 2


def with_rest(body: str, lines: Sequence[str], rest: str) -> str:
    """A file with definitions of the source behind its own, byte for byte, and the imports that these need."""
    own = [node for node in ast.parse(body).body if isinstance(node, ast.Import | ast.ImportFrom)]
    code = "\n".join(body.split("\n")[own[-1].end_lineno :])
    block = import_block([*map(ast.unparse, own), *lines])
    whole = format_code(f"{block}\n{code}\n\n{rest}\n")
    return whole if rest in whole else format_code(f"{block}\n{code}\n\n# fmt: off\n{rest}\n# fmt: on\n")


@cache
def formatter() -> str:
    """The path of ruff."""
    from ruff.__main__ import find_ruff_bin

    return str(find_ruff_bin())


def format_code(text: str) -> str:
    """The text as ruff formats it."""
    command = [
        formatter(),
        "format",
        "--isolated",
        "--line-length",
        str(LINE_LENGTH),
        "--stdin-filename",
        "net.py",
        "-",
    ]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise K2TError(f"internal error: the emitted code does not parse: {done.stderr.strip()}")
    return done.stdout
