"""The whole recovery: nested models, then each block; what becomes of every module and value is kept."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from k2t.lower.names import RESERVED, Namespace, attribute_names, class_names, kind_name, own_name
from k2t.program import Block, Branch, Module, Op, Parameter, Value, values
from k2t.recover.classes import ClassBuilder
from k2t.recover.express import text_of
from k2t.recover.groups import choose
from k2t.recover.instances import Instance
from k2t.recover.naming import common_words, layer_of
from k2t.recover.nested import alike, group_of, turn
from k2t.recover.split import Splitter, heavy, regrouped
from k2t.recover.stages import container, lengths


@dataclass(frozen=True)
class Seat:
    """A class in its place in the model.

    Attributes:
        path: below the block that it was recovered from.
        values: value of the class -> value of that block; None where they are the same.
    """

    path: str
    block: Block
    values: Mapping[Value, Value] | None = None

    def value(self, own: Value) -> Value | None:
        """The value of the model that a value of the class stands for."""
        return own if self.values is None else self.values.get(own)


@dataclass
class Recovery:
    """The classes to write, the main one last, and where they are.

    Attributes:
        seats: block of the model -> the places of the classes in it.
        renamed: modules of the model, with the name that each does not have now.
    """

    classes: list[Block]
    seats: dict[Block, list[Seat]]
    renamed: dict[Module | Parameter, str] = field(default_factory=dict)

    def swap_names(self) -> None:
        """Give the modules of the model their old names, or the new ones again."""
        for item, other in self.renamed.items():
            self.renamed[item], item.name = item.name, other


def as_they_are(blocks: Sequence[Block]) -> Recovery:
    """No recovery: each block is a class."""
    return Recovery(list(blocks), {block: [Seat("", block)] for block in blocks})


def recover(blocks: Sequence[Block]) -> Recovery:
    """Find the repeated parts of each block; its modules are named after their places then."""
    found = Recoverer(blocks).run()
    if all(map(is_sound, found.classes)) and all(map(has_own_names, blocks)):
        return found
    found.swap_names()
    return as_they_are(blocks)


def is_sound(block: Block) -> bool:
    """Whether every value of a class is made before it is read."""
    known = set(block.inputs)
    for op in block.ops:
        inside = set(known) if isinstance(op.target, Branch) else known
        for inner in (*(op.target.ops if isinstance(op.target, Branch) else ()), op):
            if not inside.issuperset(values((inner.args, inner.kwargs))):
                return False
            inside.update(values(inner.outputs))
        known.update(values(op.outputs))
    return known.issuperset(values(block.outputs))


def has_own_names(block: Block) -> bool:
    """Whether each module and parameter of the model has a place of its own."""
    names = [*(module.name for module in block.modules()), *(item.name for item in block.parameters())]
    return len(set(names)) == len(names)


class Recoverer:
    """Recovers all blocks of a model.

    Attributes:
        instances: what each module of the new code stands for.
        counts: how many are of each class.
        replaced: calls of nested models -> the module that stands for them in the new code.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = list(blocks)
        self.names = class_names(blocks)
        self.names.taken |= {block.name for block in blocks}
        self.found = Recovery([], {})
        self.instances: dict[int, Instance] = {}
        self.counts: Counter[Block] = Counter()
        self.replaced: dict[Block, Module] = {}
        self.ops = {block: block.ops for block in blocks}

    def run(self) -> Recovery:
        """Nested models first."""
        for same in alike(self.blocks):
            self.nest(same)
        for block in self.blocks:
            if block not in self.found.seats:
                self.block(block)
        for block in self.found.classes:
            for module in block.modules():
                for inner in module.tree():
                    shorten(inner)
        return self.found

    def claim(self, block: Block) -> None:
        """A new class."""
        block.name = self.names.claim(block.name)
        self.found.classes.append(block)

    def nest(self, same: Sequence[Block]) -> None:
        """One class for nested models that are alike."""
        around = next(b for b in self.blocks if any(module.call is same[0] for module in b.modules()))
        self.ops[around], turned = turn(self.ops[around], same)
        block, instances = ClassBuilder(group_of(same, turned), same[0]).build()
        self.claim(block)
        callers = {m.call: m for b in self.blocks for m in b.modules() if isinstance(m.call, Block)}
        for own, instance in zip(same, instances, strict=True):
            caller = callers[own]
            module = instance.call()
            module.layer, module.name = caller.layer, caller.name
            instance.caller = caller
            self.replaced[own] = module
            self.instances[id(module)] = instance
            self.counts[block] += 1
            self.found.seats[own] = [Seat("", block, instance.values)]
            for ours, theirs in instance.modules.items():
                self.rename(theirs, ours.name)

    def rename(self, item: Module | Parameter, name: str) -> None:
        """Name a module of the model."""
        self.found.renamed.setdefault(item, item.name)
        item.name = name

    def block(self, block: Block) -> None:
        """The classes of one block, and their places."""
        ops = [self.with_replaced(op) for op in self.ops[block]]
        code = replace(block, ops=ops)
        for criterion in ("regions", "pieces", "cells", "branches"):
            if criterion == "cells" and code.ops != ops:
                code.ops = regrouped(code, Splitter(code).labels())
            for group in choose(Splitter(code, criterion)):
                own, members = ClassBuilder(group, block).build()
                self.claim(own)
                code.ops = self.collapsed(code.ops, members)
        self.renumber(code)
        seats = [Seat("", code)]
        taken = Namespace(RESERVED | {item.name for item in code.modules()} | {item.name for item in code.parameters()})
        code.ops = self.rows(code, taken, seats)
        self.found.classes.append(code)
        self.found.seats[block] = seats

    def renumber(self, code: Block) -> None:
        """What is in no class is named as if there were nothing else."""
        items: list[Module | Parameter] = [*code.modules(), *code.parameters()]
        left = [item for item in items if id(item) not in self.instances]
        taken = {item.name for item in items if id(item) in self.instances}
        for item, name in attribute_names(left, code.owners, taken).items():
            self.rename(item, name)

    def with_replaced(self, op: Op) -> Op:
        """The operation, a call of a nested model that has become an instance as such."""
        if isinstance(op.target, Module) and op.target.call in self.replaced:
            return replace(op, target=self.replaced[op.target.call])
        return op

    def collapsed(self, ops: Sequence[Op], instances: Sequence[Instance]) -> list[Op]:
        """The operations with each instance as a single one."""
        starts = {id(instance.segment.ops[0]): instance for instance in instances}
        names = {id(i): common_words([layer_of(op) for op in i.segment.ops if heavy([op])]) for i in instances}
        usual = set(common_words(list(names.values())).split("_"))
        found: list[Op] = []
        skip = 0
        for op in ops:
            instance = starts.get(id(op))
            if instance is not None:
                segment = instance.segment
                outputs = segment.outputs[0] if len(segment.outputs) == 1 else tuple(segment.outputs)
                call = instance.call()
                last = segment.ops[-1].layer
                words = names[id(instance)].split("_")
                words = [word for word in words if word not in usual or word.isdigit()]
                call.layer = "_".join(itertools.dropwhile(str.isdigit, words))
                self.instances[id(call)] = instance
                self.counts[instance.block] += 1
                found.append(Op(call, tuple(segment.inputs), {}, outputs, "fixed", last))
                skip = len(segment.ops)
            if skip:
                skip -= 1
            else:
                found.append(op)
        return found

    def instance(self, op: Op) -> Instance | None:
        """What the operation calls."""
        return self.instances.get(id(op.target))

    def rows(self, code: Block, taken: Namespace, seats: list[Seat]) -> list[Op]:
        """The operations with rows of instances in containers; gives every instance its place."""
        readers = Counter(value for op in code.ops for value in values((op.args, op.kwargs)))
        readers.update(values(code.outputs))
        ops: list[Op] = []
        position = 0
        while position < len(code.ops):
            stop = position
            while stop < len(code.ops) and self.instance(code.ops[stop]) is not None:
                if stop > position and not follows(code.ops[stop - 1], code.ops[stop], readers):
                    break
                stop += 1
            stop = max(stop, position + 1)
            instances = [instance for op in code.ops[position:stop] if (instance := self.instance(op)) is not None]
            for count in lengths(instances):
                run = code.ops[position : position + count]
                if count == 1:
                    self.single(run[0], taken, seats, code.owners)
                ops.append(run[0] if count == 1 else self.row(run, taken, seats))
                position += count
        return ops

    def single(self, op: Op, taken: Namespace, seats: list[Seat], owners: tuple[str, ...]) -> None:
        """Name an instance that stands alone."""
        instance, module = self.instance(op), op.target
        if instance is not None and isinstance(module, Module):
            own, several = own_name(module, owners), self.counts[instance.block] > 1
            wish = own or kind_name(module)
            module.name = module.name or (taken.numbered if several and not own else taken.claim)(wish)
            self.place(instance, module.name, seats)

    def row(self, run: Sequence[Op], taken: Namespace, seats: list[Seat]) -> Op:
        """One call of a container for instances in a row."""
        instances = [instance for op in run if (instance := self.instance(op)) is not None]
        calls = [op.target for op in run if isinstance(op.target, Module)]
        module, paths = container(instances, taken, calls)
        for instance, path in zip(instances, paths, strict=True):
            self.place(instance, f"{module.name}.{path}", seats)
        return Op(module, run[0].args, {}, run[-1].outputs, "fixed", run[-1].layer)

    def place(self, instance: Instance, path: str, seats: list[Seat]) -> None:
        """Name the modules of an instance after their place."""
        if instance.caller is not None:
            self.rename(instance.caller, path)
            return
        seats.append(Seat(path, instance.block, instance.values))
        for ours, own in instance.modules.items():
            inner = self.instances.get(id(own))
            if inner is not None:
                self.place(inner, f"{path}.{ours.name}", seats)
            else:
                self.rename(own, f"{path}.{ours.name}")


def shorten(module: Module) -> None:
    """Leave out the arguments that are the defaults."""
    if isinstance(module.call, Block) and module.call.arguments:
        usual = {argument.name: argument.default for argument in module.call.arguments}
        module.kwargs = {name: value for name, value in module.kwargs.items() if text_of(value) != usual[name]}


def follows(first: Op, second: Op, readers: Mapping[Value, int]) -> bool:
    """Whether the second reads what the first makes, and nothing else does."""
    return len(second.args) == 1 and second.args[0] is first.outputs and readers[first.outputs] == 1
