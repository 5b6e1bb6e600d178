"""Keras's history: layers and weights of any release as today's Keras has them, with the values that they meant."""

from __future__ import annotations

from typing import Any

from k2t.read.eras.era import Era
from k2t.read.eras.keras1 import from_keras_1
from k2t.read.eras.keras2 import activation, from_keras_2
from k2t.read.eras.weights import modern_weights

__all__ = ["Era", "modern_layer", "modern_weights"]


def modern_layer(class_name: str, config: dict[str, Any], era: Era) -> tuple[str, dict[str, Any]]:
    """A layer's class and configuration in today's spelling; wrapped layers and nested models are left as they are.

    What has no equal today keeps its old name, so that the rules refuse it by name.
    """
    config = {key: plain(value) for key, value in config.items()}
    if era.keras_1:
        class_name, config = from_keras_1(class_name, config, era)
    if era.before_keras_3:
        class_name, config = from_keras_2(class_name, config, era)
    for key in ("activation", "recurrent_activation"):
        if key in config:
            config[key] = activation(config[key], era)
    return class_name, config


def plain(value: Any) -> Any:
    """A number or a tuple that was stored with its type around it."""
    if isinstance(value, dict) and value.keys() == {"type", "value"}:
        return value["value"]
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return [plain(item) for item in value.get("items", ())]
    return value
