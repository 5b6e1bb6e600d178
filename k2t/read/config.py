"""A model's configuration, as Keras serializes it, to a graph of layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from k2t.errors import ReadError
from k2t.graph import Call, Graph, Input, Layer, Ref, snake_case
from k2t.read.eras import Era, modern_layer
from k2t.read.functional import connect
from k2t.read.values import declared_input, expect, is_keras, is_serialized, plain, quantization, shape, variable_dtype

Entry = dict[str, Any]

# Options that hold layers, whatever class these have.
WRAPPED = frozenset({"layer", "forward_layer", "backward_layer", "cell", "cells"})
# Options that concern the input of a Sequential model alone.
INPUT_OPTIONS = frozenset({"batch_input_shape", "batch_shape", "input_dtype", "input_shape"})
# Options of a model that are read here.
MODEL_OPTIONS = frozenset(
    {"name", "trainable", "dtype", "layers", "input_layers", "output_layers", "build_input_shape"}
)
LAYER_MODULE = re.compile(r"(keras|tf_keras|keras_core)\.(src\.)?(layers|models|engine)\b")


@dataclass(frozen=True)
class Model:
    """The outermost model.

    Attributes:
        layers: every layer of the configuration, called or not, in its order.
        aliases: archive path of a layer that a model before has, too -> where the archive keeps it.
        slots: of each model, nested ones included, its layers as checkpoints number them, None for an input;
            the outermost model is "".
    """

    graph: Graph
    layers: tuple[Layer, ...]
    aliases: dict[str, str] = field(default_factory=dict)
    slots: dict[Layer | str, tuple[Layer | None, ...]] = field(default_factory=dict)


def read_model(entry: Any, era: Era) -> Model:
    """A model from its serialized form; a class that is neither Sequential nor Functional is a graph of one layer.

    Raises:
        ReadError: the configuration contradicts itself, or is none.
    """
    entry = expect(entry, dict, "the model")
    if "class_name" not in entry:
        raise ReadError("the model's configuration names no class; it is damaged, or not Keras's")
    reader = _Reader(era)
    if not is_model(entry):
        layer = reader.layer(entry, "the model")
        build = entry.get("build_config")
        sizes = build.get("input_shape") if isinstance(build, dict) else None
        given = Input(f"{layer.name}_input", shape(sizes, layer.name) if sizes else ())
        call = Call(layer.name, layer, (Ref(given.name),))
        return Model(Graph(layer.name, (given,), (call,), Ref(call.name)), (layer,))
    model = reader.model(entry, "the model")
    layers = reader.origins[model].members
    if not model.trainable:
        for layer in layers:
            layer.trainable = False
    graph = model.graph or Graph(model.name, (), (), ())
    slots: dict[Layer | str, tuple[Layer | None, ...]] = {own: origin.slots for own, origin in reader.origins.items()}
    return Model(graph, layers, reader.locate(layers, "layers"), slots | {"": slots[model]})


def is_model(entry: Entry) -> bool:
    """Whether a serialized layer is a Sequential or Functional model, or derived from one."""
    config = entry.get("config")
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        return "output_layers" in config or "build_input_shape" in config or entry.get("class_name") == "Sequential"
    return isinstance(config, list) and entry.get("class_name") == "Sequential"


def kind_of(entry: Entry) -> str:
    """The class; one that is not Keras's keeps its package, Keras's operations are `ops.<Name>`."""
    kind, module = entry["class_name"], entry.get("module", "keras")
    registered = entry.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return registered
    if not is_keras(module):
        return f"Custom>{kind}"
    return f"ops.{kind}" if OPERATIONS & set(module.split(".")) else EXPORTED.get(kind, str(kind))


# Layers of Keras 3 whose configuration does not say whether they are trainable.
SHORT_CONFIGS = frozenset(
    {"SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Discretization", "HashedCrossing", "Pipeline"}
)
# Where operations of Keras live; keras.activations.relu has the class of its own that the layer has, too.
OPERATIONS = frozenset({"ops", "activations"})
# Layers that are exported under another name than their class's, after which an archive names their folder.
CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
EXPORTED = {own: name for name, own in CLASSES.items()}


def saved(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Those that an archive keeps: operations are no layers."""
    return (layer for layer in layers if not layer.kind.startswith("ops."))


@dataclass(frozen=True)
class _Origin:
    """What a configuration says of a layer besides what the layer is.

    Attributes:
        class_name: as it was when the file was written.
        identity: a number that is the same wherever the same object appears, or None.
        members: of a model, its layers.
        slots: see `Model.slots`.
    """

    class_name: str
    identity: Any
    members: tuple[Layer, ...] = ()
    slots: tuple[Layer | None, ...] = ()


