"""Classes of the code as functions: a method without its `self`, a layer as one function of its options and tensors."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from k2t.rules.custom.objects import CustomClass
from k2t.rules.tracing.names import Closure, Scope
from k2t.structured.frames import NotStructured

# Under which name rewritten code finds `self.add_weight`; nothing that Python can spell.
WEIGHT = "keras add_weight"
# Arguments of `call` that say nothing of the tensors.
STATES = ("training", "mask")
Function = ast.FunctionDef


class WithoutSelf(ast.NodeTransformer):
    """Replaces `self.name` by a variable, and `self.method` by a function.

    Attributes:
        variables: attribute -> variable.
        methods: the methods of the class; `called` are those that the code uses.
    """

    def __init__(self, owner: str, variables: Mapping[str, str], methods: Mapping[str, Any]) -> None:
        self.owner = owner
        self.variables = variables
        self.methods = methods
        self.called: dict[str, None] = {}

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """`self.name`."""
        if not isinstance(node.value, ast.Name) or node.value.id != self.owner:
            self.generic_visit(node)
            return node
        if node.attr in self.variables:
            return ast.copy_location(ast.Name(self.variables[node.attr], node.ctx), node)
        if node.attr in self.methods:
            self.called[node.attr] = None
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node


def detached(kind: CustomClass, method: Function, attributes: Mapping[str, Any]) -> Closure:
    """A method as a function: the numbers that it reads of its object are arguments with these values."""
    return Detacher(kind, attributes).function(method)


class Detacher:
    """Makes functions of the methods of one object."""

    def __init__(self, kind: CustomClass, attributes: Mapping[str, Any]) -> None:
        known = {name: value for one in kind.lineage() for name, value in one.attributes.items()} | dict(attributes)
        self.values = {name: value for name, value in known.items() if is_literal(value)}
        self.kind = kind
        self.made: dict[str, Function] = {}
        self.names = Scope({}, kind.names)

    def function(self, method: Function) -> Closure:
        """One method; those that it calls are functions around it."""
        return Closure(self.without_self(method), self.names)

    def without_self(self, method: Function) -> Function:
        """Its definition."""
        if method.name in self.made:
            return self.made[method.name]
        made = self.made[method.name] = copy.deepcopy(method)
        made.decorator_list = []
        if is_static(method):
            return made
        owner = made.args.args.pop(0).arg
        local = names_in(made)
        variables = {name: free(name, local) for name in self.values} | attribute_variables({"": made}, {"": owner})
        methods = {name: found for one in reversed([*self.kind.lineage()]) for name, found in one.methods().items()}
        walker = WithoutSelf(owner, variables, methods)
        made.body = [walker.visit(node) for node in made.body]
        needed = {name: variables[name] for name in self.values if variables[name] in unassigned(made) - local}
        for name in walker.called:
            inner = self.without_self(methods[name])
            self.names.maps[0][name] = Closure(inner, self.names)
            own = {item.arg for item in inner.args.kwonlyargs} & self.values.keys()
            needed |= {attribute: variables[attribute] for attribute in own}
            hand_over(made, name, {attribute: variables[attribute] for attribute in sorted(own)})
        for name in sorted(needed, key=list(self.values).index):
            made.args.kwonlyargs.append(ast.arg(needed[name]))
            made.args.kw_defaults.append(ast.parse(repr(self.values[name]), mode="eval").body)
        return ast.fix_missing_locations(made)


def only(function: Function, index: int) -> Function:
    """The function with one of the several models that it returns."""
    made = copy.copy(function)
    last = made.body[-1]
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Tuple | ast.List):
        raise NotStructured(f"{function.name} returns no tuple of models", last)
    made.body = [*made.body[:-1], ast.copy_location(ast.Return(last.value.elts[index]), last)]
    return made


def hand_over(function: Function, name: str, variables: Mapping[str, str]) -> None:
    """Give these variables to each call of a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            node.keywords += [ast.keyword(key, ast.Name(value, ast.Load())) for key, value in variables.items()]


def is_static(method: Function) -> bool:
    """Whether it has no `self`."""
    return any(ast.unparse(item) == "staticmethod" for item in method.decorator_list)


def is_literal(value: Any) -> bool:
    """Whether an argument can have it as a default."""
    if isinstance(value, tuple | list):
        return all(map(is_literal, value))
    return value is None or isinstance(value, bool | int | float | str)


def names_in(node: ast.AST) -> set[str]:
    """The variables and arguments of a function."""
    found = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return found | {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}


