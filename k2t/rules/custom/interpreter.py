"""Follows the calls of custom layers and of the layers inside them."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import map_structure
from k2t.program import Parameter, Size, Value, leaves
from k2t.rules.activations import activate
from k2t.rules.base import RULES
from k2t.rules.builder import apply_layer
from k2t.rules.custom.making import Making
from k2t.rules.custom.objects import Activation, Chain, CustomClass, Ignored, Inner, Instance, Method, Sublayer, Super
from k2t.rules.operations.base import dtype_of, tensor
from k2t.rules.tracing.names import Bound

NO_EFFECT = frozenset({"add_loss", "add_metric", "add_update", "build"})
# Methods that Keras's layers call inside their own `call`.
HOOKS = frozenset({"compute_mask", "convolution_op", "get_initial_state", "input_conv", "recurrent_conv"})
# Stands for a call that the code does not spell.
IMPLIED = ast.Pass()


class LayerInterpreter(Making):
    """Follows custom layers."""

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call: of a layer, a class, a method, or of what any code may call."""
        if isinstance(function, Method):
            return self.method(function, args, kwargs)
        if isinstance(function, Instance):
            return self.call_instance(function, args, kwargs)
        with self.placed(node):
            if isinstance(function, CustomClass):
                return self.construct(function, args, kwargs)
            if isinstance(function, Sublayer):
                return self.call_layer(function, args, kwargs)
            if isinstance(function, Chain):
                return self.call_chain(function, args, kwargs)
            if isinstance(function, Activation):
                return activate(self.b, args[0], function.which)
            if isinstance(function, Ignored):
                return self.initial(args, kwargs)
        return super().apply(node, function, args, kwargs)

    def call_layer(self, inner: Sublayer, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A layer of Keras."""
        kwargs = {key: value for key, value in kwargs.items() if key != "training" or value in (True, False)}
        if inner.layer.kind in RULES and "inputs" in kwargs and not args:
            args = [kwargs.pop("inputs")]
        tensors = tuple(map_structure(self.as_value, arg) for arg in args)
        output = apply_layer(self.builder(inner), tensors, kwargs)
        if inner.parts in self.loose and inner.parts.declared:
            raise UntranslatableError(f"{inner.layer.kind} has weights and is made outside of a layer")
        return output

    def as_value(self, item: Any) -> Any:
        """An argument of a layer: constants and weights as tensors that flow."""
        item = tensor(self.b, item) if isinstance(item, np.ndarray) else item
        if not isinstance(item, Parameter):
            return item
        dtype = dtype_of(item)
        return self.b.call("torch.asarray", item, shape=item.shape, dtype=dtype, layout="keras")

    def call_chain(self, chain: Chain, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A Sequential model: one layer after the other."""
        value = args[0] if args else kwargs.get("inputs")
        training = {"training": kwargs["training"]} if kwargs.get("training") is not None else {}
        for item in chain.layers:
            value = self.apply(IMPLIED, item, [value], training if isinstance(item, Sublayer) else {})
        return value

    def call_instance(self, instance: Instance, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A layer of the file: built at its first call, then `call`, then its mask."""
        found = instance.kind.find("call")
        if found is None:
            if instance.base is None:
                raise UntranslatableError(f"{instance.kind.name} has no method call")
            return self.call_base(instance, instance.base, args, kwargs)
        names = [item.arg for item in (*found[1].args.args, *found[1].args.kwonlyargs)][1:]
        given = dict(zip(names, args, strict=False)) | kwargs
        tensors = {key: item for key, item in given.items() if has_tensor(item) and not key.endswith("mask")}
        self.build(instance, tensors)
        masks = self.masks(names, tensors, given)
        extra = {key: None for key in ("training",) if key in names and key not in given}
        output = self.method(Method(instance, *found), args, {**kwargs, **extra, **masks})
        self.mask_output(instance, args[0] if args else next(iter(tensors.values()), None), output, masks)
        return output

    def call_base(self, instance: Instance, base: Sublayer, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The layer of Keras that a layer of the file is derived from, which must not use what the file overrides."""
        methods = [method for kind in instance.kind.lineage() for method in kind.methods().values()]
        parts = [part for method in methods for part in ast.walk(method) if isinstance(part, ast.Attribute)]
        own = {part.attr for part in parts if isinstance(part.value, ast.Name)}
        own |= {"_get_noise_shape"}  # nothing at inference
        for name in (method.name for method in methods):
            if name in HOOKS or (name.startswith("_") and not name.startswith("__") and name not in own):
                raise UntranslatableError(f"{instance.kind.name} overrides the method {name} of Keras's class")
        return self.call_layer(base, args, kwargs)

    def build(self, instance: Instance, tensors: dict[str, Any]) -> None:
        """`build(input_shape)`, or with the shape of each tensor by name."""
        found = None if instance.built else instance.kind.find("build")
        instance.built = True
        if found is None:
            return
        names = [item.arg for item in found[1].args.args][1:]
        shapes = {f"{key}_shape": shapes_of(item) for key, item in tensors.items()}
        if len(names) > 1 and set(names) <= shapes.keys():
            self.method(Method(instance, *found), [], {name: shapes[name] for name in names})
        else:
            self.method(Method(instance, *found), list(shapes.values())[: max(len(names), 0)], {})

    def masks(self, names: list[str], tensors: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The masks that Keras hands to a call: Keras 2 that of the first argument.

        Keras 3 hands on `mask` where there is one argument, `<name>_mask` for each of several.
        """
        if self.b.layer.keras_2:
            wanted = {"mask": next(iter(tensors.values()), None)}
        else:
            wanted = {"mask" if len(tensors) == 1 else f"{key}_mask": item for key, item in tensors.items()}
        return {key: masks_of(item) for key, item in wanted.items() if key in names and given.get(key) is None}

    def mask_output(self, instance: Instance, first: Any, output: Any, masks: dict[str, Any]) -> None:
        """The mask goes on where the layer supports that, through its `compute_mask` if it has one."""
        if not supports_masking(instance) or not isinstance(output, Value) or output.mask is not None:
            return
        found = instance.kind.find("compute_mask")
        mask = masks.get("mask", masks_of(first))
        made = self.method(Method(instance, *found), [first, mask], {}) if found is not None else mask
        if isinstance(made, Value) and output is not first:
            output.mask = made

    def method_call(self, bound: Bound, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method that the file does not define."""
        subject, name = bound.subject, bound.name
        if isinstance(subject, Super):
            return self.base_method(subject, name, args, kwargs)
        if isinstance(subject, Chain) and name == "add":
            subject.layers += [item for item in args if isinstance(item, Inner)]
            return None
        if isinstance(subject, Sublayer | Chain):
            return self.layer_method(subject, name, args, kwargs)
        return super().method_call(bound, args, kwargs)

    def layer_method(self, inner: Sublayer | Chain, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a layer of Keras."""
        if name == "build":
            return None
        if name in ("call", "__call__"):
            return self.apply(IMPLIED, inner, args, kwargs)
        if name == "compute_mask" and isinstance(inner, Sublayer) and inner.layer.kind == "Embedding":
            return self.operation("not_equal", args[0], 0) if inner.layer.options.get("mask_zero") else None
        raise UntranslatableError(f"{name} of a layer of class {inner.parts.layer.kind}")

    def base_method(self, subject: Super, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of Keras's class behind the file's."""
        instance = subject.instance
        if name == "__init__":
            return self.base_init(instance, args, kwargs)
        if name in ("add_weight", "add_variable"):
            return self.weight_call(instance, args, kwargs)
        if name in NO_EFFECT:
            return None
        if name == "compute_mask":
            return args[1] if len(args) > 1 else kwargs.get("mask")
        if name == "call" and instance.base is not None:
            return self.call_base(instance, instance.base, args, kwargs)
        if name == "get_config":
            return {}
        if name == "__call__":
            return self.call_instance(instance, args, kwargs)
        raise UntranslatableError(f"{instance.kind.name}.{name}, which neither the file nor Keras's Layer defines")


def supports_masking(instance: Instance) -> bool:
    """Whether a layer says so, or has a `compute_mask` of its own."""
    stated = [
        kind.attributes["supports_masking"] for kind in instance.kind.lineage() if "supports_masking" in kind.attributes
    ]
    default = stated[0] if stated else instance.kind.find("compute_mask") is not None
    return bool(instance.attributes.get("supports_masking", default))


def has_tensor(item: Any) -> bool:
    """Whether there is a tensor in nested arguments."""
    return any(isinstance(leaf, Value | Parameter | Size) for leaf in leaves(item))


def shapes_of(item: Any) -> Any:
    """The shape of a tensor, a list of them for several."""
    if isinstance(item, Value | Parameter):
        return item.shape
    return [shapes_of(part) for part in (item.values() if isinstance(item, dict) else item)]


def masks_of(item: Any) -> Any:
    """Keras's mask of a tensor, a list of them for several, None where none of them has one."""
    if isinstance(item, list | tuple):
        found = [masks_of(part) for part in item]
        return found if any(leaf is not None for leaf in leaves(found)) else None
    return item.mask if isinstance(item, Value) else None
