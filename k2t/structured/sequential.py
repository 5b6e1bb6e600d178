"""Sequential models as the functions of tensors that they mean."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from k2t.structured.frames import NotStructured
from k2t.structured.objects import free, names_in, with_tensors

# Names under which rewritten code finds Keras; nothing that Python can spell.
MODEL, INPUT = "keras Model", "keras Input"
FUNCTIONS = (ast.FunctionDef, ast.ClassDef)
SHAPES = ("input_shape", "batch_input_shape", "input_dim", "input_length")


def functional(function: ast.FunctionDef) -> ast.FunctionDef:
    """The function with its Sequential models as calls, `x = layer(x)`: the one that it builds, those that it calls.

    Raises:
        NotStructured: a model is used otherwise.
    """
    made = copy.copy(function)
    model = free("model", names_in(function))
    made.body = [part for node in function.body for part in assigned_first(node, model)]
    for name in sequential_names(made.body):
        if any(is_called(node, name) for node in ast.walk(made)):
            made.body = inlined(made, name)
        elif any(isinstance(node, ast.Return) and is_name(node.value, name) for node in ast.walk(made)):
            made.body = Chain(made, name).statements(made.body, False)
    return made


def assigned_first(node: ast.stmt, name: str) -> list[ast.stmt]:
    """`return Sequential(…)` as an assignment and a return; any other statement as it is."""
    if not isinstance(node, ast.Return) or node.value is None or not is_sequential(node.value):
        return [node]
    first = ast.Assign([ast.Name(name, ast.Store())], node.value, lineno=0)
    return [located(first, node), located(ast.Return(ast.Name(name, ast.Load())), node)]


def sequential_names(body: Sequence[ast.stmt]) -> list[str]:
    """The variables that hold Sequential models."""
    found = [node for node in body if isinstance(node, ast.Assign) and is_sequential(node.value)]
    return list(dict.fromkeys(target.id for node in found for target in node.targets if isinstance(target, ast.Name)))


def inlined(function: ast.FunctionDef, name: str) -> list[ast.stmt]:
    """The statements with a Sequential model in place of its only call; with several calls, a function of its own."""
    calls = [node for node in ast.walk(function) if is_called(node, name)]
    place = next(i for i, node in enumerate(function.body) if any(item in calls for item in ast.walk(node)))
    own = [node for node in function.body[:place] if mentions(node, name)]
    rest = [node for node in function.body if node not in own and not is_effect(node, name)]
    if len(calls) > 1 or isinstance(function.body[place], ast.For | ast.If):
        rest.insert(rest.index(function.body[place]), as_function(function, name, own))
        return rest
    given: ast.expr = calls[0].args[0]  # type: ignore[attr-defined]
    chain = Chain(function, name, given)
    rest_of_code = (item for node in function.body[place:] for item in ast.walk(node))
    if isinstance(given, ast.Name) and sum(is_name(item, given.id) for item in rest_of_code) == 1:
        chain.x = given.id
    made = chain.statements(own, False)
    used = replaced(function.body[place], calls[0], ast.Name(chain.x, ast.Load()))
    index = rest.index(function.body[place])
    return [*rest[:index], *made, used, *rest[index + 1 :]]


def as_function(function: ast.FunctionDef, name: str, body: Sequence[ast.stmt]) -> ast.FunctionDef:
    """The statements that build a Sequential model, as a function of its input."""
    chain = Chain(function, name, ast.Name("x", ast.Load()))
    chain.x = "x"
    made = [node for node in chain.statements(body, False) if not is_name(getattr(node, "value", None), "x")]
    nothing = ast.arguments([], [ast.arg("x")], None, [], [], None, [])
    last = located(ast.Return(ast.Name("x", ast.Load())), body[-1])
    return ast.fix_missing_locations(located(ast.FunctionDef(name, nothing, [*made, last], []), body[0]))


def as_layer(function: ast.FunctionDef) -> ast.FunctionDef | None:
    """A function that returns a layer, a Sequential model or a function, as one of a tensor too; None for any other."""
    body = [part for node in function.body for part in assigned_first(node, free("model", names_in(function)))]
    last = body[-1] if body else None
    if not isinstance(last, ast.Return):
        return None
    inner = next((node for node in body if isinstance(node, ast.FunctionDef) and is_name(last.value, node.name)), None)
    if inner is not None:
        return with_tensors(function, inner.args, [*(node for node in body[:-1] if node is not inner), *inner.body])
    tensor = ast.arguments([], [ast.arg(free("x", names_in(function)))], None, [], [], None, [])
    x = ast.Name(tensor.args[0].arg, ast.Load())
    for name in sequential_names(body):
        if is_name(last.value, name):
            made = Chain(function, name, x).statements(body[:-1], False)
            return with_tensors(function, tensor, [*made, located(ast.Return(x), last)])
    if isinstance(last.value, ast.Call) and called(last.value)[:1].isupper():
        call = located(ast.Call(last.value, [x], []), last.value)
        return with_tensors(function, tensor, [*body[:-1], located(ast.Return(call), last)])
    return None


def sequential_functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The Sequential models of a file that its functions may call, as functions."""
    nothing = ast.FunctionDef("", ast.arguments([], [], None, [], [], None, []), list(tree.body), [])
    found = {}
    for name in sequential_names(tree.body):
        own = [
            node for node in tree.body if not isinstance(node, FUNCTIONS) and (makes(node, name) or adds(node, name))
        ]
        if sum(makes(node, name) for node in own) == 1:
            found[name] = as_function(nothing, name, own)
    return found


