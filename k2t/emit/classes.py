"""One class for each block: the constructor, `forward`, and `logits` where the last step is a softmax or sigmoid."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import libcst as cst

from k2t.emit import syntax
from k2t.emit.forward import Forward, Line, input_arguments, type_of
from k2t.emit.initial import constant_of
from k2t.graph import map_structure
from k2t.lower.scores import PROBABILITIES
from k2t.program import Argument, Block, Branch, Code, Module, Op, Parameter, Value, values

TYPED = {f"F.{name}" for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "silu", "mish", "hardswish", "softmax")}
TYPED |= {"torch.cat", "torch.tanh", "torch.sigmoid", "self.activation"}
# Columns of a comment.
COMMENT = 88
# The variable of what a `return` computes, for verification.
RESULT = "__k2t_result__"
FILLED = {None: "torch.zeros", 0.0: "torch.zeros", 1.0: "torch.ones"}
RESET_STATES = '''
def reset_states(self) -> None:
    """Zero what the stateful layers keep from one call to the next."""
    for module in self.modules():
        if isinstance(module, RecurrentState):
            module.reset()
'''.strip()


@dataclass(frozen=True)
class Place:
    """Where the output of a Keras call is found in the emitted class.

    Attributes:
        statement: index in the body of `forward` (`logits` where there is one), or None: the output of `module`.
        variable: the variable that holds it then.
        module: the attribute whose output it is, or "".
    """

    layer: str
    value: Value
    statement: int | None
    variable: str
    module: str


@dataclass(frozen=True)
class Written:
    """A class as text, and where each Keras call is in it."""

    node: cst.ClassDef
    places: tuple[Place, ...]


def write_class(block: Block, summary: str, finish: Sequence[str] = ()) -> Written:
    """The class for one block; `finish` are the last statements of its constructor."""
    ops, last = split_last(block)
    results = last.args[0] if last else block.outputs
    forward = Forward(block, ops, results)
    lines = forward.write()
    result = map_structure(forward.value, results)
    ended = returned(lines, result)
    lines = ended or typed(lines, result, input_arguments(block))
    body = [line.node for line in lines]
    end = [] if ended else return_lines(result, body, results)
    functions = [constructor(block, finish)]
    if last is None:
        functions.append(function("forward", block, [*body, *end], annotation(block.outputs)))
    else:
        name = "softmax" if last.target == "F.softmax" else "sigmoid"
        doc = f"Scores before the {name}, which is what the loss functions of PyTorch expect."
        functions.append(function("logits", block, [syntax.docstring(doc), *body, *end], "Tensor"))
        scores = syntax.call(syntax.dotted("self.logits"), [cst.Name(name) for name in input_arguments(block)], {})
        kwargs = {key: syntax.literal(value) for key, value in last.kwargs.items()}
        final = syntax.call(syntax.dotted(str(last.target)), [scores], kwargs)
        functions.append(function("forward", block, [syntax.returns(final)], "Tensor"))
    if is_stateful(block):
        functions.append(cst.ensure_type(cst.parse_statement(RESET_STATES), cst.FunctionDef))
    node = cst.ClassDef(
        cst.Name(block.name),
        cst.IndentedBlock([syntax.docstring(summary), *buffer_types(block), *functions]),
        bases=[cst.Arg(syntax.dotted("nn.Module"))],
    )
    offset = 1 if last else 0
    return Written(node, places(block, ops, lines, offset))


def is_stateful(block: Block) -> bool:
    """Whether a layer in it keeps its states."""
    calls = [module.call for module in block.modules()]
    return any(call == "RecurrentState" if isinstance(call, str) else is_stateful(call) for call in calls)


def places(block: Block, ops: list[Op], lines: list[Line], offset: int) -> tuple[Place, ...]:
    """Where the output of each Keras call can be seen: after a statement, or as the output of a submodule."""
    found = {
        value: Place(value.layer, value, number + offset, name, "")
        for number, line in enumerate(lines)
        for value, name in line.made
    }
    of_modules: dict[Value, Place] = {}
    for inner in reversed([one for op in ops for one in (op.target.ops if isinstance(op.target, Branch) else [op])]):
        if isinstance(inner.target, Module) and isinstance(inner.outputs, Value):
            of_modules |= module_places(inner.target, inner.outputs)
    return tuple((of_modules | found).values())


def module_places(module: Module, output: Value) -> dict[Value, Place]:
    """The output of a submodule, and those of the parts of an `nn.Sequential`."""
    parts = [part for part in module.args if isinstance(part, Module)] if module.between else [module]
    made = dict(zip([*module.between, output], parts, strict=True))
    return {value: Place(value.layer, value, None, "", part.name) for value, part in made.items()}


def returned(lines: list[Line], result: Any) -> list[Line]:
    """`return F.relu(x)` for `x = F.relu(x)` and `return x`, where the expression has a type; else nothing."""
    statement = lines[-1].node.body[0] if lines and isinstance(lines[-1].node, cst.SimpleStatementLine) else None
    if not isinstance(result, cst.Name) or not isinstance(statement, cst.Assign) or len(lines[-1].made) != 1:
        return []
    (value, name), target = lines[-1].made[0], statement.targets[0].target
    known = isinstance(statement.value, cst.Call) and syntax.render(statement.value.func) in TYPED
    if name != result.value or not target.deep_equals(result) or not known:
        return []
    return [*lines[:-1], Line(syntax.returns(statement.value), ((value, RESULT),))]


def typed(lines: list[Line], result: Any, arguments: list[str]) -> list[Line]:
    """The first assignment of the variable that is returned says its type, which a module's call does not tell."""
    if not isinstance(result, cst.Name) or result.value in arguments:
        return lines
    annotation = cst.Annotation(cst.Name("Tensor"))
    for number, line in enumerate(lines):
        if isinstance(line.node, cst.If) or all(name != result.value for _, name in line.made):
            continue
        statement = cst.ensure_type(line.node.body[0], cst.Assign)
        if statement.targets[0].target.deep_equals(result):
            made = cst.AnnAssign(result, annotation, statement.value)
            return [*lines[:number], replace(line, node=line.node.with_changes(body=[made])), *lines[number + 1 :]]
        # one of several targets, which can have no annotation
        declared = Line(cst.SimpleStatementLine([cst.AnnAssign(result, annotation, None)]), ())
        return [*lines[:number], declared, *lines[number:]]
    return lines


