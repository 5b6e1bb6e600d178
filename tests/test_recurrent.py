"""What examples of single layers do not show: masks on their way, states over several calls, files of Keras 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
import torch

import k2t

Build = Callable[[Any], Any]
STEPS = (6, 3)


def sequences(count: int = 1) -> list[np.ndarray]:
    """Steps of zeros, which Masking hides, at the end, in front, in between, and everywhere."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(4, *STEPS)) for _ in range(count)]
    for number, array in enumerate(arrays):
        array[0, -2 - number :] = 0
        array[1, number : 2 + number] = 0
        array[2, : 6 - 4 * number] = 0
        array[3, 3 - 3 * number :] = 0
    return arrays


def indices() -> list[np.ndarray]:
    """Sentences of words; index 0 is masked by mask_zero."""
    found = np.random.default_rng(0).integers(0, 7, (4, 5, 6)).astype("int32")
    found[0, :, 3:], found[1, 2:], found[2, 0] = 0, 0, 0
    return [found]


def converted(model: Any, folder: Path, suffix: str) -> tuple[Any, k2t.Result]:
    """The emitted module with random weights, in float64."""
    parity.randomize(model)
    path = folder / f"model{suffix}"
    model.save(path)
    result = k2t.convert(path)
    result.write(folder / "net.py")
    return parity.load_net(folder / "net.py").load().double(), result


def check(model: Any, inputs: list[np.ndarray], folder: Path, suffix: str = ".keras") -> None:
    net, result = converted(model, folder, suffix)
    wanted = parity.reference(model, inputs)
    for got, want in zip(parity.run(net, result, inputs), wanted, strict=True):
        parity.assert_close(got, want)


MERGES: dict[str, Callable[..., Any]] = {
    "add_where_both_are_masked": lambda layers, x, y, a, b: layers.Add()([a, b]),
    "average_with_one_unmasked": lambda layers, x, y, a, b: layers.Average()([a, y]),
    "multiply": lambda layers, x, y, a, b: layers.Multiply()([a, b]),
    "maximum": lambda layers, x, y, a, b: layers.Maximum()([a, b]),
    "minimum_with_one_unmasked": lambda layers, x, y, a, b: layers.Minimum()([x, b]),
    "features_side_by_side": lambda layers, x, y, a, b: layers.Concatenate()([a, b]),
    "features_side_by_side_with_one_unmasked": lambda layers, x, y, a, b: layers.Concatenate()([a, y]),
    "one_after_the_other": lambda layers, x, y, a, b: layers.Concatenate(axis=1)([a, b]),
}


def merged(keras: Any, merge: Callable[..., Any]) -> Any:
    """Two masked sequences, merged, then a layer that shows the mask of the result."""
    layers = keras.layers
    x, y = keras.Input(STEPS), keras.Input(STEPS)
    together = merge(layers, x, y, layers.Masking()(x), layers.Masking()(y))
    return keras.Model([x, y], layers.GRU(3)(together))


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_merged_masks_are_those_of_keras_3(merge: Any, keras: Any, float64: None, tmp_path: Path) -> None:
    check(merged(keras, merge), sequences(2), tmp_path)


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_merged_masks_are_those_of_keras_2(merge: Any, keras_2: Any, tmp_path: Path) -> None:
    check(merged(keras_2, merge), sequences(2), tmp_path, ".h5")


def masked(*kinds: Callable[[Any], Any]) -> Build:
    """Layers one after the other, the first on a masked sequence."""

    def build(keras: Any) -> Any:
        x = keras.Input(STEPS)
        y = keras.layers.Masking()(x)
        for kind in kinds:
            y = kind(keras.layers)(y)
        return keras.Model(x, y)

    return build


def with_states(kind: Callable[[Any], Any], count: int, *, mask: bool = False) -> Build:
    """A layer that is given its first states."""

    def build(keras: Any) -> Any:
        x, *states = keras.Input(STEPS), *(keras.Input((4,)) for _ in range(count))
        y = keras.layers.Masking()(x) if mask else x
        return keras.Model([x, *states], kind(keras.layers)(y, initial_state=states))

    return build


OLD: dict[str, Build] = {
    "hard_sigmoid": masked(
        lambda layers: layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
        lambda layers: layers.LSTM(3, implementation=1, dropout=0.1, recurrent_dropout=0.2),
    ),
    "reset_before": masked(
        lambda layers: layers.GRU(4, reset_after=False, return_sequences=True),
        lambda layers: layers.GRU(3, go_backwards=True),
    ),
    "bidirectional": masked(
        lambda layers: layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        lambda layers: layers.Bidirectional(layers.GRU(3), merge_mode="ave"),
    ),
    "cells": masked(
        lambda layers: layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True, return_state=True)
    ),
    "last_states": masked(lambda layers: layers.LSTM(4, return_state=True)),
    "first_states": with_states(lambda layers: layers.LSTM(4, return_state=True), 2),
    "first_states_and_mask": with_states(lambda layers: layers.GRU(4), 1, mask=True),
    "first_states_of_both_ways": with_states(lambda layers: layers.Bidirectional(layers.LSTM(4)), 4, mask=True),
}


