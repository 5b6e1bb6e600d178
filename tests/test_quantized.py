"""Quantized models of Keras 3, and layers with LoRA: saved, and in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest

import k2t
from k2t.errors import UnsupportedError


def network(**options: Any) -> Any:
    """Every layer that Keras quantizes, with odd sizes."""
    import keras
    from keras import layers

    given = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 5)(given)
    x = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")(x)
    x = layers.EinsumDense("abcd,cde->abe", (None, 7))(x)
    x = layers.Dense(5, activation="relu", **options)(x)
    return keras.Model(given, layers.Dense(3, use_bias=False)(x))


def verified(source: Any, folder: Path) -> Any:
    """The conversion, after it has parity in float64."""
    result = k2t.convert(source)
    result.write(folder / "net.py")
    found = k2t.verify(folder / "net.py", source, dtype="float64")
    assert found.ok, found
    return result


CONFIGS = {
    "int8": lambda q: q.Int8QuantizationConfig(),
    "int8, weights only": lambda q: q.Int8QuantizationConfig(activation_quantizer=None),
    "int4": lambda q: q.Int4QuantizationConfig(),
    "int4 in blocks": lambda q: q.Int4QuantizationConfig(block_size=2),
    "int4, each output": lambda q: q.Int4QuantizationConfig(block_size=None),
    "float8": lambda q: q.Float8QuantizationConfig(),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("saved", [True, False], ids=["archive", "live"])
def test_quantized_model_computes_what_keras_computes(config: Any, saved: bool, tmp_path: Path) -> None:
    import keras

    model = network()
    parity.randomize(model)
    model.quantize(config=config(keras.quantizers))
    for layer in model.layers:
        for name in ("inputs_scale", "kernel_scale") if hasattr(layer, "inputs_scale") else ():
            getattr(layer, name).assign(0.013)
    if saved:
        model.save(tmp_path / "model.keras")
    result = verified(tmp_path / "model.keras" if saved else model, tmp_path)
    indices = np.random.default_rng(0).integers(0, 7, (3, 5))
    net = parity.load_net(tmp_path / "net.py").load()
    got = parity.run(net, result, [indices])[0]
    want = np.asarray(model(indices.astype("int32")))
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())


@pytest.mark.parametrize("config", [c for name, c in CONFIGS.items() if name != "float8"])
@pytest.mark.parametrize("tied", [True, False])
def test_quantized_table_for_tokens_and_logits(config: Any, tied: bool, tmp_path: Path) -> None:
    import keras

    table = keras.layers.ReversibleEmbedding(7, 5, tie_weights=tied, logit_soft_cap=3.0)
    given = keras.Input((4,), dtype="int32")
    model = keras.Model(given, table(keras.layers.LayerNormalization()(table(given)), reverse=True))
    parity.randomize(model)
    model.quantize(config=config(keras.quantizers))
    model.save(tmp_path / "model.keras")
    result = verified(tmp_path / "model.keras", tmp_path)
    indices = np.random.default_rng(0).integers(0, 7, (3, 4))
    got = parity.run(parity.load_net(tmp_path / "net.py").load(), result, [indices])[0]
    want = np.asarray(model(indices.astype("int32")))
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())


def test_integers_stay_integers_in_the_emitted_file(tmp_path: Path) -> None:
    model = network()
    model.quantize("int8")
    result = k2t.convert(model)
    assert {entry.dtype for entry in result.tensors if entry.key.endswith("weight")} == {"int8"}


@pytest.mark.parametrize("policy", ["gptq/4/4", "gptq/8/-1", "gptq/3/2", "awq/4/4"])
def test_calibrated_kernels_are_read(policy: str, tmp_path: Path) -> None:
    import keras

    layers = [keras.layers.Dense(units, dtype=f"{policy}_from_float32") for units in (7, 4)]
    model = keras.Sequential([keras.Input((9,)), *layers])
    rng = np.random.default_rng(0)
    for layer in layers:
        layer.is_gptq_calibrated = layer.is_awq_calibrated = True
        bits = {3: 3}.get(layer.dtype_policy.weight_bits, 8)  # two of four bits fill a byte
        layer.quantized_kernel.assign(rng.integers(0, 1 << bits, layer.quantized_kernel.shape))
        layer.kernel_zero.assign(rng.integers(0, 8, layer.kernel_zero.shape))
        layer.kernel_scale.assign(rng.uniform(0.1, 0.9, layer.kernel_scale.shape))
        layer.g_idx.assign(rng.integers(0, layer.kernel_scale.shape[1], layer.g_idx.shape))
        if policy.startswith("awq"):
            layer.awq_scales.assign(rng.uniform(0.5, 2, layer.awq_scales.shape))
    result = k2t.convert(model)
    result.write(tmp_path / "net.py")
    x = rng.normal(size=(3, 9)).astype("float32")
    got = parity.run(parity.load_net(tmp_path / "net.py").load(), result, [x])[0]
    want = np.asarray(model(x))
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())


def test_einsum_over_inner_axes_is_refused_when_quantized() -> None:
    import keras

    layer = keras.layers.EinsumDense("abc,bd->adc", (4, 7))
    model = keras.Sequential([keras.Input((5, 7)), layer])
    model.quantize("int8")
    with pytest.raises(UnsupportedError, match="no product of last axes"):
        k2t.convert(model)


def adapted() -> Any:
    """LoRA on every layer that has it."""
    import keras
    from keras import layers

    given = keras.Input((6,), dtype="int32")
    x = layers.Embedding(7, 4, lora_rank=2)(given)
    x = layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", lora_rank=3, lora_alpha=2)(x)
    x = layers.Conv1D(5, 3, lora_rank=2, lora_alpha=5)(x)
    inner = keras.Sequential([layers.Dense(4, lora_rank=1), layers.Dense(4, use_bias=False, lora_rank=2)])
    model = keras.Model(given, inner(x))
    parity.randomize(model)
    return model


@pytest.mark.parametrize("form", ["model.keras", "model.h5", "live"])
def test_lora_is_merged_into_the_kernel(form: str, tmp_path: Path) -> None:
    model = adapted()
    if form != "live":
        model.save(tmp_path / form)
    result = verified(model if form == "live" else tmp_path / form, tmp_path)
    indices = np.random.default_rng(0).integers(0, 7, (3, 6))
    got = parity.run(parity.load_net(tmp_path / "net.py").load(), result, [indices])[0]
    want = np.asarray(model(indices.astype("int32")))
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())


def test_lora_on_a_quantized_kernel_is_read_from_an_archive_and_refused_in_memory(tmp_path: Path) -> None:
    model = network()
    model.quantize("int8")
    model.layers[-1].enable_lora(2)
    model.layers[-1].lora_kernel_b.assign(np.ones((2, 3)))
    with pytest.raises(UnsupportedError, match=r"save it as \.keras"):
        k2t.convert(model)
    model.save(tmp_path / "model.keras")
    verified(tmp_path / "model.keras", tmp_path)
