"""The body of `forward`: operations as statements, short values inline, long ones named."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import libcst as cst

from k2t.emit import syntax
from k2t.lower.names import Namespace, identifier, is_automatic, local, spelled
from k2t.program import Block, Branch, Code, Device, Module, Op, Parameter, Size, Value, leaves, values

# A value used this many operations later gets a name of its own, others are called like this.
FAR = 12
SHORT = ("x", "y", "z")
OWN_NAMES = {"bool": ("mask",), "string": ("words",)}
SPOKEN = ("shortcut",)  # modules whose output is called like them
BRANCHES = 3  # at least so many tensors that are concatenated are called branch1, branch2, ...
WIDTH = 76
LINE = 82  # of a sum, which is a statement of its own
DEPTH = 3
REDUCTIONS = (".mean", ".amax", ".sum")
SUMS = ("+", "-", "*")
OPERATORS = {*syntax.UNARY, *syntax.BINARY, *syntax.COMPARE, "[]"}


@dataclass(frozen=True)
class Line:
    """One statement.

    Attributes:
        made: the values that are ready after it, with the variable that holds each.
    """

    node: cst.SimpleStatementLine | cst.If
    made: tuple[tuple[Value, str], ...]


@dataclass(frozen=True)
class Pending:
    """An expression that waits to be written into the next statement.

    Attributes:
        layers: whether it calls a layer with weights.
        number: of its operation.
    """

    node: cst.BaseExpression
    width: int
    depth: int
    reads: tuple[str, ...]
    layers: bool
    number: int


class Forward:
    """Writes the operations of one block.

    Attributes:
        lines: the statements so far.
    """

    def __init__(self, block: Block, ops: list[Op], results: Any) -> None:
        self.block = block
        self.ops = ops
        self.lines: list[Line] = []
        self.uses = Counter(value for op in ops for value in values((op.args, op.kwargs)))
        self.uses.update(values(results))
        self.last = {value: number for number, op in enumerate(ops) for value in values((op.args, op.kwargs))}
        self.last |= dict.fromkeys(values(results), len(ops))
        self.names: dict[Value, str] = {}
        self.forced = self.output_names(results)
        self.pending: dict[Value, Pending] = {}
        arguments = input_arguments(block)
        self.names.update(zip(block.inputs, arguments, strict=True))
        self.until = {name: self.last.get(value, -1) for value, name in self.names.items()}
        tensors = [name for value, name in zip(block.inputs, arguments, strict=True) if value.dtype != "string"]
        self.common = dict.fromkeys((*SHORT, *tensors))
        reduced = {value for op in ops if reduces(op) for value in values(op.args)}
        self.skips = reduced & {value for op in ops if op.target == "torch.cat" for value in values(op.args)}
        self.branches = self.branch_names()
        named = {*self.forced.values(), *self.branches.values(), *SPOKEN}
        self.namespace = Namespace({*globals_of(block), *SHORT, *arguments, *named})

    def branch_names(self) -> dict[Value, str]:
        """The parts of a concatenation of several are numbered, those aside that something else reads, too."""
        found: dict[Value, str] = {}
        for op in self.ops:
            if op.target == "torch.cat":
                parts = [value for value in values(op.args) if self.uses[value] == 1 and value not in self.block.inputs]
                names = [f"branch{number + 1}" for number in range(len(parts))]
                found.update(zip(parts, names, strict=True) if len(parts) >= BRANCHES else ())
        return found

    def output_names(self, results: Any) -> dict[Value, str]:
        """Several outputs are named: by their keys, or after layers that a person named."""
        outputs = list(dict.fromkeys(values(results)))
        if len(outputs) < 2:
            return {}
        keys = dict(zip(results.values(), results, strict=True)) if isinstance(results, dict) else {}
        wishes = {value: keys.get(value) or value.layer.partition("#")[0] for value in outputs}
        taken = Namespace({*globals_of(self.block), *input_arguments(self.block), *SHORT})
        inputs = set(self.block.inputs)
        return {
            value: taken.claim(spelled(identifier(wish)))
            for value, wish in wishes.items()
            if value not in inputs and not is_automatic(wish)
        }

    def write(self) -> list[Line]:
        """All statements, without the return."""
        for number, op in enumerate(self.ops):
            self.write_op(number, op)
        return self.lines

    def write_op(self, number: int, op: Op) -> None:
        """One operation: kept for the next statement if it is short and used there only, else a statement."""
        if isinstance(op.target, Branch):
            self.write_branch(number, op, op.target)
            return
        inner = [self.pending[value] for value in values((op.args, op.kwargs)) if value in self.pending]
        reads = self.reads(op)
        node = self.expression(op)
        output = op.outputs
        layers = has_weights(op) or any(item.layers for item in inner)
        if isinstance(output, Value) and self.fits_inline(number, output) and not (layers and self.begins(number + 1)):
            width = len(syntax.render(node))
            depth = 1 + max((item.depth for item in inner), default=0)
            width += sum(item.width for item in self.pending.values())
            if width <= (LINE if self.pending else WIDTH) and depth <= DEPTH:
                self.pending[output] = Pending(node, width, depth, reads, layers, number)
                return
        self.flush()
        self.assign(number, op, node, reads)

    def flush(self) -> None:
        """Statements for what waits and was not read."""
        for value in list(self.pending):
            waiting = self.pending.pop(value)
            made: list[tuple[Value, str]] = []
            target = self.target(waiting.number, waiting.reads, value, made)
            self.lines.append(Line(syntax.assign(target, waiting.node), tuple(made)))

    def reads(self, op: Op) -> tuple[str, ...]:
        """The variables that the expression of `op` reads, what is written into it included."""
        read = [(self.names[v],) if v in self.names else self.pending[v].reads for v in values((op.args, op.kwargs))]
        return tuple(dict.fromkeys(name for names in read for name in names))

    def fits_inline(self, number: int, output: Value) -> bool:
        """Whether the value is read once, by the next operation, as its first tensor."""
        if self.uses[output] != 1 or number + 1 >= len(self.ops):
            return False
        if self.begins_sum(number) or self.begins_sum(number - 1):
            return True
        following = self.ops[number + 1]
        first = next(values((following.args, following.kwargs)), None)
        if following.target in REDUCTIONS and not self.fits_inline(number + 1, following.outputs):
            return first is output and self.ops[number].target not in OPERATORS
        in_order = first is output or self.ops[number].target == "[]"
        return in_order and any(arg is output for arg in following.args) and reads_well(self.ops[number], following)

    def begins(self, number: int) -> bool:
        """Whether a statement begins with the operation: a layer with weights that is no normalization."""
        op = self.ops[number]
        return has_weights(op) and not is_normalization(op.target)

    def begins_sum(self, number: int) -> bool:
        """Whether the operation and the next one are the two sides of the one behind them: `f(x) + g(y)`."""
        if number < 0 or number + 2 >= len(self.ops):
            return False
        sides = [op.outputs for op in self.ops[number : number + 2]]
        modules = all(isinstance(op.target, Module) for op in self.ops[number : number + 2])
        alone = all(isinstance(side, Value) and self.uses[side] == 1 for side in sides)
        return modules and alone and self.ops[number + 2].target in SUMS and [*self.ops[number + 2].args] == sides

    def assign(self, number: int, op: Op, node: cst.BaseExpression, reads: tuple[str, ...]) -> None:
        """`name = node`, or several names; what is called for what it does stands alone."""
        made: list[tuple[Value, str]] = []
        if op.outputs is None:
            self.lines.append(Line(syntax.expression(node), ()))
            return
        target = self.target(number, reads, op.outputs, made)
        self.lines.append(Line(syntax.assign(target, node), tuple(made)))

    def target(self, number: int, reads: tuple[str, ...], outputs: Any, made: list[tuple[Value, str]]) -> Any:
        """The left side of an assignment: a name for each value that is used, `_` for the others."""
        if isinstance(outputs, list | tuple) and any(self.uses[value] for value in values(outputs)):
            return syntax.tuple_of([self.target(number, reads, item, made) for item in outputs])
        if isinstance(outputs, dict):
            raise TypeError("a model with a dict of outputs is called by its values")
        if not isinstance(outputs, Value) or not self.uses[outputs]:
            return cst.Name("_")
        name = self.choose_name(number, reads, outputs)
        self.names[outputs] = name
        made.append((outputs, name))
        return cst.Name(name)

    def write_branch(self, number: int, op: Op, branch: Branch) -> None:
        """`if condition:` with the operations; the variable of what stands in otherwise has the result behind it."""
        name = self.names[branch.bypass]
        if self.last[branch.bypass] > number:  # it is still needed
            name = self.choose_name(number, (), branch.output)
            self.lines.append(Line(syntax.assign(cst.Name(name), cst.Name(self.names[branch.bypass])), ()))
        self.until[name] = max(self.last[op.outputs], number)
        inner = Forward(self.block, branch.ops, branch.output)
        inner.names = dict(self.names)
        kept = {other for other, last in self.until.items() if last >= number and other != name}
        inner.until = dict.fromkeys(kept, len(branch.ops) + 1) | {name: inner.last.get(branch.bypass, -1)}
        inner.forced = {branch.output: name}
        inner.namespace = self.namespace
        lines = inner.write()
        test = cst.If(cst.parse_expression(branch.condition), cst.IndentedBlock([line.node for line in lines]))
        self.names[op.outputs] = name
        self.lines.append(Line(test, ((op.outputs, name),)))

    def choose_name(self, number: int, reads: tuple[str, ...], value: Value) -> str:
        """A tensor goes on under its name, several go on as one; a value read much later is named after its layer."""
        if value in self.forced:
            return self.forced[value]
        far = value in self.skips or (self.last[value] - number > FAR and self.uses[value] > 1)
        ends = [name for name in reads if name in self.common]
        usual = (*ends, *SHORT) if len(ends) == 1 else (*SHORT, *ends)
        target = self.ops[number].target
        spoken = [target.name] if isinstance(target, Module) and target.name in SPOKEN else []
        spoken += [self.branches[value]] if value in self.branches else []
        wishes = (*spoken, *(OWN_NAMES.get(value.dtype) or (() if far else usual)))
        name = next((wish for wish in wishes if self.until.get(wish, -1) <= number), None)
        name = name or self.long_name(value)
        self.until[name] = self.last[value]
        return name

    def long_name(self, value: Value) -> str:
        """A variable for what is read much later: its layer, if a person named it."""
        layer = local(value.layer.partition("#")[0], self.block.owners)
        if is_automatic(layer):
            return self.namespace.numbered("mask" if value.dtype == "bool" else "skip")
        return self.namespace.claim(spelled(identifier(layer)))

    def value(self, value: Value) -> cst.BaseExpression:
        """A tensor where it is read."""
        if value in self.pending:
            return self.pending.pop(value).node
        return cst.Name(self.names[value])

    def expression(self, op: Op) -> cst.BaseExpression:
        """The right side of one operation."""
        args = [self.argument(arg) for arg in op.args]
        kwargs = {key: self.argument(arg) for key, arg in op.kwargs.items()}
        target = op.target
        if isinstance(target, Branch):
            raise TypeError("a branch is a statement")
        if isinstance(target, Module):
            return syntax.call(syntax.dotted(f"self.{target.name}"), args, kwargs)
        if target == "[]":
            items = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
            return syntax.subscript(args[0], [self.subscript_item(item) for item in items])
        if target in syntax.UNARY and len(args) == 1:
            return syntax.unary(target, args[0])
        if target in syntax.BINARY or target in syntax.COMPARE:
            return syntax.binary(target, args[0], args[1])
        if target.startswith("."):
            return syntax.call(syntax.method(args[0], target[1:]), args[1:], kwargs)
        return syntax.call(syntax.dotted(target), args, kwargs)

    def argument(self, arg: Any) -> cst.BaseExpression:
        """Any argument as an expression."""
        if isinstance(arg, Value):
            return self.value(arg)
        if isinstance(arg, Parameter):
            return syntax.dotted(f"self.{arg.name}")
        if isinstance(arg, Size):
            return syntax.subscript(syntax.method(self.value(arg.value), "shape"), [syntax.literal(arg.axis)])
        if isinstance(arg, Device):
            return syntax.method(self.value(arg.value), "device")
        if isinstance(arg, Code):
            return cst.parse_expression(arg.text)
        if isinstance(arg, tuple):
            return syntax.tuple_of([self.argument(item) for item in arg if not isinstance(item, slice)])
        if isinstance(arg, list):
            return syntax.list_of([self.argument(item) for item in arg])
        if arg is Ellipsis:
            return cst.Ellipsis()
        return syntax.literal(arg) if not isinstance(arg, slice) else cst.Name("None")

    def subscript_item(self, item: Any) -> Any:
        """One entry of a subscript."""
        if not isinstance(item, slice):
            return self.argument(item)
        bounds = [None if bound is None else self.argument(bound) for bound in (item.start, item.stop)]
        step = None if item.step is None else self.argument(item.step)
        second = cst.Colon() if step is not None else cst.MaybeSentinel.DEFAULT
        return cst.Slice(lower=bounds[0], upper=bounds[1], step=step, second_colon=second)


def reads_well(producer: Op, consumer: Op) -> bool:
    """Whether a person would nest the two: a statement ends where the next layer with weights begins."""
    target = consumer.target
    if isinstance(target, Branch) or isinstance(producer.target, Branch):
        return False
    if moves(producer):
        return True
    if isinstance(target, Module):
        return not target.weights or (is_normalization(target) and not is_container(producer))
    if target == "[]":
        return isinstance(producer.target, Module)
    if target.startswith("."):
        return producer.target in syntax.COMPARE
    return target != "F.pad"


def moves(op: Op) -> bool:
    """Whether the operation only moves elements, or drops some."""
    if isinstance(op.target, Module):
        return isinstance(op.target.call, str) and op.target.call.startswith("nn.Dropout")
    if isinstance(op.target, Branch):
        return False
    return op.target.startswith(".") or op.target == "F.pad"


def has_weights(op: Op) -> bool:
    """Whether it is a layer with weights of its own."""
    return isinstance(op.target, Module) and bool(op.target.weights)


def reduces(op: Op) -> bool:
    """Whether it makes a tensor smaller along its steps or pixels, as the levels of a U-Net do."""
    if isinstance(op.target, Module) and isinstance(op.target.call, str) and "Pool" in op.target.call:
        return True
    read, made = (next(values(item), None) for item in (op.args, op.outputs))
    return (
        read is not None
        and made is not None
        and len(read.shape[1:-1]) == len(made.shape[1:-1])
        and any((before or 0) > (after or 0) for before, after in zip(read.shape[1:-1], made.shape[1:-1], strict=True))
    )


def is_container(op: Op) -> bool:
    """Whether it calls several layers."""
    return isinstance(op.target, Module) and (not isinstance(op.target.call, str) or bool(op.target.parts))


def is_normalization(target: str | Module | Branch) -> bool:
    """Whether it belongs to the layer in front of it."""
    return isinstance(target, Module) and isinstance(target.call, str) and "Norm" in target.call


def globals_of(block: Block) -> set[str]:
    """Names in the methods of a class that no variable may hide."""
    names = {"self", "torch", "nn", "F", "math", "float"}
    names |= {op.target for op in block.all_ops() if isinstance(op.target, str) and op.target.isidentifier()}
    codes = (leaf for op in block.all_ops() for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Code))
    return names.union(*(re.findall(r"\w+", code.text) for code in codes))


def type_of(value: Value) -> str:
    """`Tensor`; for text, lists nested as deep as it has axes."""
    return "Tensor" if value.dtype != "string" else "list[" * value.rank + "str" + "]" * value.rank


def input_arguments(block: Block) -> list[str]:
    """Names of the arguments of `forward`: `x` for the only one, else after the Keras inputs."""
    if len(block.inputs) == 1:
        return ["text" if block.inputs[0].dtype == "string" else "x"]
    names = Namespace(globals_of(block))
    return [names.claim(identifier(name, "x")) for name in block.input_names]