@pytest.mark.parametrize("build", OLD.values(), ids=OLD.keys())
def test_files_of_keras_2(build: Build, keras_2: Any, tmp_path: Path) -> None:
    model = build(keras_2)
    states = [np.random.default_rng(1).normal(size=(4, 4)) for _ in model.inputs[1:]]
    check(model, [*sequences(), *states], tmp_path, ".h5")


@pytest.mark.parametrize("words", [True, False], ids=["masked_words", "all_words"])
def test_a_mask_inside_of_frames_is_one_of_whole_frames_behind_them_in_keras_2(
    words: bool, keras_2: Any, tmp_path: Path
) -> None:
    layers = keras_2.layers
    x = keras_2.Input((5, 6), dtype="int32")
    y = layers.TimeDistributed(layers.Embedding(7, 3, mask_zero=words))(x)
    y = layers.GRU(3)(layers.TimeDistributed(layers.LSTM(4))(y))
    check(keras_2.Model(x, y), indices(), tmp_path, ".h5")


def test_masks_inside_of_a_nested_model_are_its_own(keras: Any, float64: None, tmp_path: Path) -> None:
    layers = keras.layers
    sentence = keras.Sequential([keras.Input((6,)), layers.Embedding(7, 3, mask_zero=True), layers.LSTM(4)])
    x = keras.Input((5, 6), dtype="int32")
    check(keras.Model(x, layers.GRU(3)(layers.TimeDistributed(sentence)(x))), indices(), tmp_path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_masks_leave_a_nested_model(suffix: str, keras: Any, float64: None, tmp_path: Path) -> None:
    layers = keras.layers
    words = keras.Sequential([keras.Input((6,)), layers.Embedding(7, 3, mask_zero=True), layers.Dense(4)])
    x = keras.Input((6,), dtype="int32")
    check(keras.Model(x, layers.GRU(3)(words(x))), [indices()[0][:, 0]], tmp_path, suffix)


def test_encoder_hands_its_states_to_the_decoder(keras: Any, float64: None, tmp_path: Path) -> None:
    layers = keras.layers
    source, target = keras.Input((6,), dtype="int32"), keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(7, 3, mask_zero=True)(source)
    _, h, c = layers.LSTM(4, return_state=True)(embedded)
    decoder = layers.LSTM(4, return_sequences=True, return_state=True)
    y, _, _ = decoder(layers.Embedding(7, 3)(target), initial_state=[h, c])
    model = keras.Model([source, target], layers.Dense(7, activation="softmax")(y))
    words = indices()[0]
    check(model, [words[:, 0], words[:, 1, :5]], tmp_path)


def images(layers: Any, x: Any) -> Any:
    """Frames and volumes in turn: each wants its channels elsewhere."""
    y = layers.TimeDistributed(layers.Conv2D(3, 3, padding="same"))(x)
    y = layers.BatchNormalization()(layers.Activation("relu")(y))
    y = layers.TimeDistributed(layers.MaxPooling2D())(layers.Conv3D(2, 3)(y))
    return layers.LSTM(3)(layers.TimeDistributed(layers.Flatten())(y))


def test_frames_and_volumes_meet(keras: Any, float64: None, tmp_path: Path) -> None:
    x = keras.Input((4, 8, 8, 2))
    check(keras.Model(x, images(keras.layers, x)), [np.random.default_rng(0).normal(size=(2, 4, 8, 8, 2))], tmp_path)


def next_frame(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((4, 8, 8, 1))
    y = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(x)
    y = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(layers.BatchNormalization()(y))
    return keras.Model(x, layers.Conv3D(1, 3, padding="same")(y))


def test_convolutional_recurrence_needs_no_permutes(keras: Any, float64: None, tmp_path: Path) -> None:
    check(next_frame(keras), [np.random.default_rng(0).normal(size=(2, 4, 8, 8, 1))], tmp_path)
    assert ".permute(" not in (tmp_path / "net.py").read_text()


STATEFUL: dict[str, tuple[tuple[int, ...], Callable[[Any], list[Any]]]] = {
    "stacked": (
        STEPS,
        lambda layers: [layers.LSTM(3, stateful=True, return_sequences=True), layers.GRU(2, stateful=True)],
    ),
    "masked": (STEPS, lambda layers: [layers.Masking(), layers.LSTM(3, stateful=True)]),
    "both_ways": (STEPS, lambda layers: [layers.Bidirectional(layers.LSTM(3, stateful=True))]),
    "images": ((4, 6, 6, 2), lambda layers: [layers.ConvLSTM2D(3, 3, stateful=True)]),
}


@pytest.mark.parametrize(("shape", "stack"), STATEFUL.values(), ids=STATEFUL.keys())
def test_stateful_layers_go_on_where_they_stopped(
    shape: tuple[int, ...], stack: Any, keras: Any, float64: None, tmp_path: Path
) -> None:
    x = y = keras.Input(batch_shape=(2, *shape))
    for layer in stack(keras.layers):
        y = layer(y)
    model = keras.Model(x, y)
    net, result = converted(model, tmp_path, ".keras")
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(2, *shape)) for _ in range(3)]
    batches[1][0, -1:] = 0
    wanted = [np.asarray(model(batch, training=False)) for batch in batches]
    for _ in range(2):
        for batch, want in zip(batches, wanted, strict=True):
            parity.assert_close(parity.run(net, result, [batch])[0], want)
        net.reset_states()


