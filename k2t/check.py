"""What the pre-commit check asks of a generated file: current, unedited, with its weights.

Reads headers and hashes files with the standard library alone, so that it starts at once.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k2t.hashes import files, sha256
from k2t.sources import code_parts, given

MARK = b", converted by k2t "
HEADER = re.compile(
    r"\w+, converted by k2t \S+\sfrom\s(?P<source>.+?)(?:\s\(Keras [^)]*\))?\.\n"
    r"(?:.*\n)*?source sha256: (?P<sha256>[0-9a-f]{64})\n"
    r"(?:weights sha256: (?P<weights>[0-9a-f]{64})\n)?"
    r"(?:.*\n)*?code sha256: (?P<code>[0-9a-f]{64})\n"
    r"(?:options: (?P<options>.*)\n)?"
)
LFS_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
LOADS = "\ndef load("  # code without weights gives a module that has none to load
MAX_JSON = 100_000_000  # of a safetensors header, as its own library has it


@dataclass(frozen=True)
class Generated:
    """What the header of a generated file says.

    Attributes:
        source: name of the file that it was made from.
        sha256: of that file.
        weights: sha256 of the file of weights, "" where the source holds them.
        code: sha256 of everything behind the header, as k2t wrote it.
        options: those of the conversion, as on the command line.
        body: everything behind the header, as it is now.
    """

    source: str
    sha256: str
    weights: str
    code: str
    options: str
    body: str

    @property
    def origins(self) -> tuple[tuple[str, str], ...]:
        """What the file of weights says of its origin."""
        return ("k2t.source_sha256", self.sha256), ("k2t.weights_sha256", self.weights)

    @property
    def edited(self) -> bool:
        """Whether the code is another than k2t wrote."""
        return hashlib.sha256(self.body.encode()).hexdigest() != self.code


def read_generated(path: Path) -> Generated | None:
    """The header of a generated file, None for any other file."""
    with path.open("rb") as file:
        if MARK not in file.readline(1000):
            return None
    text = path.read_text("utf-8", errors="replace")
    docstring, end, body = text.partition('"""\n\n')
    try:
        header = ast.literal_eval(docstring + '"""') if end else ""
    except (SyntaxError, ValueError):
        return None
    found = HEADER.match(header) if isinstance(header, str) else None
    return Generated(**found.groupdict(default=""), body=body) if found else None


def check_generated(path: Path) -> Iterator[str]:
    """Why a file is not as k2t would write it now, one line for each reason; nothing for a file of another origin."""
    generated = read_generated(path)
    if generated is None:
        return
    weights = path.with_suffix(".safetensors")
    metadata = read_metadata(weights) if weights.is_file() else None
    place = (metadata or {}).get("k2t.source", generated.source)
    file, entry = code_parts(place) or (place, "")
    source = path.parent / file
    named = ":".join(filter(None, [os.path.relpath(source), entry])) if source.exists() else generated.source
    separate = (metadata or {}).get("k2t.weights_source", "") if generated.weights else ""
    command = ["k2t", "convert", named, "-o", str(path)]
    again = f"run `{' '.join([shlex.join(command), *options_from(path.parent, generated.options, separate)])}`"
    if generated.edited:
        yield f"{path}: edited by hand since k2t wrote it; move the change to a file of your own and {again}"
    if source.exists() and file_sha256(source) != generated.sha256 and not is_current(named, generated):
        yield f"{path}: stale, {place} has changed since; {again}"
    if separate and files(path.parent / separate) and file_sha256(path.parent / separate) != generated.weights:
        yield f"{path}: stale, {separate} has changed since; {again}"
    if metadata is None and LOADS in generated.body:
        yield f"{path}: its weights {weights.name} are missing; add them or {again}"
    elif metadata is not None and any(metadata.get(key, sha256) != sha256 for key, sha256 in generated.origins):
        yield f"{path}: its weights {weights.name} were made from another source; {again}"


def options_from(folder: Path, options: str, separate: str) -> list[str]:
    """The options of a conversion, with the file of weights, which lies relative to a folder, as it is found here."""
    weights = f"--weights {shlex.quote(Path(separate).name)}"
    here = f"--weights {shlex.quote(os.path.relpath(folder / separate))}"
    return (options.replace(weights, here) if separate else options).split()


def is_current(source: str, generated: Generated) -> bool:
    """Whether code is as it was, with what it imports from its project: the hash is of all these files."""
    if not code_parts(source):
        return False
    from k2t.code import read_code
    from k2t.errors import K2TError

    try:
        return read_code(source, *given(generated.options)).sha256() == generated.sha256
    except K2TError:
        return False


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty for a Git LFS pointer, or what is no safetensors file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= MAX_JSON else b""
    try:
        metadata = json.loads(header).get("__metadata__", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    if not isinstance(metadata, dict):
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def file_sha256(path: Path) -> str:
    """The hash of a file or folder; of a Git LFS pointer, that of the file which it stands for."""
    if path.is_file():
        with path.open("rb") as file:
            if pointer := LFS_POINTER.match(file.read(200)):
                return pointer[1].decode()
    return sha256(path)


def python_files(folder: Path) -> Iterator[Path]:
    """The Python files below a folder: those that Git does not ignore, or all but hidden ones outside of Git."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        for root, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(root) / name for name in sorted(files) if name.endswith(".py"))
        return
    for name in os.fsdecode(listed).split("\0"):
        if name and (folder / name).is_file():
            yield folder / name
