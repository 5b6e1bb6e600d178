"""Random Keras models through k2t, compared in float64.

`python tests/fuzz.py --count 1000 --seed 0` builds, saves, converts and compares models and prints those that
differ, are refused or crash, each with the seed that makes it again. What a seed makes also depends on the examples
of the rules. Of five models one is of tf-keras; some have mixed dtype policies and are compared by `k2t.verify`, of
some the gradients are compared, too.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import random
import re
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import parity
from fuzz_models import POLICIES, REJECTED, TOKENS, Maker
from rounding import moved_gradients, moved_outputs

import k2t
from k2t.verify.exact import float64_kernels
from k2t.verify.loading import merge_low_rank
from k2t.verify.reference import Library, library
from k2t.verify.training import compare_training

ROUTES = ("outputs", "outputs", "outputs", "outputs", "outputs", "policies", "gradients")
# Verdicts that say nothing about k2t: Keras cannot run its own model, its file does not hold what it computes, or
# rounding moves its results as far as those of k2t differ.
FOREIGN = ("rejected", "lossy", "rounding")


class RejectedError(Exception):
    """Keras does not take its own model."""


@contextlib.contextmanager
def keras_only() -> Iterator[None]:
    """What fails within is no matter of k2t."""
    try:
        yield
    except Exception as error:
        raise RejectedError(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """What an emitted module makes itself has this dtype."""
    import torch

    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def check(seed: int, folder: Path) -> str:
    """`ok`, or another verdict and why, for the model of a seed."""
    choices = random.Random(f"route {seed}")
    used, route = library(choices.random() < 0.2), choices.choice(ROUTES)
    floatx = "float32" if route == "policies" else "float64"
    # Keras 3 cannot load operations from HDF5
    suffix = ".keras" if route != "outputs" and not used.legacy else choices.choice((".keras", ".h5"))
    path = folder / f"model{suffix}"
    parity.spare_libraries()
    used.keras.backend.clear_session()
    with used.floatx(floatx), float64_kernels(), keras_only():
        model = Maker(used.keras, seed, floatx, POLICIES if route == "policies" else ()).model()
        parity.randomize(model, seed)
        model.save(path)
    try:
        result = k2t.convert(path)
    except k2t.UnsupportedError as error:
        computable(used, floatx, model)
        return f"refused: {'; '.join(map(str, error.problems))}"
    except k2t.K2TError:
        computable(used, floatx, model)
        raise
    result.write(folder / "net.py")
    computable(used, floatx, model)
    try:
        if route == "policies":
            verdict = verified(folder / "net.py", path)
        else:
            with used.floatx(floatx), default_dtype(floatx):
                verdict = compared(used, model, path, result)
    except (RuntimeError, k2t.K2TError):
        refuse_indices(used, floatx, model)
        loadable(used, floatx, path)
        raise
    if verdict.startswith("differs"):
        refuse_indices(used, floatx, model)
    if verdict == "ok" and route == "gradients" and not any(map(changes_in_training, model._flatten_layers())):
        verdict = trained(folder / "net.py", path)
    if verdict.startswith("untrained"):
        loadable(used, floatx, path)
    kinds = ", ".join(type(layer).__name__ for layer in model.layers)
    return verdict if verdict == "ok" else f"{verdict} [{used.label}, {route}{path.suffix}: {kinds}]"


def computable(used: Library, floatx: str, model: Any) -> None:
    """Raise where Keras cannot run the model, or returns nothing that could be compared."""
    with used.floatx(floatx), keras_only():
        if not any(array.size for array in parity.reference(model, arrays(model, 17))):
            raise ValueError("all outputs are empty")


def loadable(used: Library, floatx: str, path: Path) -> None:
    """Raise where Keras cannot open its own file."""
    with used.floatx(floatx), keras_only():
        used.keras.models.load_model(path, compile=False)


def compared(used: Library, model: Any, path: Path, result: Any) -> str:
    """Outputs against those of the live model."""
    net = parity.load_net(path.parent / "net.py").load()
    if path.suffix == ".h5":  # an archive has the merged kernels of Keras, in float32
        merge_low_rank(model)
    for size in (17, 20) if any(None in x.shape[1:] for x in model.inputs) else (17,):
        inputs = arrays(model, size)
        with keras_only():
            want = parity.reference(model, inputs)
        got = parity.run(net, result, inputs)
        verdict = difference(got, want)
        if verdict != "ok" and lossy(used, path, inputs, want):
            return "lossy: what Keras loads from its file computes something else"
        if verdict != "ok":
            with keras_only():
                moves = max(distance(moved, want) for moved in moved_outputs(model, inputs))
            return judged(verdict, distance(got, want), moves)
    return "ok"


def judged(verdict: str, error: float, moves: float) -> str:
    """The verdict; no failure where rounding moves Keras itself as far."""
    return f"rounding: {verdict}, Keras moves by {moves:.1e} itself" if moves >= error else verdict


def refuse_indices(used: Library, floatx: str, model: Any) -> None:
    """Raise what TensorFlow says of indices that are not there; XLA, which the reference may need, says nothing."""
    import tensorflow as tf

    inputs = arrays(model, 17)
    with used.floatx(floatx), keras_only(), contextlib.suppress(*REJECTED):
        try:
            model(inputs[0] if len(inputs) == 1 else inputs)
        except tf.errors.InvalidArgumentError as error:
            if "indices[" in str(error):
                raise


def arrays(model: Any, size: int) -> list[np.ndarray]:
    """Inputs for a model."""
    rng = np.random.default_rng(0)
    return [array(x, size, rng) for x in model.inputs]


def array(x: Any, size: int, rng: np.random.Generator) -> np.ndarray:
    """Values for an input; steps of zeros, for masks."""
    shape = (3, *(size if n is None else n for n in x.shape[1:]))
    if "int" in str(x.dtype):
        return rng.integers(0, TOKENS, shape).astype("int32")
    values = rng.normal(0, 1, shape)
    if len(shape) == 3:
        values[0, -2:], values[1, :1], values[2, 1:3] = 0, 0, 0
    return values


def lossy(used: Library, path: Path, inputs: list[np.ndarray], want: list[np.ndarray]) -> bool:
    """Whether the model that Keras loads from the file computes something else."""
    try:
        with float64_kernels():
            model = used.keras.models.load_model(path, compile=False)
        return difference(parity.reference(model, inputs), want) != "ok"
    except Exception:  # Keras cannot load it: no second opinion
        return False


def distance(got: list[np.ndarray], want: list[np.ndarray]) -> float:
    """The largest error on the scale of its output; infinite where shapes differ or nothing is comparable."""
    if [array.shape for array in got] != [array.shape for array in want]:
        return math.inf
    pairs = [
        (abs(ours - theirs).max(initial=0), abs(theirs).max(initial=0)) for ours, theirs in zip(got, want, strict=True)
    ]
    errors = [error / (scale or 1) for error, scale in pairs]
    return math.inf if any(map(math.isnan, errors)) else max(errors)


def difference(got: list[np.ndarray], want: list[np.ndarray]) -> str:
    try:
        for ours, theirs in zip(got, want, strict=True):
            parity.assert_close(ours, theirs)
    except AssertionError as error:
        return f"differs: {str(error).strip().splitlines()[0] or 'shapes'}"
    return "ok"


def verified(net: Path, source: Path) -> str:
    """What `k2t verify` says in float64; in float32 where Keras cannot open the model in float64."""
    try:
        found = k2t.verify(net, source, dtype="float64")
    except k2t.K2TError:
        found = k2t.verify(net, source)
    return "ok" if found.ok else f"differs: {found.max_error:.1e} at {found.worst_layer}"


def trained(net: Path, source: Path) -> str:
    """One step of training.

    The moving statistics of torch have Bessel's correction, those of Keras do not. Layers that no output depends on
    are not in the module, nor are directions of a Bidirectional. The gradients of hardsigmoid and hardswish are
    rounded to float32 by torch.
    """
    import tensorflow as tf

    try:
        rows = compare_training(net, source).rows
    except k2t.K2TError as error:
        return f"untrained: {error}"
    except (LookupError, tf.errors.OpError) as error:  # no gradient; BatchNormalization with masks of other shapes
        raise RejectedError(f"Keras cannot train it: {error}") from error
    limit = 1e-7 if "hardsigmoid" in net.read_text() or "hardswish" in net.read_text() else parity.TOLERANCE
    rows = [row for row in rows if not unused(row.problem)]
    bad = [row for row in rows if row.problem or row.gradient > limit]
    if not bad:
        return "ok"
    error = max(math.inf if row.problem else row.gradient for row in bad)
    return judged(f"trains differently: {bad[0]}", error, moved_gradients(source))


def changes_in_training(layer: Any) -> bool:
    """Whether its training is random, changes weights before they are used, or keeps the kernel that LoRA adapts."""
    changing = type(layer).__name__ == "SpectralNormalization" or getattr(layer, "lora_enabled", False)
    return changing or ".preprocessing." in f"{type(layer).__module__}."


def unused(problem: str) -> bool:
    """Whether the module lacks the whole layer, or one direction of it."""
    found = re.fullmatch(r"trains (\d+) elements, Keras (\d+)", problem)
    return found is not None and int(found[1]) in (0, int(found[2]) / 2)


def run(seeds: range) -> dict[int, str]:
    """The verdict for each seed; whatever k2t raises is one."""
    verdicts = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            try:
                verdicts[seed] = check(seed, Path(folder))
            except RejectedError as error:
                verdicts[seed] = f"rejected: {error}"
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                verdicts[seed] = f"crashed: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    verdicts = {}
    for seed in range(options.seed, options.seed + options.count):
        verdicts |= run(range(seed, seed + 1))
        if verdicts[seed] != "ok":
            print(seed, " ".join(verdicts[seed].split())[:600], flush=True)
    found = Counter(verdict.partition(":")[0] for verdict in verdicts.values())
    print(dict(found))
    return 0 if set(found) <= {"ok", *FOREIGN} else 1


if __name__ == "__main__":
    sys.exit(main())
