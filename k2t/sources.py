"""How users name Keras code: `model.py`, `model.py:build_unet`, `model.py:Gan.build_generator[0]`, `notebook.ipynb`."""

from __future__ import annotations

import re

CODE = re.compile(r"(?P<path>.+\.(?:py|ipynb))(?::(?P<entry>[\w.]+(?:\[\d+\])?))?")


def code_parts(source: object) -> tuple[str, str] | None:
    """The file and the entry, which may be "", of Keras code; None for any other source."""
    found = CODE.fullmatch(str(source))
    return (found["path"], found["entry"] or "") if found else None
