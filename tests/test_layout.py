"""The layout decision: as few permutes as there can be, and the numbers stay the same."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2t.graph import Call, Graph, Input, Layer, Ref, StoredArray, Weights
from k2t.lower import lower
from k2t.lower.cut import cheapest
from k2t.program import Block, Module
from k2t.rules.translate import translate


def stored(*shape: int) -> StoredArray:
    return StoredArray("array", shape, np.dtype("float32"), lambda: np.zeros(shape, "float32"))


def layer(name: str, kind: str, *shapes: tuple[int, ...], **options: Any) -> Layer:
    return Layer(name, kind, options, weights=Weights(flat=tuple(stored(*shape) for shape in shapes)))


class Chain:
    """A graph written layer by layer."""

    def __init__(self, *shape: int | None) -> None:
        self.inputs = (Input("image", (None, *shape)),)
        self.calls: list[Call] = []
        self.last = "image"

    def add(self, added: Layer, *sources: str) -> str:
        args: tuple[Any, ...] = ([Ref(name) for name in sources],) if sources else (Ref(self.last),)
        self.calls.append(Call(added.name, added, args))
        self.last = added.name
        return self.last

    def conv(self, name: str, channels: int, filters: int, **options: Any) -> str:
        shapes = ((3, 3, channels, filters), (filters,))
        return self.add(layer(name, "Conv2D", *shapes, filters=filters, kernel_size=3, padding="same", **options))

    def lowered(self, layout: str = "torch") -> Block:
        graph = Graph("chain", self.inputs, tuple(self.calls), Ref(self.last))
        return lower(translate(graph), layout=layout)[-1]


def permutes(block: Block) -> list[tuple[Any, ...]]:
    return [op.args[1:] for op in block.ops if op.target == ".permute"]


def test_a_convolutional_body_has_no_permute() -> None:
    chain = Chain(8, 8, 3)
    first = chain.conv("conv1", 3, 4)
    chain.add(layer("norm", "BatchNormalization", *[(4,)] * 4))
    chain.add(layer("relu", "ReLU"))
    chain.conv("conv2", 4, 4)
    chain.add(layer("add", "Add"), chain.last, first)
    chain.add(layer("concat", "Concatenate"), chain.last, first)
    chain.add(layer("pool", "MaxPooling2D"))
    chain.add(layer("softmax", "Softmax"))
    block = chain.lowered()
    assert permutes(block) == []
    assert block.layouts[block.inputs[0]] == (0, 3, 1, 2)
    assert block.layouts[block.outputs] == (0, 3, 1, 2)


def test_flatten_before_dense_is_folded_into_the_weights() -> None:
    chain = Chain(2, 3, 2)
    chain.conv("conv", 2, 5)
    chain.add(layer("flatten", "Flatten"))
    chain.add(layer("dropout", "Dropout", rate=0.5))
    chain.add(layer("dense", "Dense", (30, 4), (4,), units=4))
    block = chain.lowered()
    assert permutes(block) == []
    (weight,) = [module.weights["weight"] for module in block.modules() if module.call == "nn.Linear"]
    rows = np.arange(30)
    kernel = np.broadcast_to(rows[:, None], (30, 4))
    expected = rows.reshape(2, 3, 5).transpose(2, 0, 1).reshape(-1)
    np.testing.assert_array_equal(weight.transform(kernel)[0], expected)


def test_features_that_something_else_reads_keep_their_order() -> None:
    chain = Chain(2, 3, 2)
    chain.conv("conv", 2, 5)
    chain.add(layer("flatten", "Flatten"))
    block = chain.lowered()
    assert permutes(block) == [(0, 2, 3, 1)]


def test_a_linear_layer_shared_by_two_calls_does_not_absorb() -> None:
    chain = Chain(2, 3, 2)
    chain.conv("conv", 2, 5)
    flat = chain.add(layer("flatten", "Flatten"))
    dense = layer("dense", "Dense", (30, 30), (30,), units=30)
    chain.add(dense)
    chain.calls.append(Call("dense#1", dense, (Ref("dense"),)))
    chain.last = "dense#1"
    assert flat
    assert len(permutes(chain.lowered())) == 1


def test_a_dense_layer_between_convolutions_costs_two_permutes() -> None:
    chain = Chain(8, 8, 3)
    chain.conv("conv1", 3, 4)
    chain.add(layer("relu", "ReLU"))
    chain.add(layer("dense", "Dense", (4, 4), (4,), units=4))
    chain.add(layer("relu2", "ReLU"))
    chain.conv("conv2", 4, 4)
    assert permutes(chain.lowered()) == [(0, 2, 3, 1), (0, 3, 1, 2)]


def test_squeeze_and_excite_reshapes_without_a_permute() -> None:
    chain = Chain(8, 8, 3)
    features = chain.conv("conv1", 3, 4)
    chain.add(layer("pool", "GlobalAveragePooling2D"))
    chain.add(layer("reshape", "Reshape", target_shape=[1, 1, 4]))
    chain.conv("squeeze", 4, 4, activation="sigmoid")
    chain.add(layer("scale", "Multiply"), features, chain.last)
    assert permutes(chain.lowered()) == []


@pytest.mark.parametrize(("activation", "padded"), [("relu", False), ("linear", True)])
def test_a_maximum_pads_by_itself_where_nothing_is_below_zero(activation: str, padded: bool) -> None:
    chain = Chain(8, 8, 3)
    chain.conv("conv1", 3, 4, activation=activation)
    chain.add(layer("pad", "ZeroPadding2D", padding=1))
    chain.add(layer("pool", "MaxPooling2D", pool_size=3, strides=2))
    *_, pool = chain.lowered().ops
    assert [op.target == "F.pad" for op in chain.lowered().ops].count(True) == padded
    assert isinstance(pool.target, Module)
    assert pool.target.kwargs == ({"stride": 2} if padded else {"stride": 2, "padding": 1})


def test_keras_layout_permutes_at_the_border_only() -> None:
    chain = Chain(8, 8, 3)
    chain.conv("conv1", 3, 4)
    chain.conv("conv2", 4, 4)
    block = chain.lowered("keras")
    assert permutes(block) == [(0, 3, 1, 2), (0, 2, 3, 1)]


@pytest.mark.parametrize("dims", [[3, 1, 2], [1, 2, 3], [2, 1, 3]])
def test_keras_permute_joins_the_layout_in_one_permutation(dims: list[int]) -> None:
    chain = Chain(8, 8, 3)
    chain.conv("conv1", 3, 8)
    chain.add(layer("permute", "Permute", dims=dims))
    assert len(permutes(chain.lowered())) <= 1


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_the_cut_is_as_cheap_as_the_best_of_all_assignments(data: st.DataObject) -> None:
    free = data.draw(st.integers(1, 6))
    nodes = free + 2
    fixed = {free: True, free + 1: False}
    node = st.integers(0, nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, st.lists(node, min_size=1, max_size=3).map(tuple)), max_size=8))
    defaults = dict.fromkeys(range(free), False)

    def cost(labels: dict[int, bool]) -> int:
        return sum(any(labels[reader] != labels[maker] for reader in readers) for maker, readers in edges)

    best = min(
        cost(fixed | dict(enumerate(assignment))) for assignment in itertools.product((True, False), repeat=free)
    )
    found = cheapest(fixed, edges, defaults)
    assert cost(found) == best
    assert found.items() >= fixed.items()
