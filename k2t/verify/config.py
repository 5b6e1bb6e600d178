"""Edits of a Keras configuration before a library builds the reference from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

FLOATS = {"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"}
POLICIES = {"Policy", "PolicyV1", "DTypePolicy", "FloatDTypePolicy"}
MODELS = {"Model", "Functional", "Sequential", "TensorFlowOpLayer", "TFOpLambda", "SlicingOpLambda", "ClassMethod"}
RENAMED = {
    *("Convolution1D", "Convolution2D", "Convolution3D", "AtrousConvolution1D", "AtrousConvolution2D", "Merge"),
    *("Deconvolution2D", "SeparableConvolution2D", "TimeDistributedDense", "CuDNNLSTM", "CuDNNGRU"),
}


AUGMENTATION = {f"Random{name}" for name in ("Brightness", "Contrast", "Flip", "Rotation", "Translation", "Zoom")}


def objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every dict in a configuration, outer ones first."""
    if isinstance(config, dict):
        yield config
        for item in config.values():
            yield from objects(item)
    elif isinstance(config, list):
        for item in config:
            yield from objects(item)


def layer_classes(config: Any) -> set[str]:
    """Class names of all layers and models in a configuration; operations of Keras 3 are none."""
    found = set()
    for item in [{"layer": config}, *objects(config)]:
        options = item.get("config", item)
        listed = options if isinstance(options, list) else item.get("layers", [])  # Keras 1 has a list for a Sequential
        for layer in [*(listed if isinstance(listed, list) else []), item.get("layer")]:
            if isinstance(layer, dict) and isinstance(layer.get("class_name"), str):
                is_operation = str(layer.get("module", "")).startswith("keras.src.ops")
                found |= set() if is_operation else {layer["class_name"]}
    return found


def with_dtype(config: Any, dtype: str) -> Any:
    """The configuration with every floating-point dtype and policy replaced, mixed ones included."""
    if isinstance(config, list):
        return [with_dtype(item, dtype) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: dtype if key in ("dtype", "source_name") and _is_float(value) else with_dtype(value, dtype)
        for key, value in config.items()
    }


def _is_float(value: Any) -> bool:
    if isinstance(value, dict) and value.get("class_name") in POLICIES:
        value = (value.get("config") or {}).get("name")
    return isinstance(value, str) and value in FLOATS


def _as_identity(item: dict[str, Any]) -> None:
    """Augmentation does nothing in inference, and some of it builds in float32 only."""
    item["config"] = {"activation": "linear"} | {
        key: value for key, value in item["config"].items() if key in ("name", "dtype", "batch_input_shape")
    }
    item["class_name"] = "Activation"
    item.pop("build_config", None)


def for_tf_keras(config: Any) -> Any:
    """What files older than tf-keras leave unsaid or name otherwise.

    CuDNN layers run on a GPU only; tf-keras's own weight loader converts their arrays to the plain layers,
    which compute the same. A GRU saved before `reset_after` existed (Keras 2.1.3) has it off.
    """
    for item in objects(config):
        options = item.get("config")
        if not isinstance(options, dict):
            continue
        if item.get("class_name") == "CuDNNLSTM":
            item["class_name"] = "LSTM"
        elif item.get("class_name") == "CuDNNGRU":
            item["class_name"] = "GRU"
            options["reset_after"] = True
        elif item.get("class_name") == "GRU":
            options.setdefault("reset_after", False)
        elif item.get("class_name") in AUGMENTATION:
            _as_identity(item)
        options.pop("time_major", None)
    return config
