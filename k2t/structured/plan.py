"""All that is known of one function: what each of its places does, and the submodules that it constructs."""

from __future__ import annotations

import ast
import copy
import functools
import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from k2t.code.slices import assigned
from k2t.lower.names import RESERVED, Namespace, identifier, snake_case
from k2t.program import Block, Module, Op, Value, values
from k2t.structured.frames import Event, Frame, NotStructured, arguments
from k2t.structured.learned import Again
from k2t.structured.sizes import OPAQUE
from k2t.structured.templates import (
    Key,
    ModuleTemplate,
    Own,
    Reader,
    Step,
    Template,
    Text,
    is_moved,
    paths,
    unified,
)
from k2t.structured.texts import plural, text_of, variables_of
from k2t.symbols import Symbolic, code_of, number, symbol

# Modules without state whose function is the shorter way to write them, where their options are constants.
FUNCTIONS = {
    **{
        f"nn.{kind}Pool{n}d": f"F.{name}_pool{n}d" for n in (1, 2, 3) for kind, name in (("Max", "max"), ("Avg", "avg"))
    },
    "nn.Upsample": "F.interpolate",
}
# Syntax of conditions on numbers, which constructors may spell as callers do.
PLAIN = (
    *(ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp),
    *(ast.operator, ast.boolop, ast.cmpop, ast.unaryop, ast.expr_context),
)
# A size of a tensor among the operands.
PLACE = re.compile(r"\b_in(\d+)_(\d+_)?")
# What the modules are called that Keras does not name.
WORDS = {
    "Linear": "linear",
    "Embedding": "embedding",
    **{
        f"{kind}{n}d{same}": word
        for kind, word in (
            ("Conv", "conv"),
            ("ConvTranspose", "conv_transpose"),
            ("BatchNorm", "batch_norm"),
            ("Dropout", "dropout"),
            ("MaxPool", "max_pool"),
            ("AvgPool", "avg_pool"),
        )
        for n in (1, 2, 3)
        for same in ("", "Same")
    },
}


