"""When and on what a model was saved: the Keras release and its backend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Configuration keys that only Keras 1 wrote.
KERAS_1_KEYS = frozenset(
    {"border_mode", "nb_filter", "dim_ordering", "W_regularizer", "inner_activation", "input_dtype"}
)
KERAS_1_LAYERS = ("Merge", "MaxoutDense", "Highway", "TimeDistributedDense")


@dataclass(frozen=True)
class Era:
    """The release of Keras that saved a model, as far as it changes what the file means.

    Attributes:
        version: of Keras, such as (2, 2, 4); empty where the file does not say.
        backend: tensorflow, theano, cntk, jax, torch, or "" where the file does not say.
        tf_keras: whether it was TensorFlow's own copy, `tf.keras`.
        data_format: what a layer means that does not state its own.
        old_calls: of code: whether its Keras took `Conv2D(64, 3, 3)` as Keras 1 had it; tf.keras never did.
    """

    version: tuple[int, ...]
    backend: str
    tf_keras: bool = False
    data_format: str = "channels_last"
    old_calls: bool = False

    @classmethod
    def parse(cls, keras_version: str, backend: str) -> Era:
        """From the attributes of a file: "2.2.4-tf" and "tensorflow".

        From 2.4 on, Keras was tf.keras under another name; Keras 3 is itself again, first as Keras Core 0.1.
        """
        numbers = re.match(r"[0-9]{1,9}(\.[0-9]{1,9})*", keras_version.strip())
        version = tuple(int(part) for part in numbers.group().split(".")) if numbers else ()
        if version[:1] == (0,):
            version = (3, 0)
        return cls(version, backend.lower(), keras_version.endswith("-tf") or (2, 4) <= version < (3,))

    @classmethod
    def guess(cls, keras_version: str, backend: str, config: Any) -> Era:
        """Like `parse`; what the attributes leave open is taken from the model's configuration.

        Files of Keras 1 name no backend, and some of its layers (ZeroPadding2D, UpSampling2D, Cropping2D) do not
        store the dimension order. What other layers say was the default; "th" is how Theano was used. Where none
        does, the release tells: until 1.0.8 the default was Theano with "th", then TensorFlow with "tf".
        """
        era = cls.parse(keras_version, backend)
        version = era.version
        if not version and any(is_keras_1(node) for node in nodes(config)):
            version = (1,)
        if version[:1] != (1,):
            return cls(version, era.backend, era.tf_keras)
        orders = [order for node in nodes(config) if (order := node.get("dim_ordering")) in ("th", "tf")]
        first = "th" in orders or (not orders and (1, 0) <= version < (1, 1))
        data_format = "channels_first" if first else "channels_last"
        return cls(version, era.backend or ("theano" if first else "tensorflow"), data_format=data_format)

    @property
    def keras_1(self) -> bool:
        """Whether it is Keras 1.0 to 1.2."""
        return self.version[:1] == (1,)

    @property
    def before_keras_3(self) -> bool:
        """Whether it is older than Keras 3; a file without a version is."""
        return self.version < (3,)


def nodes(config: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary inside a configuration."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield item
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


def is_keras_1(node: dict[str, Any]) -> bool:
    """Whether a layer's configuration, or the entry that holds it, is spelled as only Keras 1 did."""
    return not KERAS_1_KEYS.isdisjoint(node) or node.get("class_name") in KERAS_1_LAYERS