class _Reader:
    """Reads the layers of one model."""

    def __init__(self, era: Era) -> None:
        self.era = era
        self.origins: dict[Layer, _Origin] = {}

    def layer(self, entry: Any, where: str) -> Layer:
        """One serialized layer, with everything inside it."""
        entry = expect(entry, dict, where)
        kind = expect(entry.get("class_name"), str, where)
        if is_model(entry):
            return self.model(entry, where)
        config = expect({} if entry.get("config") is None else entry["config"], dict, f"{where} ({kind})")
        name = expect(entry.get("name") or config.get("name") or kind.lower(), str, where)
        options = {key: plain(value) for key, value in config.items()}
        trainable = bool(options.pop("trainable", True))
        options.pop("name", None)
        dtype = variable_dtype(options.get("dtype"))
        dropped = INPUT_OPTIONS | {"dtype"} if dtype else INPUT_OPTIONS
        kind = kind_of(entry)
        own, policy = options.pop("quantization_config", None), quantization(options.get("dtype"))
        if policy:  # a layer that Keras could not quantize may have a configuration for it
            options["quantization_config"] = {**((own or {}).get("config") or {}), **policy}
        if not kind.startswith("ops."):
            options = {key: value for key, value in options.items() if key not in dropped}
            kind, options = modern_layer(kind, options, self.era)
        if kind == "Lambda":
            from k2t.read.bytecode.stored import recovered  # seldom needed

            options = recovered(options)
        options = {key: self.option(key, value, f"{name}.{key}") for key, value in options.items()}
        layer = Layer(name, kind, options, dtype or "float32", trainable, keras_2=self.era.before_keras_3)
        self.origins[layer] = _Origin(entry["class_name"], entry.get("shared_object_id"))
        return layer

    def option(self, key: str, value: Any, where: str) -> Any:
        """A value of a configuration; a layer where it stands for one."""
        if isinstance(value, list):
            items = [self.option(key, item, where) for item in value]
            if layers := [item for item in items if isinstance(item, Layer)]:
                self.locate(layers, key)
            return items
        if not is_serialized(value):
            return value
        config, module = value.get("config"), value.get("module")
        of_layers = isinstance(module, str) and LAYER_MODULE.match(module)
        if key in WRAPPED or of_layers or (key.endswith("activation") and isinstance(config, dict)):
            layer = self.layer(value, where)
            self.locate(self.origins[layer].members, "layers")
            layer.path = key
            return layer
        if isinstance(config, dict):
            config = {name: self.option(name, item, f"{where}.{name}") for name, item in config.items()}
        return {"class_name": kind_of(value), "config": config}

    def model(self, entry: Entry, where: str) -> Layer:
        """A model as a layer with a graph."""
        config = entry["config"] if isinstance(entry["config"], dict) else {"layers": entry["config"]}
        name = expect(config.get("name") or entry.get("name") or entry["class_name"].lower(), str, where)
        entries = [expect(item, dict, name) for item in config["layers"]]
        for item in entries:
            expect(item.get("class_name"), str, f"a layer of {name}")
        slots: tuple[Layer | None, ...]
        if "output_layers" in config:
            graph, layers = self.functional(name, config, entries)
            named = {layer.name: layer for layer in layers}
            slots = tuple(named.get(item["name"]) for item in entries)
        else:
            graph, layers = self.sequential(name, entry, entries)
            slots = layers
        options = {key: plain(value) for key, value in config.items() if key not in MODEL_OPTIONS}
        model = Layer(name, kind_of(entry), options, "float32", bool(config.get("trainable", True)), graph)
        self.origins[model] = _Origin(entry["class_name"], entry.get("shared_object_id"), layers, slots)
        return model

    def functional(self, name: str, config: Entry, entries: list[Entry]) -> tuple[Graph, tuple[Layer, ...]]:
        """A Functional model; `functional.py` connects its layers."""
        inputs: dict[str, Input] = {}
        layers: dict[str, Layer] = {}
        for entry in entries:
            own = expect(entry.get("name"), str, f"a layer of {name}")
            if own in inputs or own in layers:
                raise ReadError(f"{name}: two layers are named {own!r}; the configuration is damaged")
            if entry["class_name"] == "InputLayer" and not entry.get("inbound_nodes"):
                inputs[own] = declared_input(own, expect(entry.get("config"), dict, own))
            else:
                layers[own] = self.layer(self.with_module(entry), own)
        graph = connect(name, config, inputs, layers, self.era.version)
        return graph, tuple(layers.values())

    def with_module(self, entry: Entry) -> Entry:
        """A layer of a Functional model; HDF5 of Keras 3 does not tell `ops.Add` from the layer, which is trainable."""
        config = entry.get("config")
        unsaid = isinstance(config, dict) and "trainable" not in config and entry.get("class_name") not in SHORT_CONFIGS
        is_operation = self.era.version >= (3,) and unsaid and not is_model(entry)
        return {"module": "keras.ops", **entry} if is_operation else entry

    def sequential(self, name: str, entry: Entry, entries: list[Entry]) -> tuple[Graph, tuple[Layer, ...]]:
        """A Sequential model: one layer after the other, the first on an input that may only be implied."""
        if not entries:
            raise ReadError(f"{name}: a Sequential model without layers")
        first, rest = entries[0], entries
        calls: list[Call] = []
        inputs: tuple[Input, ...]
        if first["class_name"] == "Merge":
            inputs, calls, value = self.merged(first)
            rest = entries[1:]
        elif first["class_name"] == "InputLayer":
            config = expect(first.get("config"), dict, name)
            inputs, rest = (declared_input(str(config.get("name", "input")), config),), entries[1:]
            value = Ref(inputs[0].name)
        layers = [self.layer(item, f"a layer of {name}") for item in rest]
        if rest is entries:
            given = implied_input(entry, first, name)
            inner = layers[0].graph
            inputs = (replace(inner.inputs[0], name=given.name) if inner and not given.shape else given,)
            value = Ref(given.name)
        taken = {item.name for item in inputs} | {call.name for call in calls}
        for layer, item in zip(layers, rest, strict=True):
            if layer.name in taken and has_name(item):
                raise ReadError(f"{name}: two layers are named {layer.name!r}; the configuration is damaged")
            layer.name = unused(layer.name, taken)
            taken.add(layer.name)
            calls.append(Call(layer.name, layer, (value,)))
            value = Ref(layer.name)
        return Graph(name, inputs, tuple(calls), value), tuple(call.layer for call in calls)

    def merged(self, entry: Entry) -> tuple[tuple[Input, ...], list[Call], Ref]:
        """Keras 1: the branches in front of a Sequential model. Their layers count as the model's own."""
        config = expect(entry.get("config"), dict, "Merge")
        branches = [self.layer(item, "a branch of Merge") for item in expect(config.get("layers"), list, "Merge")]
        graphs = [branch.graph for branch in branches if branch.graph]
        if len(graphs) != len(branches) or not graphs:
            raise ReadError("Merge: a branch is no model; the configuration is damaged")
        inputs = tuple(item for graph in graphs for item in graph.inputs)
        calls = [call for graph in graphs for call in graph.calls]
        layer = self.layer({**entry, "config": {key: config[key] for key in config if key != "layers"}}, "Merge")
        names = [item.name for item in inputs] + [call.name for call in calls] + [layer.name]
        if len(set(names)) != len(names):
            raise ReadError("Merge: two layers of its branches have the same name; rename one")
        calls.append(Call(layer.name, layer, ([graph.outputs for graph in graphs],)))
        return inputs, calls, Ref(layer.name)

    def locate(self, layers: Iterable[Layer], around: str) -> dict[str, str]:
        """Give each layer of a list, and those inside them, the path where an archive keeps it, below `around`.

        Returns:
            Path of each layer that is the same object as one before -> the path of that one: it is kept once.
        """
        copies: dict[str, str] = {}
        known: dict[Any, str] = {}
        pending = [("", around, saved(layers), dict[str, int]())]
        while pending:
            prefix, folder, rest, used = pending[-1]
            layer = next(rest, None)
            if layer is None:
                pending.pop()
                continue
            origin = self.origins[layer]
            named = (origin.class_name, layer.name)
            # Keras does not number the first of two if that is in a nested model; then the name tells.
            original = None if origin.identity is None else known.get(origin.identity, known.get(named))
            name = snake_case(CLASSES.get(origin.class_name, origin.class_name))
            if original is None or self.era.version >= (3,):
                number = used[name] = used.get(name, -1) + 1
                layer.path = f"{folder}/{name}_{number}" if number else f"{folder}/{name}"
            else:  # tf.keras does not count what it has seen
                layer.path = f"{folder}/{name}_shared_{len(copies)}"
            path = f"{prefix}{layer.path}"
            if original is None:
                known[origin.identity] = path
                if origin.identity is None:
                    known.setdefault(named, path)
                pending.append((f"{path}/", "layers", saved(origin.members), {}))
            else:
                copies[path] = original
        return copies


def has_name(entry: Entry) -> bool:
    """Whether a layer's configuration names it; early Sequential models have no name."""
    config = entry.get("config")
    return "name" in entry or (isinstance(config, dict) and "name" in config)


def unused(name: str, taken: set[str]) -> str:
    """`name`, numbered if it is taken."""
    numbers = (f"{name}_{number}" for number in range(1, len(taken) + 2))
    return name if name not in taken else next(item for item in numbers if item not in taken)


def implied_input(model: Entry, first: Entry, name: str) -> Input:
    """The input of a Sequential model without an InputLayer; its shape is () where nothing states it."""
    config = first["config"] if isinstance(first.get("config"), dict) else {}
    own = model["config"] if isinstance(model["config"], dict) else {}
    built = model.get("build_config")
    sizes = config.get("batch_input_shape") or config.get("batch_shape") or own.get("build_input_shape")
    if not sizes and isinstance(built, dict):
        sizes = built.get("input_shape")
    if not sizes and "input_shape" in config:
        sizes = [None, *expect(plain(config["input_shape"]), list, name)]
    dtype = variable_dtype(config.get("input_dtype") or config.get("dtype")) or "float32"
    return Input(f"{config.get('name') or name}_input", shape(sizes, name) if sizes else (), dtype)
