"""The class for one function, as text."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Sequence
from typing import Any

from k2t.lower.names import class_name
from k2t.program import Value, values
from k2t.structured.comments import Comments
from k2t.structured.constructor import SHADOW, Constructor
from k2t.structured.forward import Forward
from k2t.structured.frames import Frame, NotStructured, arguments, default_values
from k2t.structured.fuse import assigned, fused
from k2t.structured.fuse import reads as reads_of
from k2t.structured.liveness import live, names, reads
from k2t.structured.plan import Parameter, Plan
from k2t.structured.projection import parsed, statement
from k2t.structured.sizes import size_name
from k2t.structured.texts import singular
from k2t.structured.tidy import tidy

VERBS = re.compile(r"^(build|create|make|get|define|construct|generate|init)_|_(model|network|net|fn)$")
# Words as the papers spell them.
SPELLED = {
    word.lower(): word
    for word in (
        *("UNet", "ResNet", "DenseNet", "MobileNet", "SegNet", "AlexNet", "LeNet", "FCN", "VGG", "GAN", "DCGAN"),
        *("CNN", "RNN", "LSTM", "GRU", "MLP", "VAE"),
    )
}
INDENT = " " * 4
# With what models of classes end.
LAST = ("F.softmax", "torch.sigmoid")


def named(function: str) -> str:
    """`build_unet` -> `UNet`, `conv_block` -> `ConvBlock`."""
    short = VERBS.sub("", function.strip("_")) or function
    return class_name("_".join(SPELLED.get(word.lower(), word) for word in short.split("_")))


def write(plan: Plan, comments: Comments, finish: Sequence[str] = ()) -> str:
    """The text of the class; sets the parameters of its constructor, whose last statements are `finish`.

    Raises:
        NotStructured: it needs something that a class does not have.
    """
    forward = Forward(plan)
    body = fused(live(forward.write()))
    made = Constructor(plan).write()
    made = live(tidy(live(attributes(plan, forward, made)), SHADOW))
    plan.ask("\n".join(map(ast.unparse, made)))
    made = renamed(plan, made)
    made = plan_parameters(plan, made)
    head = ", ".join(["self", *(item.text for item in plan.parameters)])
    frame = plan.frames[0]
    inputs, body = started([*frame.tensors, *input_names(frame)], body)
    takes = ", ".join(["self", *(f"{name}: {tensor_type(frame.tensors.get(name))}" for name in inputs)])
    spoken = {id(origin) for item in flat(made) for origin in getattr(item, "origins", [])}
    constructor = [*text(made, comments, set()), *finish]
    lines = [f"class {plan.class_name}(nn.Module):", *indented(documentation(plan)), ""]
    if constructor:
        lines += [f"{INDENT}def __init__({head}) -> None:", f"{INDENT * 2}super().__init__()"]
        lines += [*indented(constructor, 2), ""]
    if final := last_activation(plan, body):
        word = "softmax" if "softmax" in ast.unparse(final.func) else "sigmoid"
        scores = ast.copy_location(ast.Return(final.args[0]), body[-1])
        scores.origins = getattr(body[-1], "origins", [])  # type: ignore[attr-defined]
        lines += [
            f"{INDENT}def logits({takes}) -> Tensor:",
            f'{INDENT * 2}"""Scores before the {word}, which is what the loss functions of PyTorch expect."""',
            *indented(text([*body[:-1], scores], comments, spoken), 2),
            "",
        ]
        call = ast.Call(parsed("self.logits"), [ast.Name(name, ast.Load()) for name in inputs], [])
        body, spoken = [ast.Return(ast.Call(final.func, [call], final.keywords))], set()
    lines += [f"{INDENT}def forward({takes}) -> {returns(plan)}:", *indented(text(body, comments, spoken), 2)]
    return "\n".join(lines)


def last_activation(plan: Plan, body: Sequence[ast.stmt]) -> ast.Call | None:
    """A softmax or sigmoid with which the model ends."""
    last = body[-1] if body else None
    if plan.frames[0].parent is not None or not isinstance(last, ast.Return) or not isinstance(last.value, ast.Call):
        return None
    once = sum(isinstance(node, ast.Return) for node in flat(body)) == 1
    return last.value if once and ast.unparse(last.value.func) in LAST else None


def started(inputs: list[str], body: list[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
    """The arguments and statements of `forward`, without `x = inputs` at the start."""
    first = body[0] if body else None
    name = assigned(first) if first is not None else None
    if len(inputs) != 1 or name is None or not isinstance(first, ast.Assign) or not isinstance(first.value, ast.Name):
        return inputs, body
    if first.value.id != inputs[0] or any(reads_of(node, inputs[0]) for node in body[1:]):
        return inputs, body
    return [name], body[1:]


def attributes(plan: Plan, forward: Forward, body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements, with those that keep what `forward` reads."""
    own = {item.arg for item in arguments(plan.node)}
    first = [statement(f"self.{name} = {name}") for name in forward.kept if name in own]
    stores = [name for item in flat(body) if not isinstance(item, ast.For | ast.If) for name in names(item, ast.Store)]
    for name in forward.kept:
        if stores.count(name) != (name not in own):
            raise NotStructured(f"forward reads {name}, which changes")
    return [*first, *body, *(statement(f"self.{name} = {name}") for name in forward.kept if name not in own)]