def unassigned(function: Function) -> set[str]:
    """The variables that a function reads and never assigns."""
    names = [item for item in ast.walk(function) if isinstance(item, ast.Name)]
    return {item.id for item in names} - {item.id for item in names if isinstance(item.ctx, ast.Store)}


def free(word: str, taken: set[str]) -> str:
    """A name that a function does not use."""
    while word in taken:
        word += "_"
    return word


def merged(kind: CustomClass) -> Function:
    """A layer or model of the code as one function: of the tensors of `call`, and by name the options of `__init__`."""
    parts = {name: found[1] for name in ("__init__", "build", "call") if (found := kind.find(name)) is not None}
    bodies = {name: copy.deepcopy(method) for name, method in parts.items()}
    owners = {name: body.args.args.pop(0).arg for name, body in bodies.items()}
    call = bodies["call"]
    call.args.kwarg = None
    made = Function(kind.name, call.args, [], [], lineno=kind.node.lineno, col_offset=0)
    tensors = [item.arg for item in call.args.args if item.arg not in STATES]
    without_states(call.args)
    if "__init__" in bodies:
        made = with_tensors(bodies["__init__"], call.args, [])
        made.name = kind.name
    variables = attribute_variables(bodies, owners) | dict.fromkeys(("add_weight", "add_variable"), WEIGHT)
    for name, body in bodies.items():
        statements = [node for node in body.body if not is_base_call(node, name)]
        if name == "build" and body.args.args:
            statements = [ShapeOf(body.args.args[0].arg, tensors[0]).visit(node) for node in statements]
        walker = WithoutSelf(owners[name], variables, {})
        made.body += [walker.visit(node) for node in without_docstring(statements)]
    if text := ast.get_docstring(kind.node) or ast.get_docstring(parts["call"]):
        made.body.insert(0, ast.Expr(ast.Constant(text), lineno=kind.node.lineno))
    made.body = [node for node in made.body if not is_identity(node)]
    return ast.fix_missing_locations(made)


def without_states(spec: ast.arguments) -> None:
    """Make arguments such as `training` None, unless a call says otherwise."""
    optional = next((i for i, item in enumerate(spec.args) if item.arg in STATES), len(spec.args))
    optional = min(optional, len(spec.args) - len(spec.defaults))
    spec.defaults = [ast.Constant(None) for _ in spec.args[optional:]]


def with_tensors(function: Function, tensors: ast.arguments, body: list[ast.stmt]) -> Function:
    """The function with these arguments in front of its own, which are given by name."""
    own = function.args
    made = copy.copy(function)
    made.args = copy.copy(tensors)
    positional = [*own.posonlyargs, *own.args]
    required = len(positional) - len(own.defaults)
    made.args.kwonlyargs = [*tensors.kwonlyargs, *positional, *own.kwonlyargs]
    made.args.kw_defaults = [*tensors.kw_defaults, *[None] * required, *own.defaults, *own.kw_defaults]
    made.body = body
    return ast.fix_missing_locations(made)


def attribute_variables(bodies: Mapping[str, Function], owners: Mapping[str, str]) -> dict[str, str]:
    """The variable for each attribute: of the same name, if nothing else has it."""
    stored: dict[str, list[ast.expr]] = {}
    for name, body in bodies.items():
        for node in ast.walk(body):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == owners[name]:
                    stored.setdefault(target.attr, []).append(node.value)  # type: ignore[attr-defined]
    taken = set().union(*map(names_in, bodies.values()))
    variables = {}
    for attribute, given in stored.items():
        same = all(isinstance(value, ast.Name) and value.id == attribute for value in given)
        variables[attribute] = attribute if same else free(attribute.lstrip("_") or attribute, taken)
        taken.add(variables[attribute])
    return variables


class ShapeOf(ast.NodeTransformer):
    """Replaces the `input_shape` of `build` by the shape of the tensor."""

    def __init__(self, name: str, tensor: str) -> None:
        self.name = name
        self.tensor = tensor

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The argument."""
        if node.id != self.name:
            return node
        return ast.copy_location(ast.Attribute(ast.Name(self.tensor, ast.Load()), "shape", ast.Load()), node)


def is_base_call(node: ast.stmt, method: str) -> bool:
    """Whether it calls the method of Keras's class, or sets what Keras alone reads."""
    text = ast.unparse(node)
    return (text.startswith("super(") and f".{method}(" in text) or text in ("self.built = True", "pass")


def without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    """The statements behind a docstring."""
    first = body[0] if body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if is_text else body


def is_identity(node: ast.stmt) -> bool:
    """Whether it is `x = x`."""
    return isinstance(node, ast.Assign) and all(
        ast.unparse(target) == ast.unparse(node.value) for target in node.targets
    )
