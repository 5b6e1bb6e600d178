"""Follows the code and notes what each place of it does to tensors."""

from __future__ import annotations

import ast
from typing import Any

from k2t.code.custom import Followed
from k2t.code.libraries import configured
from k2t.code.objects import Partial
from k2t.code.script import Script
from k2t.code.standard import HANDLERS, NAMED
from k2t.graph import Layer, map_structure
from k2t.program import Block, Module, Op, Parameter, Value, leaves, values
from k2t.rules.builder import Builder, apply_layer
from k2t.rules.custom.objects import CustomClass
from k2t.rules.parts import Parts
from k2t.rules.tracing.names import Bound, Closure, Library, Returned, Scope
from k2t.structured.frames import (
    Caller,
    Frame,
    LayerObject,
    ModelObject,
    NotStructured,
    WeightObject,
    arguments,
    spelled,
)
from k2t.structured.layers import FUNCTIONAL, Constructors, kind_of, with_sizes
from k2t.structured.learned import Learned
from k2t.structured.makers import Made, Makers
from k2t.structured.places import Places
from k2t.structured.positions import beside, constant, counted
from k2t.structured.sizes import (
    OPAQUE,
    as_tuple,
    fits,
    inner_name,
    is_number,
    size_name,
    unsized,
)
from k2t.structured.weights import new_weight
from k2t.symbols import Symbolic, number, substitute, symbol

# Functions that hand tensors on as they are, or tell their sizes.
PASSING = {
    f"builtins.{name}"
    for name in ("dict", "enumerate", "isinstance", "len", "list", "print", "range", "reversed", "tuple", "zip")
} | {"K.int_shape", "K.shape", "keras.ops.shape", "tf.shape"}
# Functions of libraries that have nothing to do with tensors.
CONFIGURING = ("K.image_d", "collections.", "copy.", "itertools.", "keras.config.", "keras.datasets.", "os.path.")
SIZING = {name: NAMED[name] for name in ("_obtain_input_shape", "obtain_input_shape")}


