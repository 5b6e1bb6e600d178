"""Damaged model files through the whole translation: each converts or is refused, and nothing else.

`python tests/hostile.py --minutes 10 FILE ...` damages model files in random ways: values of the configuration, whole
layers of it, bytes, the end of the file, entries of the archive, objects of the HDF5 file. Prints what raises
anything but a K2TError, takes long or emits no Python, with the seed that does it again.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import k2t

SECONDS = 20
# Members of an archive, and the attribute of HDF5 that holds the configuration.
CONFIG, WEIGHTS, ATTRIBUTE = "config.json", "model.weights.h5", "model_config"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63, 10**30, 0.5, -0.5, 1e300, float("nan"), float("inf")),
    *("", "x", "linear", "same", "channels_first", "Dense", "keras", "__tuple__", "\u2028", "'\"\\", "a" * 5000),
    *([], [None], [1], [0, 0], [1, 2, 3], [-1, 2], [[]], ["x"], [10**12, 10**12], {}, {"class_name": "Dense"}),
    {"class_name": "Dense", "config": None},
    {"class_name": "__numpy__", "config": {"value": [1], "dtype": "float32"}},
    {"class_name": "__tensor__", "config": {"value": [[1, 2], [3]], "dtype": "complex999"}},
    {"class_name": "__lambda__", "config": {"value": "4wEAAAA=\n"}},
    {"class_name": "__slice__", "config": {"start": "x", "stop": None, "step": 0}},
    {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": ["x", -1, 9]}},
)


class SlowError(Exception):
    """The conversion takes longer than a damaged file may."""


def places(config: Any) -> list[tuple[Any, Any]]:
    """Every (dict or list, key or index) of nested configuration."""
    found, pending = [], [config]
    while pending:
        item = pending.pop()
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            found.append((item, key))
            if isinstance(value, dict | list):
                pending.append(value)
    return found


def damage(config: Any, choose: random.Random) -> Any:
    """The configuration with one to three of its places changed."""
    config = copy.deepcopy(config)
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        known = places(config)
        if not known:
            break
        holder, key = choose.choice(known)
        other_holder, other_key = choose.choice(known)
        kind = choose.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = copy.deepcopy(other_holder[other_key])
        elif kind == 2 and isinstance(holder, dict):
            holder[choose.choice(("surprise", "name", "axis", "dtype", "units"))] = choose.choice(VALUES)
        elif kind == 3 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif isinstance(holder[key], int) and not isinstance(holder[key], bool) and choose.random() < 0.5:
            holder[key] += choose.choice((-1, 1, 5, -100, 10**6))
        else:
            holder[key] = copy.deepcopy(choose.choice(VALUES))
    return config


def damaged_bytes(data: bytes, choose: random.Random) -> bytes:
    """Some bytes changed, or the end or a piece missing."""
    changed = bytearray(data)
    kind = choose.randrange(4)
    if kind == 0:
        return bytes(changed[: choose.randrange(len(changed))])
    if kind == 1:
        start = choose.randrange(len(changed))
        del changed[start : start + choose.choice((1, 8, 512))]
        return bytes(changed)
    for _ in range(choose.choice((1, 2, 8))):
        changed[choose.randrange(len(changed) if kind == 2 else min(len(changed), 4096))] = choose.randrange(256)
    return bytes(changed)


def damaged_objects(data: bytes, choose: random.Random) -> bytes:
    """An HDF5 file one of whose groups, arrays or attributes is gone, moved or something else."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = choose.choice(names)
        attributes = list(file[name].attrs)
        kind = choose.randrange(5)
        if kind == 0 and attributes:
            file[name].attrs[choose.choice(attributes)] = choose.choice((b"", 3, np.zeros(3), "x", [b"a", b"a"]))
        elif kind == 1 and attributes:
            del file[name].attrs[choose.choice(attributes)]
        else:
            del file[name]
            if kind == 2:
                shape = choose.choice(((), (0,), (1,), (2, 2), (3, 2, 2, 2), (7,)))
                file[name] = np.zeros(shape, choose.choice(("f4", "f8", "i4", "S3", "c8", "?")))
            elif kind == 3:
                file.create_group(name)
            elif kind == 4:
                file[name] = file["/"] if choose.random() < 0.5 else h5py.SoftLink("/nowhere")
    return buffer.getvalue()


def damaged_archive(path: Path, choose: random.Random) -> bytes:
    """A `.keras` file with one member damaged."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kind = choose.randrange(5)
    if kind < 2:
        members[CONFIG] = json.dumps(damage(json.loads(members[CONFIG]), choose)).encode()
    elif kind == 2:
        members[WEIGHTS] = damaged_objects(members[WEIGHTS], choose)
    else:
        name = choose.choice(list(members))
        members[name] = damaged_bytes(members[name], choose)
    if kind == 4:
        del members[choose.choice(list(members))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", choose.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def damaged_h5(path: Path, choose: random.Random) -> bytes:
    """A legacy HDF5 file with a damaged configuration or damaged objects."""
    if choose.random() < 0.4:
        return damaged_objects(path.read_bytes(), choose)
    buffer = io.BytesIO(path.read_bytes())
    with h5py.File(buffer, "r+") as file:
        config = damage(json.loads(file.attrs[ATTRIBUTE]), choose)
        del file.attrs[ATTRIBUTE]
        file.attrs.create(ATTRIBUTE, np.bytes_(json.dumps(config)) if len(str(config)) < 60000 else b"{}")
    return buffer.getvalue()


def damaged(path: Path, seed: int) -> bytes:
    """What a file becomes."""
    choose = random.Random(seed)
    if choose.random() < 0.25:
        return damaged_bytes(path.read_bytes(), choose)
    make: Callable[[Path, random.Random], bytes] = {".keras": damaged_archive, ".h5": damaged_h5}.get(
        path.suffix, lambda path, choose: json.dumps(damage(json.loads(path.read_text()), choose)).encode()
    )
    return make(path, choose)


def verdict(path: Path) -> str:
    """`converted`, `refused`, or what else happens."""

    def stop(number: int, frame: Any) -> None:
        raise SlowError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        result = k2t.convert(path)
        compile(result.source, "net.py", "exec")
    except k2t.K2TError:
        return "refused"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    finally:
        signal.alarm(0)
    return "converted"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    seed, end = options.seed, time.process_time() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.process_time() < end:
            source = options.files[seed % len(options.files)]
            path = Path(folder) / f"m{seed}{source.suffix}"
            path.write_bytes(damaged(source, seed))
            print(f"{seed} {source}", file=sys.stderr, flush=True)  # for what ends the process
            found = verdict(path)
            path.unlink()
            counts[found if found in ("converted", "refused") else "bug"] += 1
            if found not in ("converted", "refused"):
                print(seed, source, found[:300], flush=True)
            seed += 1
    print(dict(counts))
    return int(counts["bug"] > 0)


if __name__ == "__main__":
    sys.exit(main())