class Plan:
    """One function and all of its executions.

    Attributes:
        templates: what each place does.
        modules: the submodules, in the order of construction.
        sizes: the last size of each tensor that a place reads, as it may be written there; None where it varies.
        made: the last size of each tensor that a place makes, of `_in0_`, ….
        leaves: where a place's tensors are among its operands.
        owner: the place that first calls each submodule.
        tensors: the variables that hold tensors.
        taken: the outcomes of each condition.
        arguments: of the constructor, once it is written: name -> text.
        constants: the numbers and tables of the file that its classes may name.
        orders: the order of axes in which each tensor is returned; empty for one that is returned as it is.
        out_channels: whether the class tells the channels of its output.
        alike: whether its tensors have the same order of axes in all executions.
    """

    def __init__(
        self, frames: Sequence[Frame], constants: frozenset[str], out_channels: bool = False, alike: bool = False
    ) -> None:
        self.frames = list(frames)
        self.node = frames[0].node
        self.templates: dict[ast.AST, Template] = {}
        self.modules: dict[Key, ModuleTemplate] = {}
        self.sizes: dict[ast.AST, dict[str, str | None]] = {}
        self.made: dict[ast.AST, list[Any]] = {}
        self.leaves: dict[ast.AST, list[tuple[int, tuple[Any, ...]]]] = {}
        self.operands: dict[ast.AST, list[ast.expr]] = {}
        self.owner: dict[Key, ast.AST] = {}
        self.names: dict[Key, str] = {}
        self.tensors: set[str] = set().union(*(frame.tensor_names() for frame in frames))
        self.taken: dict[ast.AST, set[bool]] = {}
        self.parameters: list[Parameter] = []
        self.constants = constants
        self.out_channels = out_channels
        self.alike = alike
        self.class_name = ""
        self.callees: dict[ast.FunctionDef, Plan] = {}
        self.orders: tuple[tuple[int, ...], ...] = ()
        self.local = {item.arg for item in arguments(self.node)} | assigned(self.node)
        self.parents = {child: node for node in ast.walk(self.node) for child in ast.iter_child_nodes(node)}

    def read(self, callees: dict[ast.FunctionDef, Plan]) -> None:
        """Unify what the executions did.

        Raises:
            NotStructured: they differ.
        """
        self.callees = callees
        found: dict[ast.AST, list[tuple[Event, Template]]] = {}
        for frame in self.frames:
            reader = Reader(frame, {})
            for event in frame.events:
                template, modules = reader.read(event)
                found.setdefault(event.node, []).append((event, template))
                for module in modules:
                    self.add(event, module)
            for node, outcomes in frame.taken.items():
                self.taken.setdefault(node, set()).update(outcomes)
        for node, every in found.items():
            pairs = [pair for pair in every if pair[0].is_read] or every
            if len({event.orders for event, _ in pairs}) > 1 and not self.alike:
                raise Again(alike=self.node.name)
            self.templates[node] = unified(node, [template for _, template in pairs])
            self.describe(node, [event for event, _ in pairs])
        orders = {output_orders(frame) for frame in self.frames}
        if len(orders) > 1 and not self.alike:
            raise Again(alike=self.node.name)
        if len(orders) > 1:
            raise NotStructured("returns tensors in different layouts from call to call")
        self.orders = orders.pop()
        self.shorten()
        self.name()

    def describe(self, node: ast.AST, events: list[Event]) -> None:
        """The sizes at one place."""
        first = events[0]
        self.operands[node] = [syntax for syntax, _ in first.operands]
        found = {name: {event.sizes.get(name) for event in events} for name in first.sizes}
        self.sizes[node] = {name: codes.pop() if len(codes) == 1 else None for name, codes in found.items()}
        self.made[node] = first.made
        if any([code_of(size) for size in event.made] != [code_of(size) for size in first.made] for event in events):
            if first.callee is None:
                raise NotStructured("makes tensors of different sizes from call to call", node)
            self.made[node] = [symbol(number(size), OPAQUE) for size in first.made]  # the class knows them
        places: dict[Value, tuple[int, tuple[Any, ...]]] = {}
        for index, (_, value) in enumerate(first.operands):
            for path, leaf in paths(value):
                places.setdefault(leaf, (index, path))
        self.leaves[node] = list(places.values())
        if len(events) == 1 and first.loops:  # of one round, nobody knows whether the next one finds the same sizes
            changing = set().union(*(assigned(loop) for loop, _ in first.loops))
            for index, (operand, _) in enumerate(self.leaves[node]):
                if isinstance(syntax := first.operands[operand][0], ast.Name) and syntax.id in changing:
                    self.sizes[node][f"_in{index}_"] = None

    def add(self, event: Event, made: ModuleTemplate) -> None:
        """One module of one execution."""
        if event.callee is not None:
            made.kwargs = self.callees[event.callee.node].given(event, (self.local | self.constants) - self.tensors)
        known = self.modules.setdefault(made.key, made)
        self.owner.setdefault(made.key, event.node)
        if known is not made:
            if known.kwargs != made.kwargs and known.call == made.call:
                self.conditional_bias(known, made)
            if (known.call, known.args, known.kwargs) != (made.call, made.args, made.kwargs):
                raise NotStructured("constructs different modules from call to call", event.node)
            known.instances += [item for item in made.instances if item[0] not in [own for own, _ in known.instances]]

    def conditional_bias(self, known: ModuleTemplate, made: ModuleTemplate) -> None:
        """Write `bias=` as the code writes `use_bias=`, where it differs from call to call."""
        site = known.key[0]
        spelled = next((k.value for k in getattr(site, "keywords", []) if k.arg == "use_bias"), None)
        if spelled is None or not any(isinstance(item, ast.Name) for item in ast.walk(spelled)):
            return
        bias = Text(ast.unparse(spelled))
        known.kwargs, made.kwargs = ({**module.kwargs, "bias": bias} for module in (known, made))

    def passed(self, spelled: ast.expr, value: Any, around: set[str]) -> str:
        """An argument as the code of the caller, whose variables are `around`, has it."""
        if isinstance(value, Symbolic | tuple) or not isinstance(value, bool | str | None):
            return text_of(value)
        names = {item.id for item in ast.walk(spelled) if isinstance(item, ast.Name)}
        plain = all(isinstance(item, PLAIN) for item in ast.walk(spelled))
        return ast.unparse(spelled) if plain and names and names <= around else text_of(value)

    def given(self, event: Event, around: set[str]) -> dict[str, Any]:
        """The arguments of this class's constructor, as a call of the function gives them."""
        if event.callee is None:
            return {}
        leaves = list(dict.fromkeys(values([value for _, value in event.operands])))
        frame, found = event.callee, {}
        for parameter in self.parameters:
            if parameter.tensor:
                value = frame.arguments[parameter.tensor]
                found[parameter.name] = Text(f"_in{leaves.index(value)}_")
            elif parameter.name in frame.given:
                value, code = frame.arguments[parameter.name], event.spelled.get(parameter.name)
                found[parameter.name] = Text(text_of(value) if code is None else self.passed(code, value, around))
        return found

    def shorten(self) -> None:
        """Modules without state as functions, or constructed once for all rounds of a loop."""
        for key, module in list(self.modules.items()):
            if module.state or (not module.loops and module.call not in FUNCTIONS):
                continue
            names = variables_of((module.args, module.kwargs)) - self.constants
            if module.call in FUNCTIONS and not names:
                del self.modules[key]
                self.replace(key, FUNCTIONS[str(module.call)], module)
            elif not names & ({name for loop in module.loops for name in assigned(loop)} | {"_in0_"}):
                module.loops = ()

    def replace(self, key: Key, target: str, module: ModuleTemplate) -> None:
        """Write a function in place of a module."""
        for node, template in self.templates.items():
            steps = [
                Step(target, (*step.args, *module.args), (*module.kwargs.items(), *step.kwargs))
                if step.target == Own(key)
                else step
                for step in template.steps
            ]
            self.templates[node] = Template(tuple(steps), template.output)

    def name(self) -> None:
        """Names of the attributes: Keras's where the code gives one, else after the kind; several are numbered."""
        ordered = sorted(self.modules.items(), key=lambda pair: getattr(self.statement_of(pair[0][0]), "lineno", 0))
        wishes = {key: self.wish(key, module) for key, module in ordered}
        names = Namespace(RESERVED | self.read_names(), separator="")
        counts: dict[str, int] = {}
        for wish in wishes.values():
            counts[wish] = counts.get(wish, 0) + 1
        for key, wish in wishes.items():
            if counts[wish] > 1:
                names.taken.add(wish)
                names.counts.setdefault(wish, 0)
            name = self.names[key] = names.claim(wish)
            module = self.modules[key]
            for instance, numbers in module.instances:
                instance.name = ".".join([name, *map(str, numbers if module.loops else ())])

    def read_names(self) -> set[str]:
        """Variables that `forward` may want as attributes."""
        nodes = [node.test for node in ast.walk(self.node) if isinstance(node, ast.If | ast.IfExp)]
        nodes += [node.iter for node in ast.walk(self.node) if isinstance(node, ast.For)]
        return {item.id for node in nodes for item in ast.walk(node) if isinstance(item, ast.Name)}

    def wish(self, key: Key, module: ModuleTemplate) -> str:
        """What a module would like to be called."""
        layer = self.layer_name(key[0]) or self.variable_of(key)
        if layer is None:
            kind = module.call.name if isinstance(module.call, ast.FunctionDef) else module.call.rpartition(".")[2]
            layer = WORDS.get(kind) or identifier(snake_case(kind))
        role = module.instances[0][0].role
        layer = f"{layer}_{role}" if role else layer
        return plural(layer) if module.loops else layer

    def layer_name(self, site: ast.AST) -> str | None:
        """The name that the code gives to a layer, if it is a literal."""
        if not isinstance(site, ast.Call):
            return None
        found = next((item.value for item in site.keywords if item.arg == "name"), None)
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            return identifier(found.value)
        return None

    def statement_of(self, node: ast.AST) -> ast.AST:
        """The statement that an expression belongs to."""
        while not isinstance(node, ast.stmt) and node in self.parents:
            node = self.parents[node]
        return node

    def variable_of(self, key: Key) -> str | None:
        """The variable that the code assigns a layer to."""
        parent = self.parents.get(key[0])
        if (
            key[0] is self.owner[key]
            or not isinstance(parent, ast.Assign)
            or not isinstance(parent.targets[0], ast.Name)
        ):
            return None
        return identifier(parent.targets[0].id)

    def outline(self) -> Block:
        """The class with one module for each attribute, which stands for all of its instances."""
        ops = []
        for key, module in self.modules.items():
            if isinstance(module.call, str):
                first = module.instances[0][0]
                made: Any = copy.copy(first)
                made.name, made.instances = self.names[key], [one for one, _ in module.instances]
                ops.append(Op(made, (), {}, None) if isinstance(made, Module) else Op("", (made,), {}, None))
        return Block(self.class_name, [], [], ops, None)

    def collection(self, node: ast.AST) -> ast.expr | None:
        """The list of tensors, of a length that may vary, that is the only operand of a place."""
        if node not in self.leaves or len({operand for operand, _ in self.leaves[node]}) != 1:
            return None
        syntax = self.operands[node][self.leaves[node][0][0]]
        in_list = any(path for _, path in self.leaves[node])
        return syntax if isinstance(syntax, ast.Name) and in_list else None

    def axis_of(self, subject: ast.expr, axis: int) -> int:
        """Where an axis of a tensor lies at run time."""
        for frame in self.frames:
            value = frame.seen.get(subject)
            if isinstance(value, Value) and frame.block is not None:
                order = frame.block.layouts.get(value, tuple(range(value.rank)))
                return order.index(axis)
        raise NotStructured("the shape of what is no tensor", subject)

    def ask(self, constructor: str) -> None:
        """Have the classes tell the channels of their outputs that the constructor reads.

        Raises:
            Again: one does not yet.
        """
        for key, module in self.modules.items():
            callee = self.callees[module.call] if isinstance(module.call, ast.FunctionDef) else None
            read = re.search(rf"self\.{self.names[key]}(\[-1\])*\.out_channels", constructor)
            if read and callee is not None and not callee.out_channels:
                raise Again(out_channels=callee.node.name)

    def within(self, node: ast.AST) -> Iterator[Key]:
        """The modules constructed inside a piece of syntax, in the order of evaluation."""
        found = [place for part in ast.walk(node) for place in self.spots.get(part, ())]
        return (key for _, key in sorted(found, key=itemgetter(0)))

    @functools.cached_property
    def spots(self) -> dict[ast.AST, list[tuple[int, Key]]]:
        """The modules that each place constructs, numbered in the order of construction."""
        found: dict[ast.AST, list[tuple[int, Key]]] = {}
        for order, key in enumerate(self.modules):
            found.setdefault(self.spot(key), []).append((order, key))
        return found

    def spot(self, key: Key) -> ast.AST:
        """Where a module is constructed: where the code does so, or else where the sizes of its input are known."""
        module, owner = self.modules[key], self.owner[key]
        sizes = [name for name in variables_of((module.args, module.kwargs)) if PLACE.fullmatch(name)]
        return key[0] if all(self.sizes[owner].get(name) for name in sizes) else owner


def output_orders(frame: Frame) -> tuple[tuple[int, ...], ...]:
    """How each tensor that an execution returns is permuted at its end."""
    if frame.block is None:
        return ()
    moved = {op.outputs: op.args[1:] for op in frame.block.ops if is_moved(op)}
    pairs = zip(values(frame.output), values(frame.block.outputs), strict=True)
    return tuple(moved.get(returned, ()) if returned is not made else () for made, returned in pairs)


class Parameter:
    """An argument of the constructor.

    Attributes:
        tensor: the argument of the function whose channels it is, or "".
        shape: the argument of the function that is the shape whose channels it is, or "".
        text: as it is written.
    """

    def __init__(
        self, name: str, annotation: str, default: str | None = None, tensor: str = "", shape: str = ""
    ) -> None:
        self.name = name
        self.tensor = tensor
        self.shape = shape
        self.text = f"{name}: {annotation}" + (f" = {default}" if default is not None else "")

    def value(self, frame: Frame) -> Any:
        """What an execution of the function gives for it."""
        if self.tensor:
            return number(frame.arguments[self.tensor].shape[-1])
        return frame.arguments[self.shape][-1] if self.shape else frame.arguments[self.name]