class Recorder(Places):
    """Follows a script, and notes the executions of its functions.

    Attributes:
        script: what follows the same file to evaluate it.
        main: the name of the function that builds the model.
        frames: of functions that work on tensors, callees before their callers.
    """

    def __init__(
        self,
        script: Script,
        constants: frozenset[str],
        learned: Learned,
    ) -> None:
        super().__init__(Scope(script.main), constants, learned)
        self.script = script
        self.main = ""
        self.layers = Constructors(script.era)
        self.frames: list[Frame] = []
        self.makers = Makers(learned.specialized)

    def apply(self, node: ast.AST, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of a call: of a layer, of what constructs one, of a function of the code."""
        if isinstance(function, LayerObject):
            with self.placed(node):
                return self.call_layer(node, function, args, kwargs)
        if isinstance(function, Partial):
            return self.apply(node, function.function, [*function.args, *args], {**function.kwargs, **kwargs})
        if isinstance(function, Caller):
            return self.call(node, function, args, kwargs)
        if isinstance(function, Closure) and isinstance(function.node, ast.FunctionDef):
            function = self.makers.unstarred(function, args, kwargs)
        if (made := self.makers.of(function)) and not any(values((args, kwargs))):
            return self.constructed(node, made, args, kwargs)
        if isinstance(function, Library) and function.path.startswith("keras."):
            with self.placed(node):
                made = self.keras_call(node, function.path, args, kwargs)
            if made is not NotImplemented:
                return made
        if isinstance(function, Closure | Library | Bound) and any(values((args, kwargs))):
            if isinstance(function, Closure) and isinstance(function.node, ast.FunctionDef):
                return self.call_function(node, function, args, kwargs)
            if isinstance(function, Bound) and not isinstance(function.subject, Value):
                return super().apply(node, function, args, kwargs)
            if isinstance(function, Library) and function.path in PASSING:
                return super().apply(node, function, args, kwargs)
            with self.noted(node, self.operands(node, args, kwargs)):
                return self.close(super().apply(node, function, args, kwargs))
        return super().apply(node, function, args, kwargs)

    def library_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A function of a library; of numbers and names, what it gives where the script is evaluated."""
        if path == "K.int_shape" and isinstance(args[0], Value):
            return args[0].shape
        known = HANDLERS.get(path) if path.startswith(CONFIGURING) else SIZING.get(path.rpartition(".")[2])
        return known(self.script, node, args, kwargs) if known else super().library_call(node, path, args, kwargs)

    def keras_call(self, node: ast.AST, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A constructor of Keras, or NotImplemented."""
        library, _, name = path.rpartition(".")
        if library.endswith(("initializers", "regularizers", "constraints")):
            return configured(name, args, kwargs)
        if name == "Input":
            return self.new_input(node, args, kwargs)
        if name == "add_weight":
            return self.weight(node, new_weight(args, kwargs, self.layers.era))
        if name in ("Model", "Functional"):
            names = ("inputs", "outputs")
            given = dict(zip(names, args, strict=False)) | {k.rstrip("s") + "s": v for k, v in kwargs.items()}
            model = ModelObject(node, given["inputs"], given["outputs"])
            if self.frame is not None:
                self.frame.model = model
            return model
        if name == "merge" and "layers" in path:
            layer = self.layer_object(node, self.layers.merge(*args[1:2], **kwargs))
            return self.call_layer(node, layer, args[:1], {})
        if name in FUNCTIONAL and "layers" in path:
            layer = self.layer_object(node, self.layers.construct(FUNCTIONAL[name], args[1:], kwargs))
            return self.call_layer(node, layer, args[:1], {})
        kind = kind_of(path)
        return self.layer_object(node, self.layers.construct(kind, args, kwargs)) if kind else NotImplemented

    def layer_object(self, node: ast.AST, layer: Layer) -> LayerObject:
        """A layer, noted where it is constructed."""
        if self.frame is None:
            raise NotStructured("a layer is constructed outside of the function")
        made = LayerObject(layer, node, Parts(layer, shared=False, varying=set()), self.frame.loops)
        self.frame.layers[node].append(made)
        return made

    def weight(self, node: ast.AST, made: Parameter) -> Parameter:
        """A parameter, noted where it is made."""
        if self.frame is not None:
            self.frame.weights[id(made)] = WeightObject(made, node, self.frame.loops)
        return made

    def new_input(self, node: ast.AST, args: list[Any], kwargs: dict[str, Any]) -> Value:
        """`Input(shape)`."""
        if self.frame is None or self.frame.loops:
            raise NotStructured("an Input inside a loop or outside of the function")
        shape = args[0] if args else kwargs.get("shape")
        sizes = shape if isinstance(shape, list | tuple) else (shape,)
        sizes = [number(n) if isinstance(n, Symbolic) and not n.deps else n for n in sizes]
        whole = kwargs.get("batch_shape") or (kwargs.get("batch_size"), *sizes)
        value = Value((None, *whole[1:]), str(kwargs.get("dtype") or "float32"), layer=f"input_{self.place(node)}")
        self.frame.inputs[node] = value
        return value

    def call_layer(self, node: ast.AST, layer: LayerObject, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A call of a layer."""
        kwargs = {key: value for key, value in kwargs.items() if key not in ("name",)}
        operands = self.operands(node, args, kwargs)
        if layer.site is node:  # a functional form: its options are no operands
            operands = operands[:1]
        constants = [constant(item) for item in args]
        if any(item is not None for item in constants):
            operands.append(beside(self.names.maps[0]))
        function = layer.layer.options.get("function")
        with self.noted(node, operands):
            if self.event is None or self.frame is None:
                raise NotStructured("a layer is called inside of another operation")
            if isinstance(function, Followed):  # of a Lambda: its numbers are this function's
                self.remember(function.function)
                kwargs |= layer.layer.options.get("arguments") or {}
                return self.close(super().apply(node, function.function, args, kwargs))
            self.event.layer = layer
            b = Builder(self.frame.ops, with_sizes(layer, self.event.known), self.event.label)
            given = [
                item if array is None else counted(b, array, operands[-1][1])
                for item, array in zip(args, constants, strict=True)
            ]
            output = apply_layer(b, tuple(given), kwargs)
            for variable in layer.parts.variables:
                variable.shape = tuple(map(number, variable.shape))
            return self.close(output)

    def remember(self, function: Closure) -> None:
        """Take note of the variables that a Lambda reads: Keras reads them whenever the model runs."""
        own = {item.arg for item in arguments(function.node)}
        for item in ast.walk(function.node):
            if self.frame is not None and isinstance(item, ast.Name) and item.id not in own and self.is_own(item.id):
                self.frame.late.add((item.id, self.frame.versions[item.id]))

    def set_attribute(self, node: ast.Attribute, subject: Any, value: Any) -> None:
        """`model.name = …` computes nothing."""
        if not isinstance(subject, ModelObject | LayerObject):
            super().set_attribute(node, subject, value)

    def attribute(self, node: ast.AST, value: Any, name: str) -> Any:
        """What an object has under this name; of a class of the code, a function."""
        found = value.find(name) if isinstance(value, CustomClass) else None
        if found is None:
            return super().attribute(node, value, name)
        return Closure(found[1], found[0].names)

    def constructed(self, node: ast.AST, made: Made, args: list[Any], kwargs: dict[str, Any]) -> Caller:
        """What is constructed here with options, to be called with tensors."""
        if self.frame is None:
            raise NotStructured("a layer is constructed outside of the function")
        if any(values((args, kwargs))):
            raise NotStructured("a layer is constructed with tensors", node)
        known = {item.arg for item in arguments(made.function.node)}
        options = {
            key: value for key, value in {**dict(zip(made.names, args, strict=False)), **kwargs}.items() if key in known
        }
        caller = Caller(made.function, options, spelled(node, made.names), node, self.frame.loops)
        if made.is_model:
            caller.frame = self.enter(made.function, self.bind(made.function, args, kwargs), tuple(options))
        return caller

    def call_function(self, node: ast.AST, function: Closure, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A call of a function of the code that takes tensors: a class of its own."""
        if self.frame is None:
            raise NotStructured("tensors outside of the function")
        return self.call(node, Caller(function, {}, {}, node, self.frame.loops), args, kwargs)

    def call(self, node: ast.AST, caller: Caller, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A call with tensors of what has a class of its own; it is followed the first time."""
        names = [item.arg for item in arguments(caller.function.node)]
        with self.noted(node, self.operands(node, args, kwargs)):
            if self.event is None or self.frame is None:
                raise NotStructured("a function is called inside of another operation")
            self.event.caller, self.event.spelled = caller, caller.spelled | spelled(node, names)
            if caller.frame is not None and caller.frame.inputs:
                bound, tensors = caller.frame.arguments, list(values((args, kwargs)))
            else:
                bound = self.bind(caller.function, args, caller.options | kwargs)
                given = (*names[: len(args)], *kwargs, *caller.options)
                caller.frame = caller.frame or self.enter(caller.function, bound, given)
                tensors = [bound[name] for name in caller.frame.tensors]
            block = caller.frame.block
            if block is None or not fits(block, list(values(tensors))):
                raise NotStructured("a model is called with tensors of several sizes")
            caller.module = caller.module or Module(block, layer=self.event.label.partition("#")[0])
            outputs = map_structure(self.returned(caller.frame, bound), caller.frame.output)
            self.frame.ops.append(Op(caller.module, tuple(values(tensors)), {}, outputs, "fixed", self.event.label))
            return self.close(outputs)

    def returned(self, callee: Frame, bound: dict[str, Any]) -> Any:
        """Makes of a tensor of the callee one of the caller: its last size by the callee's arguments."""
        known = {f"{argument}": bound[name] for name, argument in zip(bound, bound, strict=True)}
        tensors = {name: bound[name] for name, value in callee.tensors.items() if isinstance(value, Value)}
        known |= {size_name(callee, name): value.shape[-1] for name, value in tensors.items()}
        known |= {
            inner_name(name, axis): size
            for name, value in tensors.items()
            for axis, size in enumerate(value.shape[1:-1], 1)
            if size is not None
        }

        def made(value: Value) -> Value:
            shape = list(value.shape)
            for axis, size in enumerate(shape):
                if isinstance(size, Symbolic):
                    names = {name for name, version in size.deps}
                    fresh = all(version == 0 for _, version in size.deps) and names <= known.keys()
                    plain = fresh and all(is_number(item) for name in names for item in as_tuple(known[name]))
                    shape[axis] = substitute(size, known) if plain else symbol(number(size), OPAQUE)
            return Value(tuple(shape), value.dtype, layer=self.event.label if self.event else "")

        return made

    def enter(self, function: Closure, bound: dict[str, Any], given: tuple[str, ...]) -> Frame:
        """Follow a function in a frame of its own."""
        node = function.node
        if not isinstance(node, ast.FunctionDef):
            raise NotStructured("a lambda of tensors")
        node = self.makers.variant(self.makers.looped(node), bound)
        kept_arguments = {name: list(value) if isinstance(value, list) else value for name, value in bound.items()}
        frame = Frame(node, kept_arguments, given, parent=self.frame, function=function)
        own = {name: self.argument_of(frame, name, value) for name, value in bound.items()}
        kept = self.names, self.frame, self.b, self.event
        self.names, self.frame, self.event = Scope(own, function.names), frame, None
        frame.variables = self.names.maps[0]
        self.b = Builder(frame.ops, Parts(Layer("", "")), "")
        try:
            self.execute(node.body)
        except Returned as returned:
            frame.output = returned.value
        finally:
            self.names, self.frame, self.b, self.event = kept
        self.finish(frame)
        if frame.block is not None:
            self.frames.append(frame)
        return frame

    def argument_of(self, frame: Frame, name: str, value: Any) -> Any:
        """What a function sees of an argument."""
        if isinstance(value, Value):
            last = value.shape[-1]
            size = None if last is None else symbol(number(last), size_name(frame, name), [(size_name(frame, name), 0)])
            inner = [
                symbol(number(n), inner_name(name, axis), [(inner_name(name, axis), 0)])
                if isinstance(n, Symbolic)
                else n
                for axis, n in enumerate(value.shape[1:-1], 1)
            ]
            frame.tensors[name] = Value((value.shape[0], *inner, size), value.dtype, layer=name)
            return frame.tensors[name]
        if any(values(value)):
            frame.tensors[name] = map_structure(lambda leaf: unsized(leaf, name), value)
            return frame.tensors[name]
        if frame.parent is None and frame.function.node.name == self.main and name in self.learned.fixed:
            frame.fixed.add(name)
        return number(value)

    def finish(self, frame: Frame) -> None:
        """The block of a function's execution."""
        output = frame.output
        if changed := [name for name, version in frame.late if frame.versions[name] != version]:
            raise NotStructured(f"a Lambda reads {changed[0]}, which changes before the model runs")
        if isinstance(output, Caller) and output.frame is not None and not frame.events:
            return  # it leaves the model to another function
        if frame.inputs and not isinstance(output, ModelObject):
            raise NotStructured(f"{frame.name} does not return its model")
        if frame.inputs:
            if frame.model is None:
                raise NotStructured(f"{frame.name} makes an Input and no Model")
            output = frame.model.outputs
        frame.output = output
        if not any(values(output)) or not all(isinstance(leaf, Value) for leaf in leaves(output)):
            raise NotStructured(f"{frame.name} returns something besides tensors")
        inputs = [*values(list(frame.tensors.values())), *frame.inputs.values()]
        if frame.model is not None:
            order = list(values(frame.model.inputs))
            if set(order) != set(inputs):
                raise NotStructured("a model of other tensors than its inputs")
            inputs = order
        frame.block = Block(frame.name, inputs, [value.layer for value in inputs], frame.ops, output)
