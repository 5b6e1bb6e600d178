"""Keras's history: layers and weights of any release as today's Keras has them, with the values that they meant."""

from __future__ import annotations

from typing import Any

from k2t.read.eras.era import Era
from k2t.read.eras.keras1 import from_keras_1
from k2t.read.eras.keras2 import activation, drop_inert, from_keras_2
from k2t.read.eras.weights import modern_weights

__all__ = ["Era", "modern_layer", "modern_weights"]


def modern_layer(class_name: str, config: dict[str, Any], era: Era) -> tuple[str, dict[str, Any]]:
    """A layer's class and configuration in today's spelling; wrapped layers and nested models are left as they are.

    What has no equal today keeps its old name, so that the rules refuse it by name.
    """
    config = dict(config)
    if era.keras_1:
        class_name, config = from_keras_1(class_name, config, era)
    if era.before_keras_3:
        class_name, config = from_keras_2(class_name, config, era)
    drop_inert(class_name, config)
    for key in ("activation", "recurrent_activation"):
        if key in config:
            config[key] = activation(config[key], era)
    return class_name, config