def makes(node: ast.stmt, name: str) -> bool:
    """Whether it is `name = Sequential(…)`."""
    return (
        isinstance(node, ast.Assign) and is_sequential(node.value) and any(is_name(one, name) for one in node.targets)
    )


def adds(node: ast.stmt, name: str) -> bool:
    """Whether it adds a layer to a model: `name.add(…)`, in a loop as well."""
    calls = (item for item in ast.walk(node) if isinstance(item, ast.Call))
    return any(
        isinstance(call.func, ast.Attribute) and call.func.attr == "add" and is_name(call.func.value, name)
        for call in calls
    )


def is_called(node: ast.AST, name: str) -> bool:
    """Whether it calls this model."""
    return isinstance(node, ast.Call) and is_name(node.func, name)


def is_name(node: ast.AST | None, name: str) -> bool:
    """Whether it is this variable."""
    return isinstance(node, ast.Name) and node.id == name


def is_effect(node: ast.stmt, name: str) -> bool:
    """Whether it calls a method of the model, such as `summary`."""
    return isinstance(node, ast.Expr) and mentions(node, name) and not any(is_called(n, name) for n in ast.walk(node))


def mentions(node: ast.AST, name: str) -> bool:
    """Whether it names this variable."""
    return any(is_name(item, name) for item in ast.walk(node))


def replaced(node: ast.AST, old: ast.AST, new: ast.AST) -> Any:
    """A copy of the syntax with `new` in place of `old`."""
    if node is old:
        return new
    made = copy.copy(node)
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            setattr(made, field, replaced(value, old, new))
        elif isinstance(value, list):
            setattr(made, field, [replaced(item, old, new) if isinstance(item, ast.AST) else item for item in value])
    return made


def is_sequential(node: ast.expr) -> bool:
    """Whether it constructs a Sequential model."""
    return isinstance(node, ast.Call) and called(node) == "Sequential"


def called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