def split_last(block: Block) -> tuple[list[Op], Op | None]:
    """All operations, or all but a last softmax or sigmoid that makes the only output."""
    last = block.ops[-1] if block.ops else None
    if last and last.target in PROBABILITIES and block.outputs is last.outputs:
        return block.ops[:-1], last
    return block.ops, None


def return_lines(result: Any, body: list[Any], results: Any) -> list[cst.SimpleStatementLine]:
    """`return …`; the result of a call is named first, since a module's call has no type."""
    if isinstance(result, dict):
        pairs = [cst.DictElement(syntax.literal(key), value) for key, value in result.items()]
        return [syntax.returns(cst.Dict(pairs))]
    if isinstance(result, list | tuple):
        items = list(leaves_of(result))
        return [syntax.returns(syntax.tuple_of(items) if len(items) != 1 else items[0])]
    return [syntax.returns(result)]


def leaves_of(structure: Any) -> list[Any]:
    """The items of nested lists and tuples."""
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in leaves_of(item)]
    return [structure]


def annotation(outputs: Any) -> str:
    """The return type of `forward`."""
    if isinstance(outputs, dict):
        return "dict[str, Tensor]"
    types = [type_of(value) for value in values(outputs)]
    return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"


def function(name: str, block: Block, body: list[Any], result: str) -> cst.FunctionDef:
    """A method that takes the inputs of the block."""
    parameters = [cst.Param(cst.Name("self"))] + [
        cst.Param(cst.Name(argument), cst.Annotation(cst.parse_expression(type_of(value))))
        for argument, value in zip(input_arguments(block), block.inputs, strict=True)
    ]
    return cst.FunctionDef(
        cst.Name(name),
        cst.Parameters(parameters),
        cst.IndentedBlock(body),
        returns=cst.Annotation(cst.parse_expression(result)),
    )


def buffer_types(block: Block) -> list[cst.SimpleStatementLine]:
    """`name: Tensor` for each buffer, which type checkers cannot see otherwise."""
    return [
        cst.SimpleStatementLine([cst.AnnAssign(cst.Name(item.name), cst.Annotation(cst.Name("Tensor")))])
        for item in block.parameters()
        if item.weight.buffer
    ]


def constructor(block: Block, finish: Sequence[str]) -> cst.FunctionDef:
    """`__init__`: submodules and parameters, in the order of use, then the statements `finish`."""
    body: list[Any] = [cst.parse_statement(text) for text in ("super().__init__()", *block.setup)]
    for op in block.ops:
        if isinstance(op.target, Branch):
            inner = [item for module in op.target.modules() for item in (*attribute(module), *freeze([module]))]
            body += [cst.If(cst.parse_expression(op.target.condition), cst.IndentedBlock(inner))] if inner else []
    conditional = {id(module) for op in block.ops if isinstance(op.target, Branch) for module in op.target.modules()}
    modules = [module for module in block.modules() if id(module) not in conditional]
    for module in modules:
        body += attribute(module)
    body += [parameter(item) for item in block.parameters()]
    body += freeze([*modules, *block.parameters()])
    body += [syntax.expression(cst.parse_expression(text)) for text in finish]
    return cst.FunctionDef(
        cst.Name("__init__"),
        cst.Parameters([cst.Param(cst.Name("self")), *(argument(item) for item in block.arguments)]),
        cst.IndentedBlock(body),
        returns=cst.Annotation(cst.Name("None")),
    )