def test_a_stateful_layer_needs_a_batch_size(keras_2: Any, tmp_path: Path) -> None:
    model = keras_2.Sequential([keras_2.layers.LSTM(3, stateful=True, batch_input_shape=(2, *STEPS))])
    config = model.to_json().replace("[2, 6, 3]", "[null, 6, 3]")
    (tmp_path / "model.json").write_text(config)
    model.save_weights(tmp_path / "model.h5")
    with pytest.raises(k2t.UnsupportedError, match="batch_shape"):
        k2t.convert(tmp_path / "model.json", weights=tmp_path / "model.h5")


def test_a_cell_of_ones_own_is_named(keras: Any, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("Mine")
    class Cell(keras.layers.SimpleRNNCell):  # type: ignore[name-defined, misc]
        pass

    model = keras.Sequential([keras.Input(STEPS), keras.layers.RNN(Cell(4))])
    model.save(tmp_path / "model.keras")
    with pytest.raises(k2t.UnsupportedError, match="Mine>Cell"):
        k2t.convert(tmp_path / "model.keras")


TRAINED: dict[str, Callable[[Any], Any]] = {
    "lstm": lambda layers: layers.LSTM(4),
    "gru": lambda layers: layers.GRU(4, return_sequences=True),
    "reset_before": lambda layers: layers.GRU(4, reset_after=False),
    "any_activation": lambda layers: layers.LSTM(4, activation="softsign"),
    "both_ways": lambda layers: layers.Bidirectional(layers.LSTM(4)),
}


@pytest.mark.parametrize("kind", TRAINED.values(), ids=TRAINED.keys())
def test_gradients_are_those_of_keras(kind: Any, keras: Any, float64: None, tmp_path: Path) -> None:
    import tensorflow as tf

    x = keras.Input(STEPS)
    model = keras.Model(x, kind(keras.layers)(keras.layers.Masking()(x)))
    net, _ = converted(model, tmp_path, ".keras")
    (inputs,) = sequences()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs, training=True) ** 2)
    wanted = tape.gradient(loss, model.trainable_variables)
    (net.train()(torch.from_numpy(inputs)) ** 2).sum().backward()
    got = [parameter.grad for parameter in net.parameters() if parameter.requires_grad]
    assert sum(grad.numel() for grad in got) == sum(int(np.prod(grad.shape)) for grad in wanted)
    for total in (np.sum, lambda array: np.sum(np.square(array))):
        ours = sum(total(grad.numpy()) for grad in got)
        np.testing.assert_allclose(ours, sum(total(np.asarray(grad)) for grad in wanted), rtol=1e-9)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_dropout_acts_in_training_alone(name: str, keras: Any, float64: None, tmp_path: Path) -> None:
    layer = getattr(keras.layers, name)(4, dropout=0.4, recurrent_dropout=0.4, return_sequences=True)
    net, _ = converted(keras.Sequential([keras.Input(STEPS), layer]), tmp_path, ".keras")
    x = torch.ones(2, *STEPS, dtype=torch.float64)
    assert torch.equal(net(x), net(x))
    assert not torch.equal(net.train()(x), net(x))


def test_dropout_of_the_input_is_the_same_at_every_step(keras: Any, float64: None, tmp_path: Path) -> None:
    net, _ = converted(keras.Sequential([keras.Input(STEPS), keras.layers.LSTM(4, dropout=0.5)]), tmp_path, ".keras")
    kept = net.train().dropout(torch.ones(8, *STEPS))
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert set(kept.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("kind", [*TRAINED.values(), lambda layers: layers.LSTM(4, return_state=True)])
def test_recurrent_layers_export_with_any_batch(kind: Any, keras: Any, tmp_path: Path) -> None:
    x = keras.Input(STEPS)
    model = keras.Model(x, kind(keras.layers)(keras.layers.Masking()(x)))
    net, _ = converted(model, tmp_path, ".keras")
    given = torch.from_numpy(sequences()[0])
    program = torch.export.export(net, (given[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    torch.testing.assert_close(program(given), net(given))


@pytest.mark.parametrize("both", [False, True], ids=["one direction", "both directions"])
def test_recurrent_layers_that_are_alike_become_one_of_several_layers(
    both: bool, keras: Any, float64: None, tmp_path: Path
) -> None:
    x = inputs = keras.Input(STEPS)
    for _ in range(3):
        layer = keras.layers.LSTM(4, return_sequences=True)
        x = keras.layers.Bidirectional(layer)(x) if both else layer(x)
    model = keras.Model(inputs, [keras.layers.LSTM(5)(x), keras.layers.GRU(4)(x)])
    check(model, sequences(), tmp_path)
    source = (tmp_path / "net.py").read_text()
    assert source.count("num_layers=3") == source.count("nn.GRU(") == 1
    assert source.count("nn.LSTM(") == 2
