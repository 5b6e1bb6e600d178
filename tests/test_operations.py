"""Every example of every operation: keras.ops in float64 against the emitted module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest

import k2t
import k2t.rules.operations
from k2t.graph import Call as KerasCall
from k2t.graph import Graph, Input, Layer, Ref, map_structure
from k2t.program import leaves
from k2t.rules.activations import ACTIVATIONS
from k2t.rules.operations.base import EXAMPLES, OPERATIONS, REFUSED_OPERATIONS, Call, Given
from k2t.rules.translate import translate

# Python's and Keras's own in the namespace of keras.ops.
MODULES = ("image", "linalg", "nn", "numpy")
# Parameters that say nothing about dense tensors.
SPARE = ("kwargs", "ragged", "sparse")


def sized(given: Given, batch: int, size: int) -> tuple[int, ...]:
    """A concrete shape: `batch` for an open first axis, `size` for other open ones."""
    return tuple((size if axis else batch) if n is None else n for axis, n in enumerate(given.shape))


def array(given: Given, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """What an input of an example holds."""
    if given.below:
        return rng.integers(0, given.below, shape).astype("int32")
    values = rng.uniform(*given.between, shape) if given.between else rng.normal(0, 1, shape)
    return np.round(values / given.step) * given.step if given.step else values


def function(keras: Any, name: str) -> Callable[..., Any]:
    """keras.ops.<name>, or the one of that name in keras.ops.image."""
    return getattr(keras.ops, name, None) or getattr(keras.ops.image, name)


def model_of(keras: Any, name: str, examples: list[Call]) -> tuple[Any, list[Given]]:
    """A model whose outputs are those of all examples, and what its inputs are."""
    inputs: list[tuple[Given, Any]] = []

    def tensor(leaf: Any) -> Any:
        if not isinstance(leaf, Given):
            return leaf
        known = next((made for given, made in inputs if given is leaf), None)
        if known is None:
            dtype = "int32" if leaf.below else "float64"
            known = keras.Input(batch_shape=leaf.shape, dtype=dtype, name=f"x{len(inputs)}")
            inputs.append((leaf, known))
        return known

    outputs = []
    for example in examples:
        args, kwargs = map_structure(tensor, (example.args, example.kwargs))
        outputs += [leaf for leaf in leaves(function(keras, name)(*args, **kwargs)) if leaf is not None]
    return keras.Model([made for _, made in inputs], outputs), [given for given, _ in inputs]


@pytest.fixture
def float64_everywhere(float64: None) -> Iterator[None]:
    """What the emitted module makes itself is in float64, too."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
@pytest.mark.parametrize("name", [name for name, examples in EXAMPLES.items() if examples])
def test_parity(name: str, keras: Any, float64_everywhere: None, tmp_path: Path) -> None:
    model, inputs = model_of(keras, name, EXAMPLES[name])
    model.save(tmp_path / "model.keras")
    result = k2t.convert(tmp_path / "model.keras")
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    rng = np.random.default_rng(0)
    for batch, size in ((2, 7), (3, 8)):
        arrays = [array(given, sized(given, batch, size), rng) for given in inputs]
        for got, want in zip(parity.run(net, result, arrays), parity.reference(model, arrays), strict=True):
            parity.assert_close(got, want)


def names(keras: Any) -> set[str]:
    """Every function of keras.ops, and of keras.ops.image."""
    own = {name for name in dir(keras.ops) if not name.startswith("_") and name not in MODULES}
    return own | {name for name in dir(keras.ops.image) if not name.startswith("_")}


def test_every_operation_of_keras_is_translated_or_refused_with_a_reason(keras: Any) -> None:
    known = OPERATIONS.keys() | ACTIVATIONS.keys() | REFUSED_OPERATIONS.keys()
    assert names(keras) - known == set()
    assert len(REFUSED_OPERATIONS) <= 15
    assert all(REFUSED_OPERATIONS.values())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_parameters_have_the_names_of_keras(name: str, keras: Any) -> None:
    if name not in names(keras):
        return
    theirs = [item.rstrip("_") for item in inspect.signature(function(keras, name)).parameters]
    ours = [item.rstrip("_") for item in list(inspect.signature(OPERATIONS[name]).parameters)[1:]]
    assert [item for item in ours if item in theirs and item not in SPARE] == [
        item for item in theirs if item not in SPARE
    ]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("ops.Zeros", {"shape": [10**9, 10**9]}, "elements"),
        ("ops.Linspace", {"start": 0, "stop": 1, "num": 10**12}, "elements"),
        ("ops.OneHot", {"num_classes": 10**12}, "elements"),
        ("ops.Unstack", {"axis": 1, "num": 10**9}, "parts"),
        ("ops.Split", {"indices_or_sections": 0}, "split"),
        ("ops.Reshape", {"newshape": [[1], 2]}, "reshape"),
        ("ops.Sum", {"axis": "channels"}, "axis channels"),
        ("ops.Einsum", {"subscripts": "(("}, "einsum"),
        ("ops.Sum", {"surprise": 1}, "surprise"),
        ("ops.WhileLoop", {}, "Python functions"),
        ("ops.NoSuchOperation", {}, "no_such_operation"),
    ],
)
def test_damaged_arguments_are_refused(kind: str, options: dict[str, Any], message: str) -> None:
    inputs = () if kind in ("ops.Zeros", "ops.Linspace") else (Ref("x"),)
    layer = Layer("layer", kind, options)
    graph = Graph("model", (Input("x", (None, 4, 6)),), (KerasCall("layer", layer, inputs),), Ref("layer"))
    with pytest.raises(k2t.UnsupportedError, match=message):
        translate(graph)


def test_an_output_that_is_a_constant_is_refused() -> None:
    layer = Layer("layer", "ops.Add", {})
    graph = Graph("model", (Input("x", (None, 4)),), (KerasCall("layer", layer, (1, 2)),), Ref("layer"))
    with pytest.raises(k2t.UnsupportedError, match="an output is no tensor"):
        translate(graph)
