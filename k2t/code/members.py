"""What layers, models and symbolic tensors have: their attributes and methods, as code asks for them."""

from __future__ import annotations

import ast
import builtins
import functools
import re
from typing import Any

from k2t.code.arguments import as_list
from k2t.code.data import blank_method, is_blank
from k2t.code.graphs import is_function, ordered
from k2t.code.models import SILENT, Models
from k2t.code.objects import Configured, Custom, Made, Net, Parser, Partial, PendingWeight, Tensor, Thing
from k2t.code.records import RECORD_METHODS, record_method
from k2t.code.standard import HANDLERS
from k2t.errors import UntranslatableError
from k2t.graph import Layer, map_structure
from k2t.program import Size, Value, leaves
from k2t.rules.base import RULES
from k2t.rules.custom.objects import CustomClass, Super
from k2t.rules.lookup import lookup
from k2t.rules.tracing.names import Bound, Library, Unknown

# Layers that know their words.
VOCABULARIES = frozenset({"StringLookup", "IntegerLookup"})


class Members(Models):
    """Follows attributes and methods.

    Attributes:
        here: the call that is followed.
    """

    here: ast.AST = ast.Pass()

    def base_init(self, node: ast.AST, thing: Thing | Custom, args: list[Any], kwargs: dict[str, Any]) -> None:
        """`super().__init__(...)` of Keras's classes."""
        raise NotImplementedError

    # -- attributes --------------------------------------------------------------------------------------------------

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What a tensor, a layer or a model has."""
        if isinstance(value, Tensor):
            return self.of_tensor(node, value, name)
        if isinstance(value, Made):
            return self.of_layer(node, value, name)
        if isinstance(value, Parser):
            return Bound(value, name)
        if isinstance(value, Partial | Configured):
            return Unknown(f".{name}", self.place(node))
        if callable(getattr(value, "sort", None)) and name == "sort" and isinstance(value, list):
            return Bound(value, name)
        return super().attribute(node, value, name)

    def of_tensor(self, node: ast.AST, tensor: Tensor, name: str) -> Any:
        """What a symbolic tensor has."""
        value = tensor.value
        if isinstance(value, Size):
            return tensor if name == "value" else Bound(tensor, name)
        if name in ("shape", "_keras_shape", "_shape_val"):
            return value.shape
        if name in ("ndim", "rank"):
            return len(value.shape)
        if name == "dtype":
            return value.dtype
        if name in ("name", "op"):
            return tensor.origin.made.layer.name
        if name in ("_keras_history", "node"):
            return (tensor.origin.made, 0, tensor.index)
        return Bound(tensor, name)

    def of_layer(self, node: ast.AST, made: Made, name: str) -> Any:
        """What a layer or a model has."""
        if name in made.attributes:
            return made.attributes[name]
        if name in ("name", "_name"):
            return made.layer.name
        if name == "trainable":
            return made.layer.trainable
        if name in ("dtype", "compute_dtype", "variable_dtype"):
            return made.layer.dtype
        if name in ("layers", "_layers"):
            return self.layers_of(node, made)
        if name in ("output", "outputs", "input", "inputs", "output_shape", "input_shape"):
            return self.border(node, made, name)
        if name == "__class__":
            return Thing(
                CustomClass(ast.ClassDef(made.layer.kind, [], [], [], []), [], {}), {"__name__": made.layer.kind}
            )
        if name in ("kernel", "bias", "weights", "variables", "trainable_weights", "trainable_variables", "losses"):
            return Unknown(f"{made.layer.name}.{name}", self.place(node))
        if name in ("optimizer", "metrics_names", "history", "stop_training", "non_trainable_weights", "metrics"):
            return Unknown(f"{made.layer.name}.{name}", self.place(node))
        if name in made.layer.options:
            return made.layer.options[name]
        inner = made.net if isinstance(made, Custom) else None
        return Bound(made if inner is None or name in ("add_weight", "add_variable") else inner, name)

    def layers_of(self, node: ast.AST, made: Made) -> Any:
        """`model.layers`: a list, which the code may change."""
        net = made.net if isinstance(made, Custom) and made.net else made
        if not isinstance(net, Net):
            return [item for item in made.attributes.values() if isinstance(item, Made)]
        if net.sequential:
            self.built(node, net)
            return net.members
        found = ordered(net.inputs, net.outputs)
        keep = [item for item in found if not is_function(item) or not (self.era.version >= (3,))]
        made.attributes["layers"] = keep
        return keep

    def border(self, node: ast.AST, made: Made, name: str) -> Any:
        """The inputs and outputs of a layer or model, or their shapes."""
        net = made.net if isinstance(made, Custom) and made.net else made
        if isinstance(net, Net):
            if not self.built(node, net):
                raise UntranslatableError("the shape of the model's input is not known")
            inputs: Any = net.inputs if name == "inputs" or len(net.inputs) > 1 else net.inputs[0]
            found = inputs if name.startswith("input") else as_list(net.outputs) if name == "outputs" else net.outputs
        elif not net.calls:
            raise UntranslatableError(f"the {name} of a layer that has not been called")
        elif name.startswith("input"):
            call = net.calls[0]
            found = call.args[0] if call.args else call.tensors[0]
        else:
            found = net.calls[0].output
        if name.endswith("_shape"):
            return map_structure(shape_in, found)
        return found

    def set_of_layer(self, made: Made, name: str, value: Any) -> None:
        """`layer.name = value`."""
        if name == "trainable" and not isinstance(value, Unknown):
            freeze(made, bool(value))
        elif name in ("name", "_name") and isinstance(value, str):
            made.layer.name, made.named = value, True
        else:
            made.attributes[name] = value

    # -- methods -----------------------------------------------------------------------------------------------------

    def method_call(self, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method that the code does not define."""
        subject, name, node = bound.subject, bound.name, self.here
        if isinstance(subject, Super) and name == "__setattr__":
            subject.instance.attributes[args[0]] = args[1]
            return None
        if isinstance(subject, Super):
            return self.of_base(node, subject.instance, name, args, kwargs)
        if isinstance(subject, Custom) and (subject.net is None or name in ("add_weight", "add_variable")):
            return self.of_base(node, subject, name, args, kwargs)
        if isinstance(subject, Made):
            return self.of_made(
                node, subject.net if isinstance(subject, Custom) and subject.net else subject, name, args, kwargs
            )
        if isinstance(subject, Tensor):
            return self.tensor_method(subject, name, args, kwargs)
        if is_blank(subject) and (made := blank_method(subject, name, args, kwargs)) is not None:
            return made
        if name == "__setattr__" and isinstance(subject, Thing | Custom):
            subject.attributes[args[0]] = args[1]
            return None
        if isinstance(subject, Thing) and name in RECORD_METHODS:
            return record_method(subject, name, kwargs)
        if isinstance(subject, Parser):
            return self.of_parser(subject, name, args, kwargs)
        if isinstance(subject, CustomClass):
            return Unknown(f"{subject.name}.{name}()", self.place(node))
        if name == "sort" and isinstance(subject, list):
            key = kwargs.get("key")
            subject.sort(
                key=functools.partial(self.ranked, node, key) if key else None,
                reverse=bool(kwargs.get("reverse")),
            )
            return None
        return super().method_call(bound, args, kwargs)

    def ranked(self, node: ast.AST, key: Any, item: Any) -> Any:
        """The key of an item in a sort."""
        return self.apply(node, key, [item], {})

    def of_parser(self, subject: Parser, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of an ArgumentParser."""
        if name == "add_argument":
            return subject.add(args, kwargs)
        if name == "set_defaults":
            return subject.update(kwargs)
        if name in ("parse_args", "parse_known_args"):
            values = {key: self.use(key) if key in self.given else value for key, value in subject.items()}
            made = Thing(CustomClass(ast.ClassDef("Namespace", [], [], [], []), [], {}), values)
            return made if name == "parse_args" else (made, [])
        return subject

    def use(self, name: str) -> Any:
        """A value that the user gives."""
        raise NotImplementedError

    def is_instance(self, value: Any, kinds: Any) -> bool:
        """`isinstance(value, kinds)`, of layers and of the code's classes, too."""
        for kind in kinds if isinstance(kinds, tuple) else (kinds,):
            if (
                isinstance(kind, CustomClass)
                and isinstance(value, Thing | Custom)
                and kind in list(value.kind.lineage())
            ):
                return True
            name = kind.path.rpartition(".")[2] if isinstance(kind, Library) else ""
            if isinstance(value, Made) and name in (value.layer.kind, "Layer"):
                return True
            if isinstance(value, Net) and name in ("Model", "Functional" if not value.sequential else "Sequential"):
                return True
            if isinstance(value, Tensor) and name.endswith("Tensor"):
                return True
        return super().is_instance(value, kinds)

    def of_name(self, node: ast.Name) -> Any:
        """A name of the code, a library or a builtin."""
        if node.id not in self.names and (hasattr(builtins, node.id) or f"builtins.{node.id}" in HANDLERS):
            return Library(f"builtins.{node.id}")
        return super().of_name(node)

    def tensor_method(self, tensor: Tensor, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a symbolic tensor."""
        if name == "get_shape" and isinstance(tensor.value, Value):
            return tensor.value.shape
        if name == "set_shape":
            return None
        return self.function(f"tensor.{name}", [tensor, *args], kwargs)

    def of_base(self, node: ast.AST, thing: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of Keras's class behind a class of the code."""
        if name == "__init__":
            return self.base_init(node, thing, args, kwargs)
        if isinstance(thing, Custom):
            if name in ("add_weight", "add_variable"):
                return pending_weight(args, kwargs)
            if name in ("call", "__call__"):
                return self.call(node, thing, args, kwargs)
            if name == "build":
                thing.given_shape = tuple(args[0] if args else kwargs["input_shape"])
                return None
            if name in ("get_layer", "summary", "compute_output_shape") and thing.net is None and name not in SILENT:
                raise UntranslatableError(f"{name}() of {thing.kind.name}")
        return Unknown(f"{name}()", self.place(node))

    def of_made(self, node: ast.AST, made: Made, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a layer or model of Keras."""
        if name in ("call", "__call__"):
            return self.call(node, made, args, kwargs)
        if name in SILENT:
            return Unknown(f"{made.layer.name}.{name}()", self.place(node))
        if name == "get_layer":
            return self.find_layer(node, made, *args, **kwargs)
        if (answer := self.asked(node, made, name, args)) is not None:
            return answer
        if isinstance(made, Net) and made.sequential:
            if name == "add":
                return self.add(node, made, args[0])
            if name == "pop":
                made.layer.graph = None
                made.members.pop(*args)
                if made.outputs is not None:
                    made.outputs = made.members[-1].calls[-1].output if made.members else made.inputs[0]
                return None
        if name == "build":
            if isinstance(made, Net):
                shape = args[0] if args else kwargs.get("input_shape")
                self.built(node, made, tuple(shape) if isinstance(shape, list | tuple) else None)
            return None
        raise UntranslatableError(f"the method {name} of {made.layer.kind}")

    def asked(self, node: ast.AST, made: Made, name: str, args: list[Any]) -> Any:
        """What a layer tells about itself; None where it is not asked."""
        if name in ("get_vocabulary", "vocabulary_size") and made.layer.kind in VOCABULARIES:
            found = vocabulary(made.layer)
            return found if name == "get_vocabulary" else len(found)
        if name == "get_output_at":
            return made.calls[args[0]].output
        if name == "get_input_at":
            return made.calls[args[0]].args[0]
        if name == "compute_output_shape":
            tensor = self.given_tensor("shape", tuple(args[0]))
            return map_structure(shape_in, self.call(node, made, [tensor], {}))
        return None

    def find_layer(self, node: ast.AST, made: Made, name: Any = None, index: Any = None) -> Made:
        """`model.get_layer(name)`."""
        found = self.layers_of(node, made)
        if isinstance(name, int):
            name, index = None, name
        if index is not None:
            return found[index]  # type: ignore[no-any-return]
        own = automatic_input(name, self.era.before_keras_3)
        for item in found:
            is_input = item.layer.kind == "InputLayer" and not item.named
            if item.layer.name == (own if is_input else name):
                return item  # type: ignore[no-any-return]
        raise UntranslatableError(f"the model has no layer named {name!r}")


def automatic_input(name: str, keras_2: bool) -> str:
    """An input that Keras calls `input_2`, since Keras 3 `input_layer_1`, as it is called here: `input_1`."""
    found = re.fullmatch(r"input_([1-9]\d*)" if keras_2 else r"input_layer(?:_(\d+))?", name)
    number = int(found[1] or 0) - keras_2 if found else -1
    return f"input_{number}" if number > 0 else "input" if number == 0 else ""


def vocabulary(layer: Layer) -> list[Any]:
    """The words of a lookup, special ones first."""
    options = {**RULES[layer.kind].options, **layer.options}
    names = ("mask_token", "oov_token", "num_oov_indices", "output_mode")
    mask, oov, unknown, mode = (options[name] for name in names)
    found = lookup(options["vocabulary"], mask, oov, unknown, mode, None)
    return [mask] * found.first + [oov] * found.unknown + found.tokens


def shape_in(leaf: Any) -> Any:
    """The shape of a tensor."""
    return leaf.value.shape if isinstance(leaf, Tensor) and isinstance(leaf.value, Value) else None


def pending_weight(args: list[Any], kwargs: dict[str, Any]) -> PendingWeight:
    """`self.add_weight(...)`: first the name in Keras 2, the shape in Keras 3."""
    named = bool(args) and (isinstance(args[0], str) or args[0] is None)
    shape = kwargs.get("shape", args[1] if named and len(args) > 1 else args[0] if args and not named else ())
    return PendingWeight(args[0] if named else kwargs.get("name"), shape, kwargs.get("trainable"))


def freeze(made: Made, trainable: bool) -> None:
    """`layer.trainable = ...`, for everything inside."""
    made.layer.trainable = trainable
    if isinstance(made, Net):
        for item in (
            made.members if made.sequential else ordered(made.inputs, made.outputs) if made.outputs is not None else []
        ):
            freeze(item, trainable)
    if isinstance(made, Custom):
        for leaf in leaves(list(made.attributes.values())):
            if isinstance(leaf, Made):
                freeze(leaf, trainable)
