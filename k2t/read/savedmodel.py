"""SavedModel folders of tf.keras: what Keras noted of the model, and the checkpoint of its variables.

The TensorFlow graphs in them are programs and are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from k2t.errors import ReadError
from k2t.read.bundle import Bundle
from k2t.read.protobuf import Message
from k2t.read.raw import refuse_pointer
from k2t.read.values import parsed

GRAPH, METADATA, VARIABLES = "saved_model.pb", "keras_metadata.pb", "variables/variables"
NO_KERAS = (
    "a SavedModel without Keras metadata, which holds TensorFlow graphs and no layers; "
    "load the model in the Keras that made it and save it as .keras or .h5"
)


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds.

    Attributes:
        config: of the model, as Keras serializes it.
        variables: the checkpoint.
    """

    config: dict[str, Any]
    keras_version: str
    variables: Bundle


def open_savedmodel(folder: Path) -> SavedModel:
    """The model in a folder; its arrays stay where they are.

    Raises:
        ReadError: Keras did not make it, or it is damaged.
    """
    noted = _noted(folder / METADATA) if (folder / METADATA).is_file() else _noted_in_graph(folder / GRAPH)
    metadata = parsed(noted, f"{folder}:{METADATA}") if noted else None
    if not isinstance(metadata, dict):
        raise ReadError(f"{folder}: {NO_KERAS}")
    config = {key: metadata[key] for key in ("class_name", "config") if key in metadata}
    config["build_config"] = {"input_shape": metadata.get("build_input_shape")}
    return SavedModel(config, str(metadata.get("keras_version", "")), Bundle(str(folder / VARIABLES)))


def _message(path: Path) -> Message:
    refuse_pointer(str(path))
    return Message(path.read_bytes(), str(path))


def _noted(path: Path) -> str:
    """`keras_metadata.pb`: the JSON of each Keras object by the number of its node; the model is the first."""
    file = _message(path)
    return next((node.text(5) for node in file.messages(1) if not node.number(2)), "")


def _noted_in_graph(path: Path) -> str:
    """Until TensorFlow 2.4: the same inside `saved_model.pb`, with each object."""
    file = _message(path)
    nodes = (node for meta in file.messages(2) for graph in meta.messages(7) for node in graph.messages(1))
    return next((own.text(3) for node in islice(nodes, 1) for own in node.messages(4)), "")
