"""The builder: what a rule calls to add modules and operations to the block being built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from k2t.errors import Problem, UnsupportedError, UntranslatableError, refusing
from k2t.graph import Array, Graph, Layer, Ref, Shape, map_structure, refs
from k2t.program import Block, LayoutKind, Module, Op, Parameter, Value, Variable, Weight, leaves, values
from k2t.rules.base import CUSTOM, REFUSED, RULES, UNMASKING, Rule, broadcast
from k2t.rules.initializers import fans_of, of_variable
from k2t.rules.parts import Parts, known_sizes
from k2t.rules.promotion import REAL, as_declared, as_real
from k2t.symbols import is_symbolic

# The reader's prefix for a recorded operation: `ops.ExpandDims`.
OPERATION = "ops."
# The layers in which tf.keras kept calls of TensorFlow, and those in which code has calls of functions.
RECORDED = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer"}
    | {"Function", "Item"}
)
WAYS_OUT = "give the source of its class with --custom FILE, or write a rule for it"


def identity(array: Array) -> Array:
    """The variable as it is."""
    return array


class Builder:
    """Builds the operations of one call of one layer.

    Attributes:
        layer: the layer that is translated.
        ops: the operations of the block, appended to.
    """

    def __init__(self, ops: list[Op], parts: Parts, call: str) -> None:
        self.ops = ops
        self.parts = parts
        self.call_name = call

    @property
    def layer(self) -> Layer:
        """The layer that is translated."""
        return self.parts.layer

    def fixed(self, size: int | None) -> int | None:
        """`size` where every call of the layer sees it, None where it may differ from call to call."""
        return None if self.parts.varies or is_symbolic(size) else size

    def variable(
        self,
        name: str,
        shape: tuple[int, ...],
        trainable: bool = True,
        fans: tuple[int, int] | None = None,
        cell: Layer | None = None,
    ) -> Variable:
        """Declare the layer's next variable, as Keras creates it: its name, with the sub-layer's (`cell/kernel`).

        Args:
            fans: inputs and outputs that its initializer counts, where they are not those of the shape.
            cell: the layer inside this one whose options name its initializer.
        """
        if name not in self.parts.declared:
            group, _, _ = name.rpartition("/")
            index = sum(other.rpartition("/")[0] == group for other in self.parts.declared)
            key = "/".join(part for part in (self.parts.key, group, "vars", str(index)) if part)
            variable = Variable(
                name,
                key,
                self.parts.owner,
                shape,
                trainable and self.parts.trainable,
                self.layer.dtype,
                initializer=of_variable(cell or self.layer, name),
                fans=fans or fans_of(shape),
            )
            self.parts.declared[name] = variable
            self.parts.variables.append(variable)
        return self.parts.declared[name]

    def weight(
        self,
        *variables: Variable,
        transform: Callable[..., Array] = identity,
        buffer: bool = False,
        trainable: bool | None = None,
    ) -> Weight:
        """An entry of a module's state made of `variables`; trainable as they are, unless said otherwise."""
        if trainable is None:
            trainable = self.parts.trainable and all(variable.trainable for variable in variables)
        if variables and (low := self.parts.low_rank.get(variables[0].name)):
            return low.merged(variables[0], transform, self.parts.trainable)
        return Weight(variables, transform, buffer, trainable)

    def module(
        self,
        call: str | Block,
        *args: Any,
        role: str = "",
        weights: dict[str, Weight | None] | None = None,
        absorbs: dict[str, int] | None = None,
        **kwargs: Any,
    ) -> Module:
        """The layer's submodule `role`: `call(*args, **kwargs)` with this state; the same at every call."""
        state = {key: weight for key, weight in (weights or {}).items() if weight is not None}
        made = Module(call, args, kwargs, state, self.call_name.partition("#")[0], role, absorbs or {})
        known = self.parts.modules.setdefault(role, made)
        if not isinstance(known, Module) or (known.call, known.args, known.kwargs) != (call, args, kwargs):
            raise UntranslatableError("is shared by calls that need different modules")
        return known

    def parameter(
        self,
        role: str,
        variable: Variable,
        axes: tuple[int, ...] = (),
        transform: Callable[..., Array] = identity,
        buffer: bool = False,
    ) -> Parameter:
        """A tensor of the model itself, used as an argument of operations; the same at every call."""
        weight = self.weight(variable, transform=transform, buffer=buffer)
        shape = transform(np.broadcast_to(np.zeros(()), variable.shape)).shape
        return self.kept(Parameter(weight, shape, self.layer.name, role, axes))

    def constant(self, role: str, array: Array, axes: tuple[int, ...] = ()) -> Parameter:
        """A buffer whose values come from the configuration."""
        values = np.asarray(array)
        weight = Weight((), lambda: values, buffer=True, trainable=False, dtype=str(values.dtype))
        return self.kept(Parameter(weight, values.shape, self.layer.name, role, axes))

    def kept(self, made: Parameter) -> Parameter:
        """The layer's parameter of this role: the one of its first call."""
        known = self.parts.modules.setdefault(made.role, made)
        if not isinstance(known, Parameter):
            raise UntranslatableError(f"has a module and a parameter named {made.role}")
        return known

    def call(
        self,
        target: str | Module,
        *args: Any,
        shape: Shape | None = None,
        dtype: str | None = None,
        layout: LayoutKind = "any",
        **kwargs: Any,
    ) -> Value:
        """Add `target(*args, **kwargs)`, a tensor of `shape` (elementwise: as its arguments broadcast)."""
        if shape is None:
            shape = broadcast(*(arg.shape for arg in args if isinstance(arg, Value | Parameter)))
        first = next((arg.dtype for arg in args if isinstance(arg, Value)), "float32")
        output = Value(shape, dtype or first, layer=self.call_name)
        self.ops.append(Op(target, args, kwargs, output, layout, self.call_name))
        return output

    def calls(
        self, target: str | Module, *args: Any, outputs: Any, layout: LayoutKind = "keras", **kwargs: Any
    ) -> None:
        """Add a call that returns several tensors: `outputs` is a nested tuple of new values."""
        self.ops.append(Op(target, args, kwargs, outputs, layout, self.call_name))

    def value(self, shape: Shape, dtype: str = "float32") -> Value:
        """A new value, for `calls`."""
        return Value(shape, dtype, layer=self.call_name)

    def apply(self, layer: Layer, *inputs: Any, key: str = "", **calls: Any) -> Any:
        """Translate a wrapped layer in place; its weights lie below `key` in an archive."""
        return apply_layer(Builder(self.ops, self.parts.child(layer, key), self.call_name), inputs, calls)