class Chain:
    """Rewrites the statements that build one Sequential model.

    Attributes:
        name: the model's variable.
        started: whether its input is known.
        source: what it is called on; None for a model that has an input of its own.
    """

    def __init__(self, function: ast.FunctionDef, name: str, source: ast.expr | None = None) -> None:
        taken = names_in(function)
        self.x, self.inputs = (free(word, taken) for word in ("x", "inputs"))
        self.name = name
        self.source = source
        self.started = False

    def statements(self, body: Sequence[ast.stmt], inside: bool) -> list[ast.stmt]:
        """Statements in order."""
        return [made for node in body for made in self.statement(node, inside)]

    def statement(self, node: ast.stmt, inside: bool) -> list[ast.stmt]:
        """What one statement becomes."""
        if isinstance(node, ast.Assign) and is_sequential(node.value) and self.is_model(node.targets[0]):
            return [made for layer in items(node.value) for made in self.layer(layer, layer, inside)]
        if isinstance(node, ast.Return) and node.value is not None and self.is_model(node.value):
            ends: list[ast.expr] = [ast.Name(self.inputs, ast.Load()), ast.Name(self.x, ast.Load())]
            return [located(ast.Return(ast.Call(ast.Name(MODEL, ast.Load()), ends, [])), node)]
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
        ):
            call = node.value
            if self.is_model(call.func.value):  # type: ignore[attr-defined]
                return self.layer(call.args[0], node, inside) if called(call) == "add" and call.args else []
        if isinstance(node, ast.For | ast.If):
            made = copy.copy(node)
            made.body = self.statements(node.body, True) or [located(ast.Pass(), node)]
            made.orelse = self.statements(node.orelse, True)
            return [made]
        if isinstance(node, ast.Expr) and mentions(node, self.name) and not is_called(node.value, self.name):
            return []  # `print(model.summary())`
        if any(self.is_model(item) for item in ast.walk(node)):
            raise NotStructured("a Sequential model is used as a whole", node)
        return [node]

    def is_model(self, node: ast.AST) -> bool:
        """Whether it is the model's variable."""
        return isinstance(node, ast.Name) and node.id == self.name

    def layer(self, layer: ast.expr, origin: ast.AST, inside: bool) -> list[ast.stmt]:
        """`x = layer(x)`, with the input in front of the first one."""
        made: list[ast.stmt] = []
        if not self.started:
            if inside:
                raise NotStructured(
                    "the first layer of a Sequential model is added under a condition or in a loop", layer
                )
            self.started = True
            made, layer_left = self.start(layer, origin)
            if layer_left is None:
                return made
            layer = layer_left
        call = located(ast.Call(layer, [located(ast.Name(self.x, ast.Load()), layer)], []), layer)
        return [*made, located(ast.Assign([ast.Name(self.x, ast.Store())], call, lineno=0), origin)]

    def start(self, layer: ast.expr, origin: ast.AST) -> tuple[list[ast.stmt], ast.expr | None]:
        """The input of the model, and the first layer without what it says of it."""
        is_input = isinstance(layer, ast.Call) and called(layer) in ("Input", "InputLayer")
        rest = None if is_input else without_shape(layer)
        if self.source is not None:
            return [located(ast.Assign([ast.Name(self.x, ast.Store())], self.source, lineno=0), origin)], rest
        if not isinstance(layer, ast.Call):
            raise NotStructured("the first layer of a Sequential model says nothing of its input", layer)
        if not is_input:
            said = {str(k.arg): k.value for k in layer.keywords if k.arg in SHAPES}
            return self.begun(self.declared(layer, said), origin), rest
        given = copy.copy(layer)
        given.func = ast.Name(INPUT, ast.Load())
        given.keywords = [ast.keyword("shape" if k.arg == "input_shape" else k.arg, k.value) for k in layer.keywords]
        return self.begun(given, origin), None

    def declared(self, layer: ast.Call, said: dict[str, ast.expr]) -> ast.Call:
        """The Input that a layer's arguments declare."""
        name = ast.Name(INPUT, ast.Load())
        if called(layer) == "Embedding":
            length = said.get("input_length", ast.Constant(None))
            return ast.Call(name, [ast.Tuple([length], ast.Load())], [ast.keyword("dtype", ast.Constant("int32"))])
        if "batch_input_shape" in said:
            return ast.Call(name, [], [ast.keyword("batch_shape", said["batch_input_shape"])])
        if "input_shape" in said:
            return ast.Call(name, [said["input_shape"]], [])
        if "input_dim" in said:
            sizes = [said["input_length"]] if "input_length" in said else []
            return ast.Call(name, [ast.Tuple([*sizes, said["input_dim"]], ast.Load())], [])
        raise NotStructured("the first layer of a Sequential model says nothing of its input", layer)

    def begun(self, given: ast.Call, origin: ast.AST) -> list[ast.stmt]:
        """`inputs = Input(…)` and `x = inputs`."""
        first = ast.Assign([ast.Name(self.inputs, ast.Store())], located(given, origin), lineno=0)
        second = ast.Assign([ast.Name(self.x, ast.Store())], ast.Name(self.inputs, ast.Load()), lineno=0)
        return [located(first, origin), located(second, origin)]


def without_shape(layer: ast.expr) -> ast.expr:
    """A layer's constructor without what it says of its input."""
    if not isinstance(layer, ast.Call):
        return layer
    kept = [k for k in layer.keywords if k.arg not in SHAPES or (called(layer) == "Embedding" and k.arg == "input_dim")]
    made = copy.copy(layer)
    made.keywords = kept
    return made


def items(node: ast.expr) -> list[ast.expr]:
    """The layers that a Sequential model is constructed with."""
    if not isinstance(node, ast.Call):
        return []
    given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "layers"), None)
    if given is None:
        return []
    if not isinstance(given, ast.List | ast.Tuple) or any(isinstance(item, ast.Starred) for item in given.elts):
        raise NotStructured("a Sequential model of a list that the code computes", node)
    return given.elts


Node = TypeVar("Node", bound=ast.AST)


def located(made: Node, node: ast.AST) -> Node:
    """The new syntax at the place of the old one."""
    return ast.copy_location(made, node)