def argument(item: Argument) -> cst.Param:
    """`stride: int = 1`."""
    default = cst.parse_expression(item.default) if item.default is not None else None
    return cst.Param(cst.Name(item.name), cst.Annotation(cst.parse_expression(item.annotation)), default=default)


def attribute(module: Module) -> list[Any]:
    """`self.name = …`, and what fills a container; what was not translated says why."""
    name: Any = syntax.dotted(f"self.{module.name}")
    if module.call == "Untranslated":
        place, _, reason = " ".join(module.args[0].split()).partition(": ")
        lines = textwrap.wrap(f"not translated: {reason}", COMMENT)
        made = syntax.assign(name, construct(replace(module, args=(place,))))
        return [made.with_changes(leading_lines=[cst.EmptyLine(comment=cst.Comment(f"# {line}")) for line in lines])]
    made = syntax.assign(name, construct(module))
    return [made, *(cst.parse_statement(text) for text in module.building)]


def construct(module: Module) -> cst.BaseExpression:
    """The call of a submodule's class, `nn.Identity()` where its condition does not hold."""
    name = module.call if isinstance(module.call, str) else module.call.name
    made = syntax.call(
        syntax.dotted(name),
        [constant(arg) for arg in module.args],
        {key: constant(arg) for key, arg in module.kwargs.items()},
    )
    if not module.condition:
        return made
    return cst.IfExp(cst.parse_expression(module.condition), made, cst.parse_expression("nn.Identity()"))


def constant(value: Any) -> cst.BaseExpression:
    """An argument of a constructor."""
    if isinstance(value, tuple):
        return syntax.tuple_of([constant(item) for item in value])
    if isinstance(value, list):
        return syntax.list_of([constant(item) for item in value])
    if isinstance(value, Code):
        return cst.parse_expression(value.text)
    return construct(value) if isinstance(value, Module) else syntax.literal(value)


def parameter(item: Parameter) -> cst.SimpleStatementLine:
    """`self.name = nn.Parameter(…)` or a buffer."""
    made = first_values(item)
    if item.weight.buffer:
        return syntax.expression(
            syntax.call(syntax.dotted("self.register_buffer"), [syntax.literal(item.name), made], {})
        )
    value = syntax.call(syntax.dotted("nn.Parameter"), [made], {})
    return syntax.assign(syntax.dotted(f"self.{item.name}"), value)  # type: ignore[arg-type]


def first_values(item: Parameter) -> cst.BaseExpression:
    """What a tensor holds until weights are loaded."""
    if item.weight.text:
        return cst.parse_expression(item.weight.text)
    sizes = [constant(size) for size in item.sizes or item.shape] or [syntax.tuple_of([])]
    stored = item.weight.stored_dtype
    options = {} if "float" in stored else {"dtype": syntax.dotted(f"torch.{stored}")}
    start = constant_of(item.weight)
    if start not in (None, 0, 1):
        sizes = [syntax.tuple_of(sizes) if item.shape else sizes[0], syntax.literal(start)]
    return syntax.call(syntax.dotted(FILLED.get(start, "torch.full")), sizes, options)


def freeze(items: Iterable[Module | Parameter]) -> list[cst.SimpleStatementLine]:
    """`requires_grad_(False)` for what Keras does not train."""
    frozen = [name for item in items for name in frozen_names(item)]
    return [syntax.expression(cst.parse_expression(f"self.{name}.requires_grad_(False)")) for name in frozen]


def frozen_names(item: Module | Parameter) -> list[str]:
    """The module itself if nothing in it is trained, else its frozen parameters."""
    if isinstance(item, Parameter):
        return [] if item.weight.buffer or item.weight.trainable else [item.name]
    parameters = {
        f"{module.name.removeprefix(item.name)}.{key}": weight
        for module in item.tree()
        for key, weight in module.weights.items()
        if not weight.buffer
    }
    keys = [key for key, weight in parameters.items() if not weight.trainable]
    whole = (len(keys) == len(parameters) and all(key.count(".") == 1 for key in keys)) or item.condition
    if keys and whole:
        return [item.name]
    return [re.sub(r"\.(\d+)", r"[\1]", f"{item.name}{key}") for key in keys]