def find_rule(layer: Layer) -> Rule:
    """The rule for a layer.

    Raises:
        UntranslatableError: there is none; says whether the class is known.
    """
    if isinstance(layer.rule, Rule):
        return layer.rule
    custom = CUSTOM.get().rules
    if (own := custom.get(layer.kind) or custom.get(layer.kind.rpartition(">")[2])) is not None:
        return own
    if layer.kind in REFUSED:
        raise UntranslatableError(REFUSED[layer.kind])
    if layer.kind not in RULES:
        raise UntranslatableError(f"no rule for this layer; {WAYS_OUT}")
    return RULES[layer.kind]


def apply_layer(b: Builder, inputs: tuple[Any, ...], calls: dict[str, Any]) -> Any:
    """Translate one call of `b.layer` on `inputs`; hand the mask on where Keras does."""
    calls = {key: value for key, value in calls.items() if value is not None}
    b.parts.called(tuple(leaf.shape for leaf in leaves(inputs) if isinstance(leaf, Value)))
    if is_operation(b.layer):
        refuse_text(inputs)
        return apply_operation(b, inputs, calls)
    if b.layer.graph is not None:
        with given_masks(inputs, calls.pop("mask", None)):
            return apply_graph(b, b.layer.graph, inputs)
    rule = find_rule(b.layer)
    refuse_text(() if rule.text else inputs)
    mask = None if "mask" in rule.options else calls.pop("mask", None)
    if mask is None and b.parts.nested and not b.layer.keras_2:  # built without masks, it knows those of run time
        mask = [None if leaf.mask_taken else leaf.mask for leaf in leaves(inputs) if isinstance(leaf, Value)]
    with given_masks(inputs, mask):
        return apply_rule(b, rule, inputs, calls)


