"""The parts of README.md that are made from the project itself. `python tests/readme.py` writes them anew."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import k2t
from k2t.cli.layers import as_markdown, known_layers

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODEL = "shapes_cnn"


def keras_code() -> str:
    """The function that builds the model, as `fixtures/make_models.py` has it."""
    text = (ROOT / "fixtures" / "make_models.py").read_text("utf-8")
    function = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == MODEL)
    return fenced(ast.get_source_segment(text, function) or "")


def torch_code() -> str:
    """The class that it becomes."""
    source = k2t.convert(ROOT / "fixtures" / f"{MODEL}.keras").source
    return fenced(source[source.index("class ") : source.index("\n\n\ndef init_weights")])


def source_code() -> str:
    """The Keras code of `fixtures/unet.py`."""
    text = (ROOT / "fixtures" / "unet.py").read_text("utf-8")
    return fenced(text[text.index("def ") :].strip())


def translated_code() -> str:
    """The classes that it becomes."""
    source = k2t.convert(f"{ROOT / 'fixtures' / 'unet.py'}:build_unet").source
    return fenced(source[source.index("class ") : source.index("\n\n\ndef init_weights")])


def layers() -> str:
    """The table of layers."""
    return as_markdown(known_layers())


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


PARTS = {
    "keras": keras_code,
    "torch": torch_code,
    "source": source_code,
    "translated": translated_code,
    "layers": layers,
}


def made(text: str) -> str:
    """README.md with every part between its markers as it is now."""
    for name, write in PARTS.items():
        start, end = f"<!-- {name}: made by tests/readme.py -->\n", f"\n<!-- end of {name} -->"
        pattern = re.compile(f"(?<={re.escape(start)}).*?(?={re.escape(end)})", re.DOTALL)
        text, count = pattern.subn(lambda _, write=write: write(), text)
        if count != 1:
            raise ValueError(f"README.md has {count} parts {name}")
    return text


if __name__ == "__main__":
    README.write_text(made(README.read_text("utf-8")), "utf-8")
