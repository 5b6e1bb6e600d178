"""Each release's spelling of a layer becomes today's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k2t.read.eras import Era, modern_layer

KERAS_1 = Era((1, 2, 2), "tensorflow")
KERAS_1_THEANO = Era((1, 2, 2), "theano", data_format="channels_first")
KERAS_2 = Era((2, 2, 4), "tensorflow")
KERAS_2_THEANO = Era((2, 2, 4), "theano")
TF_KERAS = Era.parse("2.2.4-tf", "tensorflow")
TF_2_8 = Era.parse("2.8.0", "tensorflow")
KERAS_3 = Era.parse("3.9.2", "tensorflow")

FIRST, LAST = {"data_format": "channels_first"}, {"data_format": "channels_last"}


@pytest.mark.parametrize(
    ("text", "version", "tf_keras"),
    [
        ("1.2.2", (1, 2, 2), False),
        ("2.3.1", (2, 3, 1), False),
        ("2.2.4-tf", (2, 2, 4), True),
        ("2.4.0", (2, 4, 0), True),
        ("2.15.0", (2, 15, 0), True),
        ("3.0.0", (3, 0, 0), False),
        ("0.1.7", (3, 0), False),
        ("3.4.0.dev2024", (3, 4, 0), False),
        ("", (), False),
        ("unknown", (), False),
        ("9" * 5000, (999999999,), False),
    ],
)
def test_the_version_tells_keras_from_tf_keras(text: str, version: tuple[int, ...], tf_keras: bool) -> None:
    era = Era.parse(text, "TensorFlow")
    assert (era.version, era.backend, era.tf_keras) == (version, "tensorflow", tf_keras)


def test_keras_1_is_recognised_by_its_options_where_the_file_names_no_version() -> None:
    entry = {"class_name": "Dense", "config": {"output_dim": 3, "W_regularizer": None}}
    assert Era.guess("", "", [entry]).keras_1
    assert not Era.guess("", "", [{"class_name": "Dense", "config": {"units": 3}}]).keras_1


def test_theano_is_recognised_by_its_dimension_order() -> None:
    config = [{"class_name": "Convolution2D", "config": {"dim_ordering": "th"}}]
    assert Era.guess("1.1.0", "", config) == Era((1, 1, 0), "theano", data_format="channels_first")
    config[0]["config"]["dim_ordering"] = "tf"
    assert Era.guess("1.1.0", "", config) == Era((1, 1, 0), "tensorflow")


def test_without_a_dimension_order_the_release_tells_the_backend() -> None:
    config = [{"class_name": "ZeroPadding2D", "config": {"padding": [1, 1]}}]
    assert Era.guess("1.0.8", "", config) == Era((1, 0, 8), "theano", data_format="channels_first")
    assert Era.guess("1.1.0", "", config) == Era((1, 1, 0), "tensorflow")
    assert Era.guess("2.0.0", "theano", config) == Era((2, 0, 0), "theano")


BEFORE_AFTER: list[tuple[Era, str, dict[str, Any], str, dict[str, Any]]] = [
    # Keras 1, layer by layer
    (
        KERAS_1,
        "Convolution1D",
        {
            "nb_filter": 4,
            "filter_length": 3,
            "subsample_length": 2,
            "border_mode": "same",
            "input_dim": 5,
            "bias": True,
        },
        "Conv1D",
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": True},
    ),
    (
        KERAS_1,
        "AtrousConvolution1D",
        {"filter_length": 3, "atrous_rate": 2},
        "Conv1D",
        {"kernel_size": 3, "dilation_rate": 2},
    ),
    (
        KERAS_1,
        "Convolution2D",
        {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "subsample": [2, 1], "dim_ordering": "th", "init": "he_normal"},
        "Conv2D",
        {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "kernel_initializer": "he_normal"} | FIRST,
    ),
    (
        KERAS_1,
        "AtrousConvolution2D",
        {"atrous_rate": [2, 2], "dim_ordering": "tf"},
        "Conv2D",
        {"dilation_rate": [2, 2]} | LAST,
    ),
    (
        KERAS_1,
        "Convolution3D",
        {"kernel_dim1": 1, "kernel_dim2": 2, "kernel_dim3": 3, "dim_ordering": "tf"},
        "Conv3D",
        {"kernel_size": [1, 2, 3]} | LAST,
    ),
    (
        KERAS_1,
        "SeparableConvolution2D",
        {"nb_row": 3, "nb_col": 3, "depth_multiplier": 2, "dim_ordering": "tf", "b_regularizer": None},
        "SeparableConv2D",
        {"kernel_size": [3, 3], "depth_multiplier": 2, "bias_regularizer": None} | LAST,
    ),
    (
        KERAS_1,
        "MaxPooling1D",
        {"pool_length": 2, "stride": 3, "border_mode": "valid"},
        "MaxPooling1D",
        {"pool_size": 2, "strides": 3, "padding": "valid"},
    ),
    (KERAS_1, "GlobalMaxPooling2D", {"dim_ordering": "default"}, "GlobalMaxPooling2D", LAST),
    (
        KERAS_1,
        "Dense",
        {"output_dim": 4, "input_dim": 5, "bias": False, "W_constraint": None, "activation": "relu"},
        "Dense",
        {"units": 4, "use_bias": False, "kernel_constraint": None, "activation": "relu"},
    ),
    (KERAS_1, "TimeDistributedDense", {"output_dim": 4, "input_length": 3}, "Dense", {"units": 4}),
    (
        KERAS_1,
        "MaxoutDense",
        {"output_dim": 4, "nb_feature": 3, "bias": True},
        "MaxoutDense",
        {"units": 4, "nb_feature": 3, "use_bias": True},
    ),
    (KERAS_1, "Highway", {"transform_bias": -2, "activation": "relu"}, "Highway", {"activation": "relu"}),
    (
        KERAS_1,
        "Embedding",
        {"input_dim": 9, "output_dim": 4, "init": "uniform", "dropout": 0.0, "input_length": 6, "mask_zero": True},
        "Embedding",
        {"input_dim": 9, "output_dim": 4, "embeddings_initializer": "uniform", "mask_zero": True},
    ),
    (KERAS_1, "Embedding", {"input_dim": 9, "dropout": 0.2}, "Embedding", {"input_dim": 9, "dropout": 0.2}),
    (
        KERAS_1,
        "LSTM",
        {
            "output_dim": 4,
            "inner_activation": "hard_sigmoid",
            "inner_init": "orthogonal",
            "forget_bias_init": "one",
            "dropout_W": 0.1,
            "dropout_U": 0.2,
            "consume_less": "gpu",
            "U_regularizer": None,
            "input_dim": 3,
        },
        "LSTM",
        {
            "units": 4,
            "recurrent_activation": "keras2_hard_sigmoid",
            "recurrent_initializer": "orthogonal",
            "dropout": 0.1,
            "recurrent_dropout": 0.2,
            "recurrent_regularizer": None,
        },
    ),
    (
        KERAS_1,
        "GRU",
        {"output_dim": 4},
        "GRU",
        {"units": 4, "recurrent_activation": "keras2_hard_sigmoid", "reset_after": False},
    ),
    (
        KERAS_1,
        "BatchNormalization",
        {"mode": 0, "axis": 1, "gamma_init": "one"},
        "BatchNormalization",
        {"axis": 1, "gamma_initializer": "one"},
    ),
    (KERAS_1, "BatchNormalization", {"mode": 1}, "BatchNormalization", {"mode": 1}),
    (KERAS_1, "Dropout", {"p": 0.3}, "Dropout", {"rate": 0.3}),
    (KERAS_1, "GaussianNoise", {"sigma": 0.3}, "GaussianNoise", {"stddev": 0.3}),
    (KERAS_1, "GaussianDropout", {"p": 0.3}, "GaussianDropout", {"rate": 0.3}),
    (KERAS_1, "SpatialDropout2D", {"p": 0.3}, "SpatialDropout2D", {"rate": 0.3} | LAST),
    (KERAS_1, "PReLU", {"init": "zero"}, "PReLU", {"alpha_initializer": "zero"}),
    (KERAS_1, "SReLU", {"t_left_init": "zero"}, "SReLU", {"t_left_initializer": "zero"}),
    (
        KERAS_1,
        "ParametricSoftplus",
        {"alpha_init": 0.2, "beta_init": 5.0},
        "ParametricSoftplus",
        {"alpha_initializer": 0.2, "beta_initializer": 5.0},
    ),
    (KERAS_1, "UpSampling1D", {"length": 3}, "UpSampling1D", {"size": 3}),
    (KERAS_1_THEANO, "UpSampling2D", {"size": [2, 2]}, "UpSampling2D", {"size": [2, 2]} | FIRST),
    (KERAS_1, "ZeroPadding1D", {"padding": {"left_pad": 1}}, "ZeroPadding1D", {"padding": [1, 0]}),
    (KERAS_1, "ZeroPadding2D", {"padding": [1, 2]}, "ZeroPadding2D", {"padding": [1, 2]} | LAST),
    (KERAS_1, "ZeroPadding2D", {"padding": [1, 2, 3, 4]}, "ZeroPadding2D", {"padding": [[1, 2], [3, 4]]} | LAST),
    (
        KERAS_1,
        "ZeroPadding2D",
        {"padding": {"top_pad": 1, "right_pad": 4}},
        "ZeroPadding2D",
        {"padding": [[1, 0], [0, 4]]} | LAST,
    ),
    (KERAS_1, "RepeatVector", {"n": 3}, "RepeatVector", {"n": 3}),
    # Merge has become a class for each mode
    *(
        (
            KERAS_1,
            "Merge",
            {"name": "m", "mode": mode, "concat_axis": -1, "dot_axes": -1, "mode_type": "raw"},
            kind,
            {"name": "m"},
        )
        for mode, kind in {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}.items()
    ),
    (KERAS_1, "Merge", {"mode": "concat", "concat_axis": 1}, "Concatenate", {"axis": 1}),
    (KERAS_2, "Merge", {"mode": "dot", "dot_axes": [2, 2]}, "Dot", {"axes": [2, 2], "normalize": False}),
    (KERAS_1, "Merge", {"mode": "cos", "dot_axes": 1}, "Merge", {"mode": "cos", "dot_axes": 1}),
    (KERAS_1, "Merge", {"mode": ["code"], "mode_type": "lambda"}, "Merge", {"mode": ["code"], "mode_type": "lambda"}),
    # Keras 2 and tf.keras
    (
        KERAS_2,
        "CuDNNLSTM",
        {"units": 4},
        "LSTM",
        {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True},
    ),
    (
        KERAS_2,
        "CuDNNGRU",
        {"units": 4, "num_constants": None},
        "GRU",
        {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True},
    ),
    (
        TF_2_8,
        "LSTM",
        {"units": 4, "time_major": False, "implementation": 2, "unroll": False, "recurrent_activation": "sigmoid"},
        "LSTM",
        {"units": 4, "unroll": False, "recurrent_activation": "sigmoid"},
    ),
    (TF_2_8, "LSTM", {"time_major": True}, "LSTM", {"time_major": True, "recurrent_activation": "sigmoid"}),
    (Era((2, 3, 1), "tensorflow"), "LSTM", {"units": 1}, "LSTM", {"units": 1, "recurrent_activation": "sigmoid"}),
    (KERAS_2, "LSTMCell", {"units": 1}, "LSTMCell", {"units": 1, "recurrent_activation": "keras2_hard_sigmoid"}),
    (
        TF_KERAS,
        "BatchNormalizationV1",
        {"axis": [3], "fused": True, "renorm": False, "virtual_batch_size": None, "momentum": 0.9},
        "BatchNormalization",
        {"axis": 3, "renorm": False, "momentum": 0.9},
    ),
    (TF_2_8, "BatchNormalization", {"axis": [1, 2]}, "BatchNormalization", {"axis": [1, 2]}),
    (TF_2_8, "BatchNormalization", {"virtual_batch_size": 8}, "BatchNormalization", {"virtual_batch_size": 8}),
    (TF_2_8, "SyncBatchNormalization", {"axis": -1}, "BatchNormalization", {"axis": -1, "synchronized": True}),
    (TF_2_8, "LocallyConnected1D", {"implementation": 1}, "LocallyConnected1D", {}),
    (TF_2_8, "LocallyConnected1D", {"implementation": 2}, "LocallyConnected1D", {"implementation": 2}),
    (KERAS_2, "LeakyReLU", {"alpha": 0.2}, "LeakyReLU", {"negative_slope": 0.2}),
    (KERAS_2, "ELU", {"alpha": 0.2}, "ELU", {"alpha": 0.2}),
    (TF_2_8, "DepthwiseConv2D", {"groups": 1, "depth_multiplier": 2}, "DepthwiseConv2D", {"depth_multiplier": 2}),
    (TF_2_8, "Conv2DTranspose", {"groups": 2}, "Conv2DTranspose", {"groups": 2}),
    (TF_2_8, "Conv2D", {"groups": 2}, "Conv2D", {"groups": 2}),
    (TF_2_8, "Embedding", {"input_dim": 3, "input_length": 4, "sparse": False}, "Embedding", {"input_dim": 3}),
    (
        TF_2_8,
        "MultiHeadAttention",
        {"num_heads": 2, "query_shape": [None, 3, 4]},
        "MultiHeadAttention",
        {"num_heads": 2},
    ),
    (TF_2_8, "Attention", {"causal": True}, "Attention", {"causal": True}),
    (KERAS_2, "Cropping1D", {"cropping": [1, 1], "data_format": "channels_last"}, "Cropping1D", {"cropping": [1, 1]}),
    (KERAS_2, "SpatialDropout1D", {"rate": 0.1, "noise_shape": None}, "SpatialDropout1D", {"rate": 0.1}),
    # values that have changed their meaning
    (KERAS_2, "Activation", {"activation": "hard_sigmoid"}, "Activation", {"activation": "keras2_hard_sigmoid"}),
    (KERAS_3, "Activation", {"activation": "hard_sigmoid"}, "Activation", {"activation": "hard_sigmoid"}),
    (TF_2_8, "Activation", {"activation": "swish"}, "Activation", {"activation": "silu"}),
    (KERAS_2, "UpSampling2D", {"interpolation": "bilinear"}, "UpSampling2D", {"interpolation": "keras2_tf1_bilinear"}),
    (
        KERAS_2_THEANO,
        "UpSampling2D",
        {"interpolation": "bilinear"},
        "UpSampling2D",
        {"interpolation": "theano_bilinear"},
    ),
    (TF_KERAS, "UpSampling2D", {"interpolation": "bilinear"}, "UpSampling2D", {"interpolation": "bilinear"}),
    # nothing is dropped unseen
    (KERAS_1, "Dense", {"novelty": 1}, "Dense", {"novelty": 1}),
    (
        KERAS_3,
        "MultiHeadAttention",
        {"use_gate": False, "seed": None},
        "MultiHeadAttention",
        {"use_gate": False, "seed": None},
    ),
    (KERAS_3, "LSTM", {"time_major": False}, "LSTM", {}),
]


@pytest.mark.parametrize(
    ("era", "kind", "config", "new_kind", "new_config"),
    BEFORE_AFTER,
    ids=[f"{'.'.join(map(str, case[0].version))}-{case[1]}-{number}" for number, case in enumerate(BEFORE_AFTER)],
)
def test_a_layer_is_spelled_as_today(
    era: Era, kind: str, config: dict[str, Any], new_kind: str, new_config: dict[str, Any]
) -> None:
    given = json.dumps(config)
    assert modern_layer(kind, config, era) == (new_kind, new_config)
    assert json.dumps(config) == given, "the caller's configuration was changed"


@pytest.mark.parametrize(
    ("kind", "options", "alike"),
    [
        ("Conv2D", {"kernel_size": [3, 5]}, True),
        ("Conv2D", {"kernel_size": [3, 3], "strides": [2, 2]}, False),
        ("Conv1D", {"kernel_size": 2}, False),
        ("Conv2DTranspose", {"kernel_size": [3, 3], "strides": [2, 2]}, False),
        ("MaxPooling2D", {"pool_size": [2, 2]}, False),
        ("AveragePooling2D", {"pool_size": [3, 3], "strides": [1, 1]}, True),
        ("AveragePooling2D", {"pool_size": [5, 5], "strides": [1, 1]}, False),
        ("MaxPooling1D", {"pool_size": 3, "strides": None}, False),
    ],
)
def test_theano_pads_alike_only_where_the_window_has_a_centre(kind: str, options: dict[str, Any], alike: bool) -> None:
    config = {**options, "padding": "same"}
    for era, other in ((KERAS_2_THEANO, "theano_same"), (Era((2, 2, 4), "cntk"), "cntk_same")):
        assert modern_layer(kind, config, era)[1]["padding"] == ("same" if alike else other)
    assert modern_layer(kind, config, KERAS_2)[1]["padding"] == "same"


@pytest.mark.parametrize(
    ("mode", "size", "stride", "left"),
    [
        ("valid", 7, 1, {}),  # 5 -> 7, what a kernel of 3 gives
        ("valid", 11, 2, {}),  # 5 -> 11
        ("valid", 12, 2, {"output_padding": [1, 1]}),
        ("same", 10, 2, {}),  # 5 -> 10
        ("same", 9, 2, {"output_padding": [0, 0]}),
        ("same", None, 2, {"output_shape": [None, None, None, 4]}),
    ],
)
def test_the_output_shape_of_a_deconvolution_becomes_output_padding(
    mode: str, size: int | None, stride: int, left: dict[str, Any]
) -> None:
    config = {"nb_row": 3, "nb_col": 3, "subsample": [stride] * 2, "border_mode": mode, "dim_ordering": "tf"}
    _, options = modern_layer("Deconvolution2D", config | {"output_shape": [None, size, size, 4]}, KERAS_1)
    assert {key: options[key] for key in options if key.startswith("output")} == left