def refuse_text(inputs: tuple[Any, ...]) -> None:
    """Refuse strings, which only some layers take."""
    if any(value.dtype == "string" for value in values(inputs)):
        raise UntranslatableError("takes strings, which are no tensors in PyTorch; do that part before the network")


@contextmanager
def given_masks(inputs: tuple[Any, ...], mask: Any) -> Iterator[None]:
    """For this call, the inputs have the masks that it is given, instead of those that they carry."""
    tensors = (leaf for leaf in leaves(inputs) if isinstance(leaf, Value))
    changed = list(zip(tensors, leaves([] if mask is None else mask), strict=False))
    before = [(tensor.mask, tensor.mask_taken) for tensor, _ in changed]
    for tensor, own in changed:
        tensor.mask, tensor.mask_taken = own, False
    try:
        yield
    finally:
        for (tensor, _), (own, taken) in zip(changed, before, strict=True):
            tensor.mask, tensor.mask_taken = own, taken or tensor.mask_taken


def apply_rule(b: Builder, rule: Rule, inputs: tuple[Any, ...], calls: dict[str, Any]) -> Any:
    """Translate one call by the rule of the layer."""
    arguments = rule.arguments(b.layer)
    if "training" not in rule.options:
        calls.pop("training", None)
    if unknown := sorted(calls.keys() - rule.options.keys()):
        raise UntranslatableError(f"called with {', '.join(unknown)}, which has no translation")
    if b.layer.kind in REAL:
        inputs = map_structure(partial(as_real, b), inputs)
    output = rule.function(b, *inputs, **arguments, **calls)
    first = next((leaf for leaf in leaves(inputs) if isinstance(leaf, Value)), None)
    masking = rule.masking and not (b.layer.keras_2 and b.layer.kind in UNMASKING)
    if masking and isinstance(output, Value) and output.mask is None and first is not None:
        output.mask, output.mask_taken = first.mask, first.mask_taken
    return output


def apply_operation(b: Builder, inputs: tuple[Any, ...], calls: dict[str, Any]) -> Any:
    """An operation of `keras.ops` that a functional model recorded: its options are arguments of the function."""
    from k2t.rules.operations.base import call_operation, snake_case
    from k2t.rules.operations.recorded import call_recorded

    if b.layer.kind in RECORDED:
        return call_recorded(b, inputs, calls)
    return call_operation(b, snake_case(b.layer.kind.removeprefix(OPERATION)), inputs, b.layer.options | calls)


def is_operation(layer: Layer) -> bool:
    """Whether it is a call of a function, which files keep as a layer."""
    return layer.kind.startswith(OPERATION) or layer.kind in RECORDED


def apply_graph(b: Builder, graph: Graph, inputs: tuple[Any, ...]) -> Any:
    """Call a nested model: a class of its own, or in place where a mask crosses its border."""
    given = [leaf for leaf in leaves(inputs) if isinstance(leaf, Value)]
    if len(given) != len(graph.inputs):
        raise UntranslatableError(f"takes {len(graph.inputs)} inputs, is called with {len(given)}")
    if any(len(declared.shape) != value.rank for declared, value in zip(graph.inputs, given, strict=True)):
        raise UntranslatableError(f"is called with {', '.join(str(value.shape) for value in given)}, which do not fit")
    given = [as_declared(b, value, declared.dtype) for declared, value in zip(graph.inputs, given, strict=True)]
    if any(value.mask is not None for value in given):
        return live_masks(build_calls(graph, given, b.ops, b.parts.in_place))
    declared = len(b.parts.variables)
    block = b.parts.block or build_block(graph, given, b.parts)
    if any(value.mask is not None for value in values(block.outputs)):
        b.parts.children.clear()
        del b.parts.variables[declared:]
        return live_masks(build_calls(graph, given, b.ops, b.parts.in_place))
    b.parts.block = block
    outputs = map_structure(lambda value: b.value(value.shape, value.dtype), block.outputs)
    target = b.parts.modules.setdefault("", Module(block, layer=b.layer.name))
    if not isinstance(target, Module):
        raise UntranslatableError("has both a module and a parameter")
    b.ops.append(Op(target, tuple(given), {}, outputs, "fixed", b.call_name))
    return outputs


