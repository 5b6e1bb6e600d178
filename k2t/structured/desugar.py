"""Other ways to write a model, as the function of tensors that they mean."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Sequence
from typing import TypeVar

from k2t.structured.frames import NotStructured

# Names under which rewritten code finds Keras; nothing that Python can spell.
MODEL, INPUT = "keras Model", "keras Input"
SHAPES = ("input_shape", "batch_input_shape", "input_dim", "input_length")


def functional(function: ast.FunctionDef) -> ast.FunctionDef:
    """The function with a Sequential model that it builds layer by layer as calls: `x = layer(x)`.

    Raises:
        NotStructured: the model is used otherwise.
    """
    found = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and is_sequential(node.value)]
    returned = {
        node.value.id
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)
    }
    built = [node for node in found if isinstance(node.targets[0], ast.Name) and node.targets[0].id in returned]
    direct = [
        node
        for node in function.body
        if isinstance(node, ast.Return) and node.value is not None and is_sequential(node.value)
    ]
    if len(built) + len(direct) != 1:
        return function
    made = copy.copy(function)
    name = built[0].targets[0].id if built else "model"  # type: ignore[attr-defined]
    body = list(function.body)
    if direct:
        place = body.index(direct[0])
        first = ast.Assign([ast.Name(name, ast.Store())], direct[0].value or ast.Constant(None), lineno=0)
        body[place:] = [
            ast.copy_location(first, direct[0]),
            ast.copy_location(ast.Return(ast.Name(name, ast.Load())), direct[0]),
        ]
    made.body = Chain(function, name).statements(body, False)
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
    """

    def __init__(self, function: ast.FunctionDef, name: str) -> None:
        taken = {item.id for item in ast.walk(function) if isinstance(item, ast.Name)}
        taken |= {item.arg for item in ast.walk(function) if isinstance(item, ast.arg)}
        self.x, self.inputs = (free(word, taken) for word in ("x", "inputs"))
        self.name = name
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
        if not isinstance(layer, ast.Call):
            raise NotStructured("the first layer of a Sequential model says nothing of its input", layer)
        if called(layer) in ("Input", "InputLayer"):
            given = copy.copy(layer)
            given.func = ast.Name(INPUT, ast.Load())
            given.keywords = [
                ast.keyword("shape" if k.arg == "input_shape" else k.arg, k.value) for k in layer.keywords
            ]
            return self.begun(given, origin), None
        said = {str(k.arg): k.value for k in layer.keywords if k.arg in SHAPES}
        rest = copy.copy(layer)
        rest.keywords = [
            k for k in layer.keywords if k.arg not in SHAPES or (called(layer) == "Embedding" and k.arg == "input_dim")
        ]
        return self.begun(self.declared(layer, said), origin), rest

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


def free(word: str, taken: set[str]) -> str:
    """A name that the function does not use."""
    while word in taken:
        word += "_"
    return word


Node = TypeVar("Node", bound=ast.AST)


def located(made: Node, node: ast.AST) -> Node:
    """The new syntax at the place of the old one."""
    return ast.copy_location(made, node)


def wrapped(body: Sequence[ast.stmt], name: str, result: str, fixed: Collection[ast.stmt]) -> ast.FunctionDef:
    """Statements of a file as a function that gives the value of the variable `result`; without those in `fixed`."""
    nothing = ast.arguments([], [], None, [], [], None, [])
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    kept = [node for node in body if not isinstance(node, kinds) and node not in fixed]
    last = ast.Return(ast.Name(result, ast.Load()))
    return ast.FunctionDef(
        name, nothing, [*kept, ast.copy_location(last, kept[-1] if kept else ast.Pass(lineno=1, col_offset=0))], []
    )


def constants(tree: ast.Module) -> dict[str, ast.Assign]:
    """The numbers and tables that a file assigns once, by name."""
    stores = [item.id for item in ast.walk(tree) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)]
    found: dict[str, ast.Assign] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if stores.count(name) == 1 and is_constant(node.value, found.keys()):
            found[name] = node
    return found


def is_constant(node: ast.AST, known: Collection[str]) -> bool:
    """Whether it is a number, or made of numbers and of constants."""
    if isinstance(node, ast.Name):
        return node.id in known
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float | str | None)
    kinds = (ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.Dict)
    if isinstance(node, ast.operator | ast.unaryop | ast.expr_context):
        return True
    return isinstance(node, kinds) and all(is_constant(child, known) for child in ast.iter_child_nodes(node))
