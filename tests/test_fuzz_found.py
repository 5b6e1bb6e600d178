"""What random models have shown: each once was refused, wrong or a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
from fuzz import default_dtype

import k2t
from k2t.verify.training import compare_training

Build = Callable[[Any], Any]
BUILDS: dict[str, Build] = {}


def found(build: Build) -> Build:
    """Registers a model under the name of its function."""
    BUILDS[build.__name__] = build
    return build


@found
def a_mean_over_steps_is_reshaped_to_steps_again(keras: Any) -> Any:
    x = keras.Input((None, 2))
    return keras.Model(x, keras.layers.Reshape((-1, 2))(keras.layers.GlobalAveragePooling1D()(x)))


@found
def a_pipeline(keras: Any) -> Any:
    x = keras.Input((4, 3))
    return keras.Model(x, keras.layers.Pipeline([keras.layers.Rescaling(2.0), keras.layers.Dense(2)])(x))


@found
def numbers_put_into_bins(keras: Any) -> Any:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Discretization([-0.5, 0.0, 0.7], output_mode="one_hot")(x))


@found
def the_function_relu(keras: Any) -> Any:
    x = keras.Input((4, 3))
    return keras.Model(x, keras.activations.relu(x, negative_slope=0.1, max_value=1.0))


@found
def the_function_relu_has_no_mask(keras: Any) -> Any:
    x = keras.Input((4, 3))
    y = keras.activations.relu(keras.layers.Masking(mask_value=0.0)(keras.layers.ReLU()(x) * 0.0))
    return keras.Model(x, keras.layers.LSTM(2)(y))


@found
def grouped_queries(keras: Any) -> Any:
    x = keras.Input((4, 3))
    return keras.Model(x, keras.layers.GroupQueryAttention(2, 4, 2)(x, x))


@found
def a_bias_of_as_many_channels_as_columns(keras: Any) -> Any:
    x = keras.Input((2, 4, 5))
    return keras.Model(x, keras.layers.Conv2DTranspose(5, 1, data_format="channels_first")(x))


@found
def whole_numbers_where_real_ones_are_computed_with(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((4, 3), dtype="int32")
    return keras.Model(x, [layer(x) for layer in (layers.Dense(2), layers.LSTM(2), layers.GlobalAveragePooling1D())])


@found
def several_tensors_from_one_call(keras: Any) -> Any:
    x = keras.Input((4, 3))
    parts = keras.ops.unstack(keras.layers.Dense(6)(x), axis=1)
    return keras.Model(x, [keras.layers.Dense(2)(part) for part in parts])


@found
def layer_normalization_over_axes_in_descending_order(keras: Any) -> Any:
    x = keras.Input((4, 3))
    return keras.Model(x, keras.layers.LayerNormalization(axis=[1, -1])(x))


@found
def steps_in_reverse_order_zeroed_by_the_mask_in_order(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((7, 1))
    loop = layers.SimpleRNN(2, unroll=True, return_sequences=True)
    return keras.Model(x, layers.Bidirectional(loop)(layers.Masking()(layers.ReLU()(x))))


@found
def a_model_that_takes_one_tensor_twice(keras: Any) -> Any:
    layers = keras.layers
    first, second = keras.Input((4, 3)), keras.Input((4, 3))
    inner = keras.Model([first, second], [layers.Conv1D(2, 2)(first), layers.Dense(2)(second)])
    x = keras.Input((4, 3))
    return keras.Model(x, inner([x, x]))


@found
def scores_that_carry_the_mask_of_the_attention(keras: Any) -> Any:
    x = keras.Input((4, 3))
    scores = keras.layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True, return_attention_scores=True)[1]
    return keras.Model(x, keras.layers.Softmax()(scores))


@found
def an_attention_that_takes_the_mask_from_the_next(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((5, 3))
    y = layers.Masking()(layers.ReLU()(x))
    z = layers.Add()([y, layers.MultiHeadAttention(1, 2)(y, y)])
    w = layers.MultiHeadAttention(1, 2)(z, z)
    return keras.Model(x, [w, layers.Maximum()([y, w]), layers.LSTM(2)(w)])


@found
def attention_of_unknown_sizes(keras: Any) -> Any:
    x = keras.Input((None, None, 4))
    return keras.Model(x, keras.ops.dot_product_attention(x, x, x))


@found
def the_first_of_equal_numbers(keras: Any) -> Any:
    x = keras.Input((4, 9))
    return keras.Model(x, keras.ops.top_k(keras.layers.ReLU()(x), 7))


@found
def a_loop_of_convolutions_before_a_convolution_of_one_channel(keras: Any) -> Any:
    x = keras.Input((3, 5, 2))
    return keras.Model(x, keras.layers.Conv1D(1, 3)(keras.layers.ConvLSTM1D(1, 1)(x)))


@found
def whole_numbers_in_layers_around_others(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((4, 4), dtype="int32")
    return keras.Model(x, [layers.MultiHeadAttention(1, 2)(x, x), layers.Bidirectional(layers.LSTM(2))(x)])


@found
def whole_numbers_that_come_out_whole(keras: Any) -> Any:
    x = keras.Input((4, 3), dtype="int32")
    return keras.Model(x, keras.layers.SpectralNormalization(keras.layers.Dense(2))(x))


@found
def a_mask_that_an_attention_inside_has_taken(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((5, 3))
    inner = keras.Model(x, [layers.ReLU()(layers.MultiHeadAttention(1, 2)(x, x)), layers.Dense(2)(x)])
    y = keras.Input((5, 3))
    _, z = inner(layers.Masking()(layers.ReLU()(y)))
    return keras.Model(y, layers.LSTM(2)(layers.Identity()(z)))


@found
def numbers_at_the_threshold(keras: Any) -> Any:
    x = keras.Input((4, 3))
    whole = keras.ops.round(x)
    return keras.Model(x, [keras.layers.ReLU(threshold=1.0, negative_slope=slope)(whole) for slope in (0.0, 0.1)])


@found
def whole_numbers_are_normalized(keras: Any) -> Any:
    x = keras.Input((4,), dtype="int32")
    return keras.Model(x, keras.layers.BatchNormalization()(x))


@found
def a_mask_that_an_attention_has_taken_and_a_nested_model_is_given(keras: Any) -> Any:
    layers = keras.layers
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    inner = keras.Model([x, y], [layers.ELU()(x), layers.Dense(2)(y)])
    z = keras.Input((5, 3))
    masked = layers.Masking()(layers.ReLU()(z))
    return keras.Model(z, layers.LSTM(2)(inner([layers.MultiHeadAttention(1, 2)(masked, masked), masked])[1]))


@found
def two_attentions_of_one_masked_tensor(keras: Any) -> Any:
    x = keras.Input((5, 3))
    y = keras.layers.Masking()(keras.layers.ReLU()(x))
    return keras.Model(x, [keras.layers.MultiHeadAttention(1, 2)(y, y) for _ in range(2)])


@found
def steps_inside_a_model_whose_mask_an_attention_inside_takes(keras: Any) -> Any:
    layers = keras.layers
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    inner = keras.Model(x, layers.LSTM(2)(layers.Add()([x, layers.MultiHeadAttention(1, 2)(x, x)])))
    return keras.Model(y, inner(layers.Masking()(layers.ReLU()(y))))


@found
def whole_numbers_in_a_nested_model_of_real_ones(keras: Any) -> Any:
    inner = keras.Input((4,))
    nested = keras.Model(inner, keras.layers.Dense(2)(inner))
    x = keras.Input((4,))
    return keras.Model(x, nested(keras.layers.Discretization([-0.5, 0.0, 0.75])(x)))


@found
def frames_of_images_inside_frames(keras: Any) -> Any:
    rows = keras.Input((5, 6, 2))
    inner = keras.Model(rows, keras.layers.TimeDistributed(keras.layers.Conv1D(2, 3, padding="same"))(rows))
    x = keras.Input((3, 5, 6, 2))
    y = keras.layers.TimeDistributed(inner)(x)
    return keras.Model(x, keras.layers.ConvLSTM2D(1, 3, padding="same", return_sequences=True)(y))


@found
def a_nested_model_behind_all_others_that_does_nothing(keras: Any) -> Any:
    x, y = keras.Input((3,)), keras.Input((4,))
    nothing = keras.Model(x, keras.ops.transpose(x, (0, 1)))
    return keras.Model(y, nothing(keras.layers.Dense(3)(y)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", BUILDS)
def test_found_models_have_parity(name: str, suffix: str, keras: Any, float64: None, tmp_path: Path) -> None:
    model = BUILDS[name](keras)
    parity.randomize(model)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    result = k2t.convert(path)
    result.write(tmp_path / "net.py")
    net = parity.load_net(tmp_path / "net.py").load()
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0, 3, (3, *(7 if n is None else n for n in x.shape[1:]))) for x in model.inputs]
    inputs = [array.astype(x.dtype) for array, x in zip(inputs, model.inputs, strict=True)]
    with default_dtype("float64"):
        made = parity.run(net, result, inputs)
    for got, want in zip(made, parity.reference(model, inputs), strict=True):
        parity.assert_close(got, want)


def test_normalizing_the_batch_axis_is_refused(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    x = keras.Input((2,), batch_size=3)
    keras.Model(x, keras.layers.BatchNormalization(axis=0)(x)).save(tmp_path / "model.h5")
    with pytest.raises(k2t.UnsupportedError, match="axis=0"):
        k2t.convert(tmp_path / "model.h5")


@pytest.mark.parametrize("kind", ["Rescaling", "Normalization", "Identity"])
def test_layers_that_hand_no_mask_on_in_keras_2(kind: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    layers = keras.layers
    options = {"Rescaling": {"scale": 0.5}, "Normalization": {"mean": 0.5, "variance": 2.0}}
    x = keras.Input((5, 3))
    layer = getattr(layers, kind)(**options.get(kind, {}))
    model = keras.Model(x, layers.GlobalAveragePooling1D()(layer(layers.Masking()(x))))
    model.save(tmp_path / "model.h5")
    k2t.convert(tmp_path / "model.h5").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.h5").ok


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_norms_near_zero_have_the_least_value_of_their_release(library: str, tmp_path: Path) -> None:
    keras = pytest.importorskip(library)
    layers = keras.layers
    x = keras.Input((5, 3))
    tiny = layers.Rescaling(1e-8)(x)
    outputs = [layers.UnitNormalization(axis=axes)(tiny) for axes in (-1, [1, 2])]
    outputs.append(layers.Dot(2, normalize=True)([tiny, x]))
    keras.Model(x, outputs).save(tmp_path / "model.keras")
    k2t.convert(tmp_path / "model.keras").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.keras", dtype="float64").ok


def test_a_number_minus_a_tensor_has_a_reference_in_keras_2(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Dense(3)(1.0 - x)).save(tmp_path / "model.keras")
    k2t.convert(tmp_path / "model.keras").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.keras", dtype="float64").ok


def test_normalizing_whole_numbers_is_refused(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    x = keras.Input((4, 4), dtype="int32")
    keras.Model(x, keras.layers.LayerNormalization()(x)).save(tmp_path / "model.keras")
    with pytest.raises(k2t.UnsupportedError, match="whole numbers"):
        k2t.convert(tmp_path / "model.keras")


def test_cropping_everything_is_refused(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    x = keras.Input((2, 5, 5, 1))
    keras.Model(x, keras.layers.Cropping3D(((1, 2), (0, 0), (0, 0)))(x)).save(tmp_path / "model.h5")
    with pytest.raises(k2t.UnsupportedError, match="leaves nothing"):
        k2t.convert(tmp_path / "model.h5")


def test_dilated_transposed_convolutions_have_a_reference(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    x = keras.Input((5, 5, 2))
    keras.Model(x, keras.layers.Conv2DTranspose(2, 3, dilation_rate=2)(x)).save(tmp_path / "model.keras")
    k2t.convert(tmp_path / "model.keras").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.keras", dtype="float64").ok


def test_scores_carry_the_mask_in_keras_2_too(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    x = keras.Input((4, 3))
    y, scores = keras.layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True, return_attention_scores=True)
    keras.Model(x, [y, keras.layers.Softmax()(scores)]).save(tmp_path / "model.h5")
    k2t.convert(tmp_path / "model.h5").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.h5", dtype="float64").ok


def queries_that_may_see_nothing(keras: Any) -> Any:
    x = keras.Input((5, 3))
    y = keras.layers.Masking()(x)
    return keras.Model(x, keras.layers.MultiHeadAttention(2, 3)(y, y))


def slopes_below_zero(keras: Any) -> Any:
    x = keras.Input((5, 3))
    return keras.Model(x, keras.layers.ReLU(negative_slope=0.1)(keras.layers.Dense(2)(x)))


def statistics_of_the_steps_that_are_not_masked(keras: Any) -> Any:
    x = keras.Input((5, 3))
    y = keras.layers.BatchNormalization()(keras.layers.Masking()(x))
    return keras.Model(x, keras.layers.BatchNormalization(axis=1, center=False)(y))


def statistics_of_all_steps_of_all_frames(keras: Any) -> Any:
    x = keras.Input((5, 3))
    layer = keras.layers.BatchNormalization(axis=1)
    return keras.Model(x, keras.layers.TimeDistributed(layer)(keras.layers.Masking()(x)))


@pytest.mark.parametrize(
    ("library", "build"),
    [
        ("tf_keras", statistics_of_all_steps_of_all_frames),
        ("keras", queries_that_may_see_nothing),
        ("tf_keras", queries_that_may_see_nothing),
        ("tf_keras", slopes_below_zero),
        ("keras", statistics_of_the_steps_that_are_not_masked),
        ("tf_keras", statistics_of_the_steps_that_are_not_masked),
    ],
)
def test_gradients_of_found_models_agree(library: str, build: Build, tmp_path: Path) -> None:
    keras = pytest.importorskip(library)
    keras.backend.clear_session()
    model = build(keras)
    parity.randomize(model)
    model.save(tmp_path / "model.keras")
    k2t.convert(tmp_path / "model.keras").write(tmp_path / "net.py")
    training = compare_training(tmp_path / "net.py", tmp_path / "model.keras")
    assert training.ok, training