def live_masks(outputs: Any) -> Any:
    """What a nested model returns has the masks of run time: Keras knows no others of it."""
    for value in values(outputs):
        value.mask = None if value.mask_taken else value.mask
    return outputs


def build_block(graph: Graph, given: list[Value], around: Parts) -> Block:
    """The class for a nested model: its own inputs, with the sizes that all calls agree on."""
    inputs = [
        Value(known_sizes(declared.shape, value.shape, around.varies), declared.dtype, layer=declared.name)
        for declared, value in zip(graph.inputs, given, strict=True)
    ]
    ops: list[Op] = []
    outputs = build_calls(graph, inputs, ops, around.of_class)
    return Block(graph.name, inputs, [declared.name for declared in graph.inputs], ops, outputs)


def build_calls(graph: Graph, inputs: list[Value], ops: list[Op], child: Callable[[Layer, bool], Parts]) -> Any:
    """Translate the calls of a model onto `ops`; returns its outputs.

    Args:
        child: the parts of each of its layers; the second argument says whether the layer is called several times.

    Raises:
        UnsupportedError: names every layer without a translation.
    """
    known, problems = trace_calls(graph, inputs, ops, child)
    if problems:
        raise UnsupportedError(problems)
    if missing := [ref for ref in refs(graph.outputs) if ref not in known]:
        raise UnsupportedError([Problem(graph.name, "model", no_output(ref)) for ref in missing])
    outputs = resolve(graph.outputs, known)
    if not list(leaves(outputs)) or not all(isinstance(leaf, Value) for leaf in leaves(outputs)):
        raise UnsupportedError([Problem(graph.name, "model", "an output is no tensor that depends on an input")])
    return outputs


def trace_calls(
    graph: Graph, inputs: list[Value], ops: list[Op], child: Callable[[Layer, bool], Parts]
) -> tuple[dict[Ref, Any], list[Problem]]:
    """Like `build_calls`, as far as it goes: every output that is known, and what has no translation."""
    counts = Counter(id(call.layer) for call in graph.calls)
    known: dict[Ref, Any] = {Ref(i.name): value for i, value in zip(graph.inputs, inputs, strict=True)}
    done = {declared.name for declared in graph.inputs}
    problems: list[Problem] = []
    for call in graph.calls:
        layer = call.layer
        try:
            if missing := [ref for ref in refs((call.args, call.kwargs)) if ref not in known]:
                check(layer)
                problems += [Problem(layer.name, layer.kind, no_output(ref)) for ref in missing if ref.call in done]
                continue
            parts = child(layer, counts[id(layer)] > 1)
            args, kwargs = resolve(call.args, known), resolve(call.kwargs, known)
            with refusing("its inputs or options are not what this layer takes"):
                output = apply_layer(Builder(ops, parts, call.name), args, kwargs)
            known.update(outputs_of(call.name, output))
            done.add(call.name)
        except UntranslatableError as error:
            problems.append(Problem(layer.name, layer.kind, str(error)))
        except UnsupportedError as error:
            problems += error.problems
    return known, list(dict.fromkeys(problems))


def no_output(ref: Ref) -> str:
    """What to say of a reference to a tensor that a call does not return."""
    return f"takes output {ref.index} of {ref.call}, which has no such output"


def check(layer: Layer) -> None:
    """What can be said of a layer whose inputs are not known, because another layer has no translation."""
    if layer.graph is None:
        if not is_operation(layer):
            find_rule(layer).arguments(layer)
        return
    problems: list[Problem] = []
    for inner in layer.graph.layers():
        try:
            check(inner)
        except UntranslatableError as error:
            problems.append(Problem(inner.name, inner.kind, str(error)))
        except UnsupportedError as error:
            problems += error.problems
    if problems:
        raise UnsupportedError(problems)


def outputs_of(call: str, output: Any) -> dict[Ref, Any]:
    """Each output tensor of a call under its reference; sizes and constants as one output."""
    found = list(leaves(output))
    if not all(isinstance(item, Value) for item in found):
        return {Ref(call): output}
    return {Ref(call, index): value for index, value in enumerate(found)}


def resolve(structure: Any, known: dict[Ref, Any]) -> Any:
    """The structure with each reference replaced by its value."""
    return map_structure(lambda leaf: known[leaf] if isinstance(leaf, Ref) else leaf, structure)
