"""Makes and calls layers and models as the code does: every call is recorded, its shapes inferred by the rules."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from k2t.code.arguments import as_list, has_unknown, module_named, shape_of, skipped
from k2t.code.custom import Followed, as_option, layer_named, rule_of
from k2t.code.data import blank_binary, blank_item, is_blank
from k2t.code.graphs import graph_of, is_function, tensors
from k2t.code.layers import input_shape, options_of
from k2t.code.objects import (
    Broken,
    Configured,
    Custom,
    Given,
    Made,
    Net,
    Partial,
    Recorded,
    Tensor,
    Thing,
)
from k2t.errors import Problem, UnsupportedError, UntranslatableError, refusing
from k2t.graph import Graph, Layer, Shape, map_structure, snake_case
from k2t.program import Size, Value, leaves
from k2t.read.eras import Era
from k2t.rules.builder import Builder, apply_layer
from k2t.rules.custom.objects import CustomClass, Method
from k2t.rules.parts import Parts
from k2t.rules.tracing.interpreter import Interpreter
from k2t.rules.tracing.names import Closure, Library, Unknown, UnknownError

# Methods of models and layers that compute nothing of the network.
SILENT = frozenset(
    {"compile", "summary", "fit", "fit_generator", "evaluate", "predict", "predict_generator", "evaluate_generator"}
    | {"save", "save_weights", "load_weights", "set_weights", "train_on_batch", "test_on_batch", "predict_on_batch"}
    | {"reset_states", "reset_state", "add_loss", "add_metric", "add_update", "to_json", "to_yaml", "get_weights"}
    | {"get_config", "export", "adapt", "predict_classes", "predict_proba", "reset_metrics", "make_train_function"}
    | {"count_params", "finalize_state", "quantize", "enable_lora"}
)
# Classes of Keras that make an object of the code a layer.
BASES = frozenset({"Layer", "Model", "Sequential", "Wrapper", "Functional"})
PLAIN = (str, int, float, bool, type(None), bytes, complex)


class Models(Interpreter):
    """Makes and calls layers and models.

    Attributes:
        era: the release that the code was written for.
        main: the names of the script itself.
        base: its path.
        modules: the files of the project that it imports.
        given: values that the user gives by name; `used`: those that were wanted.
        frames: the object and the class whose methods are followed, the innermost last.
        calls: the number of calls of layers so far; `failed`: of those without a translation.
    """

    limit = 400_000

    def __init__(self, base: Path, given: Mapping[str, Any]) -> None:
        layer = Layer("code", "")
        super().__init__(Builder([], Parts(layer), "code"), {})
        self.era = Era((2, 15, 0), "tensorflow", tf_keras=True)
        self.base = base
        self.main: Any = None
        self.modules: dict[Path, Any] = {}
        self.given = {name: module_named(value) for name, value in given.items()}
        self.used: set[str] = set()
        self.dotted = {name for name in given if "." in name and not name.startswith("self.")}
        self.frames: list[tuple[Any, CustomClass]] = []
        self.serials = 0
        self.numbers = 0
        self.calls = 0
        self.failed = 0
        self.ended: dict[str, Any] = {}
        self.names_taken: dict[str, int] = {}

    def place(self, node: ast.AST) -> str:
        """`file:line:column`."""
        raise NotImplementedError

    def method(self, method: Method, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of the code."""
        raise NotImplementedError

    def problem(self, node: ast.AST, kind: str, reason: str) -> Problem:
        """What has no translation, and where."""
        return Problem(self.place(node), kind, reason)

    def serial(self) -> int:
        """The number of the next layer."""
        self.serials += 1
        return self.serials

    def auto_name(self, kind: str) -> str:
        """The name that Keras gives: `dense`, `dense_1`."""
        base = snake_case(kind.rpartition(">")[2])
        number = self.names_taken[base] = self.names_taken.get(base, -1) + 1
        return f"{base}_{number}" if number else base

    def traced(self, item: Any) -> bool:
        """Whether a value is known at run time only."""
        return isinstance(item, Tensor) or super().traced(item)

    # -- making ------------------------------------------------------------------------------------------------------

    def layer(self, node: ast.AST, name: str, args: list[Any], kwargs: dict[str, Any]) -> Made:
        """`keras.layers.<name>(*args, **kwargs)`."""
        label = kwargs.get("name")
        named = isinstance(label, str)
        made = Made(Layer(label if isinstance(label, str) else "", name), self.serial(), named=named)
        unknown = next((item for item in leaves((args, kwargs)) if isinstance(item, Unknown)), None)
        try:
            if unknown is not None and not skipped(unknown, kwargs):
                raise UntranslatableError(str(unknown))
            clean = {key: item for key, item in kwargs.items() if not has_unknown(item)}
            given = input_shape(clean, name, args)
            if given is not None:
                made.given_shape = tuple(int(n) if isinstance(n, np.generic) else n for n in given)
            made.given_dtype = clean["dtype"] if isinstance(clean.get("dtype"), str) else "float32"
            kind, options = options_of(name, as_option(args, self.era), as_option(clean, self.era), self.era)
            trainable = clean.get("trainable", True) is not False
            made.layer = layer_named(label or "", kind, options, self.era, "float32", trainable)
        except UntranslatableError as error:
            made.missing = str(error)
        if not named:
            made.layer.name = self.auto_name(made.layer.kind)
        return made

    def input(self, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
        """`keras.Input(shape)`."""
        if isinstance(given := kwargs.get("tensor", kwargs.get("input_tensor")), Tensor):
            return given
        shape = kwargs.get("shape", args[0] if args else kwargs.get("input_shape"))
        whole = kwargs.get("batch_shape", kwargs.get("batch_input_shape"))
        if len(args) > 1 and whole is None and not isinstance(args[1], str | int):
            whole = args[1]  # Keras 1 and 2 had the shape with the batch second
        if whole is None:
            if shape is None:
                raise UntranslatableError("an Input without a shape")
            if isinstance(shape, Unknown):
                raise UnknownError(f"the shape of an Input: {shape}", shape)
            sizes = (shape,) if isinstance(shape, int) else tuple(shape)
            batch = kwargs.get("batch_size", args[1] if len(args) > 1 and isinstance(args[1], int) else None)
            whole = (batch, *sizes)
        if unknown := next((size for size in whole if isinstance(size, Unknown)), None):
            raise UnknownError(f"the shape of an Input: {unknown}", unknown)
        name = kwargs.get("name") or self.auto_name("input")
        dtype = kwargs.get("dtype") or "float32"
        made = self.given_tensor(str(name), tuple(size if size is None else int(size) for size in whole), str(dtype))
        made.origin.made.named = bool(kwargs.get("name"))
        return made

    def given_tensor(self, name: str, shape: Shape, dtype: str = "float32") -> Tensor:
        """An input of models."""
        made = Made(Layer(name, "InputLayer"), self.serial(), shape, dtype, named=True)
        tensor = Tensor(Value(shape, dtype, layer=name), Given(name, shape, dtype, made))
        made.calls.append(Recorded(made, 0, (), {}, [tensor], tensor))
        return tensor

    def model(self, node: ast.AST, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """`keras.Model(inputs, outputs)` or `keras.Sequential(layers)`."""
        label = kwargs.get("name")
        if name == "Sequential":
            label = label or (args[1] if len(args) > 1 else None)
            net = Net(Layer(str(label or self.auto_name("sequential")), "Sequential"), self.serial(), named=bool(label))
            net.layer.keras_2 = self.era.before_keras_3
            for item in as_list(args[0] if args else kwargs.get("layers") or []):
                self.add(node, net, item)
            return net
        inputs = kwargs.get("inputs", kwargs.get("input", args[0] if args else None))
        outputs = kwargs.get("outputs", kwargs.get("output", args[1] if len(args) > 1 else None))
        if inputs is None or outputs is None:
            raise UntranslatableError("a Model without inputs and outputs")
        label = label or (args[2] if len(args) > 2 else None)
        return self.functional(node, str(label or self.auto_name("functional")), inputs, outputs, bool(label))

    def functional(self, node: ast.AST, name: str, inputs: Any, outputs: Any, named: bool = True) -> Any:
        """A model between tensors."""
        found = [leaf for leaf in leaves((inputs, outputs)) if isinstance(leaf, Unknown)]
        if found:
            problems = [self.problem(node, "Model", str(item)) for item in found if not isinstance(item, Broken)]
            problems += [one for item in found if isinstance(item, Broken) for one in item.problems]
            return Broken("Model(...)", self.place(node), problems=tuple(dict.fromkeys(problems)))
        for leaf in leaves((inputs, outputs)):
            if not isinstance(leaf, Tensor):
                raise UntranslatableError(f"a Model of something that is no tensor ({type(leaf).__name__})")
        net = Net(Layer(name, "Functional"), self.serial(), named=named)
        net.layer.keras_2 = self.era.before_keras_3
        net.inputs = list(tensors(list(inputs.values()) if isinstance(inputs, dict) else inputs))
        if isinstance(outputs, list | tuple) and len(outputs) == 1:
            outputs = outputs[0]
        net.outputs = list(outputs) if isinstance(outputs, tuple) else outputs
        self.graph(net)
        return net

    def graph(self, net: Net) -> Graph:
        """The graph of a model, made once its inputs are known."""
        if net.layer.graph is None:
            net.layer.graph = graph_of(net.layer.name, net.inputs, net.outputs)
        return net.layer.graph

    def add(self, node: ast.AST, net: Net, item: Any) -> None:
        """`model.add(layer)`."""
        if isinstance(item, Tensor) and isinstance(item.origin, Given):
            item = item.origin.made
        if isinstance(item, Net | Custom | Made):
            if item.missing:
                net.problems.append(self.problem(node, item.layer.kind, item.missing))
            if item.layer.kind == "InputLayer":
                net.given_shape, net.given_dtype = item.given_shape, item.given_dtype
            else:
                net.members.append(item)
                if net.outputs is not None:
                    net.outputs = self.call(node, item, [net.outputs], {})
                    net.layer.graph = None
        elif isinstance(item, Unknown):
            net.problems.append(self.problem(node, "add", str(item)))
        else:
            net.problems.append(self.problem(node, "add", f"{type(item).__name__} is no layer that is known"))

    def built(self, node: ast.AST, net: Net, shape: Shape | None = None) -> bool:
        """Connect the layers of a Sequential model; whether its input's shape is known."""
        if net.outputs is not None or not net.sequential:
            return True
        if net.problems:
            return False
        first = net.members[0] if net.members else None
        shape = net.given_shape or (self.stated(node, first) if first else None) or shape
        if shape is None or first is None:
            return False
        dtype = net.given_dtype if net.given_shape else first.given_dtype
        if first.layer.kind == "Embedding" and dtype == "float32":
            dtype = "int32" if not net.given_shape else dtype
        tensor: Any = self.given_tensor(f"{net.layer.name}_input", tuple(shape), dtype)
        net.inputs = [tensor]
        for member in net.members:
            tensor = self.call(node, member, [tensor], {})
        net.outputs = tensor
        if not isinstance(tensor, Unknown) and not net.problems:
            self.graph(net)
        return True

    def stated(self, node: ast.AST, made: Made) -> Shape | None:
        """The shape of its input that a layer states, or the first layer inside it."""
        if made.given_shape is not None:
            return made.given_shape
        if isinstance(made, Net):
            if made.sequential:
                return self.stated(node, made.members[0]) if made.members else None
            value = made.inputs[0].value
            return value.shape if isinstance(value, Value) else None
        return None

    # -- calling -----------------------------------------------------------------------------------------------------

    def call(self, node: ast.AST, made: Made, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The outputs of a layer, a model or a function on these tensors."""
        if isinstance(made, Custom) and made.net is not None and not made.kind.find("call"):
            return self.call(node, made.net, args, kwargs)
        for key in ("inputs", "x", "input"):
            if key in kwargs and not args:
                args = [kwargs.pop(key)]
        args = self.positioned(made, args, kwargs)
        self.calls += not is_function(made)
        broken = [leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, Unknown)]
        problems = [one for item in broken if isinstance(item, Broken) for one in item.problems]
        problems += [self.problem(node, made.layer.kind, str(i)) for i in broken if not isinstance(i, Broken)]
        if isinstance(made, Net):
            problems += made.problems
            if not problems and made.sequential and not self.built(node, made, shape_of(args)):
                problems.append(self.problem(node, "Sequential", "the shape of its input is not known"))
            if isinstance(made.outputs, Broken):
                problems += made.outputs.problems
            if args and isinstance(args[0], dict) and made.inputs:
                args = [[args[0][one.origin.name] for one in made.inputs if isinstance(one.origin, Given)]]
        if made.missing:
            problems.append(self.problem(node, made.layer.kind, made.missing))
        if not problems:
            try:
                return self.record(made, tuple(args), kwargs)
            except UnsupportedError as error:
                problems = [self.problem(node, made.layer.kind, str(p)) for p in error.problems]
            except UntranslatableError as error:
                problems = [self.problem(node, made.layer.kind, str(error))]
        self.failed += not is_function(made)
        return Broken(ast.unparse(node)[:60], self.place(node), problems=tuple(dict.fromkeys(problems)))

    def positioned(self, made: Made, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
        """The inputs of a call that names them, and examples of data as inputs."""
        if isinstance(made, Custom) and not args and (method := made.kind.find("call")) is not None:
            first = [item.arg for item in method[1].args.args][1:2]
            args = [kwargs.pop(name) for name in first if name in kwargs]
        if any(isinstance(leaf, Tensor | Unknown) for leaf in leaves((args, kwargs))):
            return args
        return [map_structure(self.example, arg) for arg in args]

    def example(self, leaf: Any) -> Any:
        """Data on which a model is called to build it: an input of this shape, its batch open."""
        if not isinstance(leaf, np.ndarray) or not leaf.ndim:
            return leaf
        return self.given_tensor(
            self.auto_name("data"), (None, *leaf.shape[1:]), "int32" if leaf.dtype.kind == "i" else "float32"
        )

    def record(self, made: Made, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call, with the shapes that its rule infers."""
        given, named = map_structure(self.settled, (args, kwargs))
        layer = made.layer
        if isinstance(made, Custom):
            layer.rule = layer.rule or rule_of(made, self.era)
        before = {leaf: leaf.mask for leaf in leaves((given, named)) if isinstance(leaf, Value)}
        with refusing("cannot be followed"):
            output = apply_layer(Builder([], Parts(layer), layer.name), given, dict(named))
        for value, mask in before.items():
            value.mask = mask
        self.numbers += 1
        known, others = map_structure(self.constant_of, (args, kwargs))
        call = Recorded(made, self.numbers, known, others)
        made.calls.append(call)
        found = list(leaves(output))
        if all(isinstance(leaf, Value) for leaf in found):
            call.tensors = [Tensor(leaf, call, index) for index, leaf in enumerate(found)]
            rest = iter(call.tensors)
            call.output = map_structure(lambda leaf: next(rest), output)
        elif isinstance(output, list | tuple):
            whole = Tensor(Value((len(output),), "int32"), call)
            call.tensors = [whole]
            call.output = type(output)(self.entry(whole, place, item) for place, item in enumerate(output))
        else:
            call.tensors = [Tensor(output, call)]
            call.output = call.tensors[0] if isinstance(output, Size) else output
        return call.output

    def entry(self, whole: Tensor, place: int, item: Any) -> Any:
        """One of the sizes that a call returns; a number as it is."""
        if not isinstance(item, Value | Size):
            return item
        self.numbers += 1
        made = Made(Layer(self.auto_name("item"), "Item", {"index": place}), self.serial())
        call = Recorded(made, self.numbers, (whole,), {})
        call.tensors = [Tensor(item, call)]
        return call.tensors[0]

    def settled(self, leaf: Any) -> Any:
        """An argument of a call, as rules take it."""
        return leaf.value if isinstance(leaf, Tensor) else self.constant_of(leaf)

    def constant_of(self, leaf: Any) -> Any:
        """An argument that is no tensor, as graphs hold it."""
        if isinstance(leaf, Closure | Partial | Method):
            return Followed(leaf, self.era)
        if isinstance(leaf, Library):
            return leaf.path.rpartition(".")[2]
        if isinstance(leaf, Made | Thing | CustomClass | Configured):
            raise UntranslatableError(f"an argument that is no data ({type(leaf).__name__})")
        return leaf

    def binary(self, node: ast.AST, kind: type[ast.AST], left: Any, right: Any) -> Any:
        """An operator; of data that is blank, on one number."""
        made = blank_binary(left, right)
        return super().binary(node, kind, left, right) if made is None else made

    def item(self, node: ast.AST, value: Any, key: Any) -> Any:
        """`value[key]`; of data that is blank, without copying it."""
        made = blank_item(value, key) if is_blank(value) else None
        return super().item(node, value, key) if made is None else made

    def operation(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """An operation of keras.ops; of constants it is computed where that is possible."""
        if not any(isinstance(leaf, Tensor) for leaf in leaves((args, kwargs))):
            return super().operation(name, *args, **kwargs)
        return self.function(f"keras.ops.{name}", list(args), kwargs)

    def function(self, path: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """A function of a library on tensors, recorded as a call."""
        broken = [leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, Unknown)]
        if broken:
            return broken[0]
        if (
            path in ("keras.ops.shape", "K.int_shape", "K.shape", "tf.shape")
            and isinstance(args[0], Tensor)
            and len(args) == 1
        ):
            value = args[0].value
            if isinstance(value, Value) and None not in value.shape:
                return tuple(value.shape)
            if path == "K.int_shape" and isinstance(value, Value):
                return value.shape
        name = path.rpartition(".")[2]
        made = Made(Layer(self.auto_name(name), "Function", {"function": path}), self.serial())
        return self.record(made, tuple(args), kwargs)