def renamed(plan: Plan, body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements with the variables for channels named as a person names them."""
    found = {item.id for node in body for item in ast.walk(node) if isinstance(item, ast.Name) and SHADOW in item.id}
    collections = {name for name in found if any(is_collection(f, name.removesuffix(SHADOW)) for f in plan.frames)}
    single = found - collections
    taken = plan.local | {size_name(frame, name) for frame in plan.frames for name in frame.tensors}
    new: dict[str, str] = {}
    for name in sorted(found):
        word = name.removesuffix(SHADOW)
        wish = (
            "channels"
            if len(single) == 1 and name in single
            else f"{singular(word) if name in collections else word}_channels"
        )
        wish = f"{word}_channels" if wish in taken else wish
        while wish in taken:
            wish += "_"
        taken.add(wish)
        new[name] = wish
    for node in body:
        for item in ast.walk(node):
            if isinstance(item, ast.Name) and item.id in new:
                item.id = new[item.id]
    return body


def is_collection(frame: Frame, name: str) -> bool:
    """Whether a variable holds a list or dict of tensors."""
    return any(isinstance(value, list | dict) for value in frame.assigned.get(name, []))


def plan_parameters(plan: Plan, body: list[ast.stmt]) -> list[ast.stmt]:
    """Set the parameters of the constructor: those arguments that it reads."""
    read = set().union(*(reads(node) for node in body)) if body else set()
    frame = plan.frames[0]
    found = []
    defaults = default_values(plan.node)
    for item in arguments(plan.node):
        size = size_name(frame, item.arg) if item.arg in frame.tensors else ""
        if size and size in read:
            found.append(Parameter(size, "int", tensor=item.arg))
        elif item.arg in read:
            shape = channels_only(frame, item.arg, body)
            default = defaults.get(item.arg)
            value = frame.arguments.get(item.arg)
            if shape:
                body = [rewritten(node, item.arg) for node in body]
                text = None if default is None else repr(value[-1])  # type: ignore[index]
                found.append(Parameter("in_channels", "int", text, shape=item.arg))
            else:
                text = None if default is None else ast.unparse(default)
                found.append(Parameter(item.arg, annotation(value), text))
    plan.parameters = sorted(found, key=lambda item: " = " in item.text)  # those without a default first
    unknown = read & {arg.arg for arg in arguments(plan.node)} - {item.name for item in found}
    if unknown - {item.arg for item in arguments(plan.node)}:
        raise NotStructured(f"reads {', '.join(sorted(unknown))}")
    return body


def channels_only(frame: Frame, name: str, body: Sequence[ast.stmt]) -> bool:
    """Whether an argument is the shape of an input of which only the channels are read."""
    value = frame.arguments.get(name)
    if not frame.inputs or not isinstance(value, tuple | list) or not value:
        return False
    every = [item for node in body for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name]
    last = [item for node in body for item in ast.walk(node) if is_last(item, name, len(value))]
    return len(every) == len(last)


def is_last(node: ast.AST, name: str, count: int) -> bool:
    """Whether it is `name[-1]`, spelled in any way."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name) or node.value.id != name:
        return False
    return ast.unparse(node.slice) in ("-1", str(count - 1))


def rewritten(node: ast.stmt, name: str) -> ast.stmt:
    """`in_channels` in place of `name[-1]`."""

    class Replace(ast.NodeTransformer):
        def visit_Subscript(self, inner: ast.Subscript) -> ast.expr:
            if isinstance(inner.value, ast.Name) and inner.value.id == name:
                return ast.Name("in_channels", ast.Load())
            self.generic_visit(inner)
            return inner

    made = Replace().visit(node)
    return made  # type: ignore[no-any-return]


def annotation(value: object) -> str:
    """The type of an argument."""
    if isinstance(value, tuple | list):
        inner = {annotation(item) for item in value}
        kind = "tuple" if isinstance(value, tuple) else "list"
        one = inner.pop() if len(inner) == 1 else "Any"
        return f"{kind}[{one}, ...]" if kind == "tuple" else f"{kind}[{one}]"
    return next((one.__name__ for one in (bool, int, float, str) if isinstance(value, one)), "Any")


def tensor_type(value: Any) -> str:
    """The type of an argument of `forward`."""
    kind = next((kind for kind in (list, tuple, dict) if isinstance(value, kind)), None)
    return {None: "Tensor", list: "list[Tensor]", tuple: "tuple[Tensor, ...]", dict: "dict[str, Tensor]"}[kind]


def documentation(plan: Plan) -> list[str]:
    """The docstring of the function, or the shapes."""
    own = ast.get_docstring(plan.node)
    if own:
        lines = inspect.cleandoc(own).replace("\\", "\\\\").replace('"""', "'''").splitlines()
        return [f'"""{lines[0]}"""'] if len(lines) == 1 else [f'"""{lines[0]}', *lines[1:], '"""']
    return []


def returns(plan: Plan) -> str:
    """The return type of `forward`."""
    output = plan.frames[0].output
    if isinstance(output, Value):
        return "Tensor"
    if isinstance(output, dict):
        return "dict[str, Tensor]"
    count = len(list(values(output)))
    if isinstance(output, list):
        return "list[Tensor]"
    return f"tuple[{', '.join(['Tensor'] * count)}]"


def input_names(frame: Frame) -> list[str]:
    """The variables that hold the inputs of a model."""
    found = []
    for value in frame.block.inputs if frame.block is not None and frame.inputs else ():
        name = next((n for n, held in frame.assigned.items() if any(item is value for item in held)), None)
        if name is None:
            raise NotStructured("an input without a name")
        found.append(name)
    return found


def flat(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Statements, those inside of others too."""
    found = []
    for node in body:
        found.append(node)
        found += flat([*getattr(node, "body", []), *getattr(node, "orelse", [])])
    return found


def text(body: Sequence[ast.stmt], comments: Comments, spoken: set[int]) -> list[str]:
    """Statements as lines, with the comments of the code; those of the places in `spoken` are said elsewhere."""
    lines: list[str] = []
    for node in body:
        for origin in getattr(node, "origins", []):
            if id(origin) not in spoken:
                lines += comments.above(origin)
        if isinstance(node, ast.For):
            lines.append(ast.unparse(ast.For(node.target, node.iter, [ast.Pass()], [], lineno=0)).splitlines()[0])
            lines += indented(text(node.body, comments, spoken))
        elif isinstance(node, ast.If):
            lines.append(f"if {ast.unparse(node.test)}:")
            lines += indented(text(node.body, comments, spoken))
            if node.orelse:
                lines.append("else:")
                lines += indented(text(node.orelse, comments, spoken))
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            lines.append(f"return {', '.join(map(ast.unparse, node.value.elts))}")
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Tuple)
            and isinstance(node.targets[0], ast.Tuple)
        ):
            lines.append(f"{ast.unparse(node.targets[0]).strip('()')} = {', '.join(map(ast.unparse, node.value.elts))}")
        else:
            lines.append(ast.unparse(ast.fix_missing_locations(node)))
    return lines


def indented(lines: Sequence[str], levels: int = 1) -> list[str]:
    """Lines further to the right."""
    return [f"{INDENT * levels}{line}" if line else "" for line in lines]
