"""One class for all instances of a template: parameters, expressions of them, conditions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from k2t.graph import map_structure
from k2t.lower.names import RESERVED, Namespace, local
from k2t.program import Block, Code, Module, Op, Parameter, Value, leaves
from k2t.recover.align import Step
from k2t.recover.conditions import conditional
from k2t.recover.express import MISSING, Column, Scope, constant, declared, fits
from k2t.recover.forms import CONVOLUTIONS, DEFAULTS, Slot, slots
from k2t.recover.holes import Hole, kind_of_name, priority, slot_name
from k2t.recover.instances import Group, Instance, owned, parameter_at
from k2t.recover.naming import attribute, class_name

OFTEN = 3  # an expression that is written so often gets a name


class ClassBuilder:
    """Builds the class of a group."""

    def __init__(self, group: Group, around: Block) -> None:
        self.group = group
        self.layouts = around.layouts
        self.owners = around.owners
        self.scope = Scope()
        self.texts: dict[tuple[int, Slot], str] = {}
        template = group.template
        positions = [{id(op): i for i, op in enumerate(form.ops)} for form in template.forms]
        self.ops: list[list[Op | None]] = []  # for each step, the operation of each instance
        for step in template.steps:
            where = {form: positions[form][id(op)] for form, op in step.members.items()}
            self.ops.append(
                [
                    segment.ops[where[form]] if form in where else None
                    for segment, form in zip(group.segments, group.forms, strict=True)
                ]
            )

    def build(self) -> tuple[Block, list[Instance]]:
        """The class, and its instances in order."""
        self.seed()
        holes = list(self.holes())
        for hole in sorted(holes, key=priority):
            self.fill(hole)
        self.abbreviate()
        modules: dict[int, Module | Parameter] = {}
        ops = [self.op(number, step, modules) for number, step in enumerate(self.group.template.steps)]
        block = Block("", self.group.template.inputs, [], ops, self.results(), owners=self.owners)
        self.name_attributes(modules)
        self.name_values()
        block.ops = conditional(block, self.group.template.steps, self.presence(), self.scope)
        rename_parts(block)
        for op in block.all_ops():
            op.args, op.kwargs = self.attributes(op.args), self.attributes(op.kwargs)
        block.input_names = [f"x{i}" for i in range(len(block.inputs))]
        block.setup = self.setup(block)
        block.name = class_name([local(segment.prefix, self.owners) for segment in self.group.segments], block)
        block.summary = self.summary()
        return block, self.instances(block, modules)

    def seed(self) -> None:
        """The channels that come in are the first parameter, where they differ."""
        column = self.channels([segment.inputs[0] for segment in self.group.segments])
        if column and not constant(column):
            same = column == self.made()
            self.scope.add("channels" if same else "in_channels", "channels", column)

    def channels(self, tensors: list[Value]) -> Column | None:
        """Sizes of the last axis, if they are known."""
        column = tuple(tensor.shape[-1] if tensor.shape else None for tensor in tensors)
        return None if None in column else column

    def made(self) -> Column | None:
        """Channels of the first output of each instance."""
        return self.channels([segment.outputs[0] for segment in self.group.segments])

    def holes(self) -> Iterator[Hole]:
        """Every constant; those that all instances share are filled at once."""
        for number, ops in enumerate(self.ops):
            found = [dict(slots(op)) if op is not None else {} for op in ops]
            for slot in dict.fromkeys(slot for each in found for slot in each):
                column = tuple(each.get(slot, MISSING) for each in found)
                if not constant(column):
                    first = next(op for op in ops if op is not None)
                    name = slot_name(first, slot)
                    yield Hole(number, slot, name, kind_of_name(name, column), column)

    def fill(self, hole: Hole) -> None:
        """An expression for a hole, with a new parameter where it needs one."""
        text = self.scope.express(hole.column, hole.kind)
        if text is None and hole.kind == "channels":
            text = self.ratio(hole)
        if text is None:
            text = self.scope.add(self.wish(hole), hole.kind, hole.column)
        self.texts[hole.step, hole.slot] = text

    def ratio(self, hole: Hole) -> str | None:
        """`expansion * in_channels`, where the factor has few values."""
        for named in self.scope.names:
            if named.kind != "channels":
                continue
            pairs = list(zip(hole.column, named.column, strict=True))
            if any(v is not MISSING and (type(v) is not int or not own or v % own) for v, own in pairs):
                continue
            factors = tuple(MISSING if v is MISSING else v // own for v, own in pairs)
            if len(set(factors)) <= 3 < len(set(hole.column)):
                factor = self.scope.add("expansion", "factor", factors)
                return f"{factor} * {named.name}"
        return None

    def wish(self, hole: Hole) -> str:
        """What a parameter for this hole would be called."""
        if hole.kind != "channels":
            return hole.name
        return "out_channels" if fits(hole.column, self.made() or ()) else "channels"

    def abbreviate(self) -> None:
        """Expressions that are written often become local variables."""
        counts = Counter(text for text in self.texts.values() if re.search(r" [*/+-]+ ", text) and " if " not in text)
        for text, count in counts.items():
            if count < OFTEN:
                continue
            places = [place for place, value in self.texts.items() if value == text]
            columns = [
                tuple(dict(slots(op)).get(slot) if op else None for op in self.ops[step]) for step, slot in places
            ]
            column = next((column for column in columns if all(type(value) is int for value in column)), None)
            if column is None:
                continue
            name = "out_channels" if column == self.made() else "hidden"
            name = self.scope.add(name, "channels", column, text)
            self.texts = {key: name if value == text else value for key, value in self.texts.items()}
        for (step, slot), text in list(self.texts.items()):
            if " if " in text and slot[0] == "module":
                first = next(op for op in self.ops[step] if op is not None)
                name = self.scope.add(slot_name(first, slot), "", self.column(step, slot), text)
                self.texts = {key: name if value == text else value for key, value in self.texts.items()}

    def column(self, step: int, slot: Slot) -> Column:
        """The constant of each instance."""
        return tuple(dict(slots(op)).get(slot, MISSING) if op else MISSING for op in self.ops[step])

    def presence(self) -> list[Column]:
        """For each step, which instances have it."""
        return [tuple(op is not None for op in ops) for ops in self.ops]

    def op(self, number: int, step: Step, modules: dict[int, Module | Parameter]) -> Op:
        """The operation of the class."""
        first = next(op for op in self.ops[number] if op is not None)
        reads = iter(step.reads)
        made = iter(step.makes)
        substitute = Substitution(self, number, reads, modules)
        target = first.target
        if isinstance(target, Module):
            target = self.module(number, target, modules)
        elif (number, ("target",)) in self.texts:
            target = self.scope.attribute(self.texts[number, ("target",)])
        args = substitute.structure(("args",), first.args)
        kwargs = substitute.structure(("kwargs",), first.kwargs)
        outputs = rebuild(first.outputs, made)
        return Op(target, args, kwargs, outputs, first.layout, first.layer)

    def module(self, number: int, own: Module, modules: dict[int, Module | Parameter]) -> Module:
        """The module of the class, made once."""
        if id(own) in modules:
            return modules[id(own)]  # type: ignore[return-value]
        args = tuple(self.constant(number, ("module", i), arg) for i, arg in enumerate(own.args))
        options = DEFAULTS | own.kwargs if own.call in CONVOLUTIONS else own.kwargs
        kwargs = {name: self.constant(number, ("module", name), value) for name, value in options.items()}
        kwargs = {name: value for name, value in kwargs.items() if name in own.kwargs or value != DEFAULTS.get(name)}
        instances = [op.target for op in self.ops[number] if op is not None and isinstance(op.target, Module)]
        made = replace(own, args=args, kwargs=kwargs, instances=instances)
        modules[id(own)] = made
        return made

    def parameter(self, number: int, slot: Slot, own: Parameter, modules: dict[int, Module | Parameter]) -> Parameter:
        """The parameter of the class, made once."""
        if id(own) not in modules:
            sizes = tuple(self.constant(number, (*slot, "shape", axis), size) for axis, size in enumerate(own.shape))
            instances = [item for op in self.ops[number] if op for item in [parameter_at(op, slot)]]
            modules[id(own)] = replace(own, sizes=sizes, instances=instances)
        return modules[id(own)]  # type: ignore[return-value]

    def constant(self, number: int, slot: Slot, value: Any) -> Any:
        """A constant, or the expression for it."""
        text = self.texts.get((number, slot))
        return value if text is None else Code(text)

    def attributes(self, arguments: Any) -> Any:
        """What `forward` reads of the constructor's names are attributes."""
        return map_structure(
            lambda leaf: Code(self.scope.attribute(leaf.text)) if isinstance(leaf, Code) else leaf, arguments
        )

    def results(self) -> Any:
        """What `forward` returns."""
        outputs = self.group.template.outputs
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def name_attributes(self, modules: dict[int, Module | Parameter]) -> None:
        """Names after the layers of the first instance that has them."""
        prefixes = {id(item): segment for segment in self.group.segments for op in segment.ops for item in owned(op)}
        wishes = [(item, attribute(item, prefixes[k].prefix, prefixes[k].suffix)) for k, item in modules.items()]
        counts = Counter(wish for _, wish in wishes)
        names = Namespace(RESERVED, separator="")
        for item, wish in wishes:
            if counts[wish] > 1 and not names.counts.get(wish):
                names.taken.add(wish)
            item.name = names.claim(wish)

    def name_values(self) -> None:
        """Values are called after their layers, as attributes are."""
        for step in self.group.template.steps:
            form = next(iter(step.members))
            segment = self.group.template.forms[form]
            for value in step.makes:
                value.layer = value.layer.removeprefix(segment.prefix).removesuffix(segment.suffix)

    def setup(self, block: Block) -> list[str]:
        """Arguments that are used, local variables, and what `forward` reads of them."""
        used = [*code_texts(block), *self.scope.conditions.values(), *self.scope.stored]
        used += [named.text for named in self.scope.names]
        words = set(re.findall(r"\w+", " ".join(used)))
        arguments = [declared(named, True) for named in self.scope.arguments() if named.name in words]
        block.arguments = sorted(arguments, key=lambda item: item.default is not None)
        lines = [f"{named.name} = {named.text}" for named in self.scope.names if named.text and named.name in words]
        lines += [f"self.{name} = {text}" for name, text in self.scope.conditions.items()]
        return lines + [f"self.{n.name} = {n.name}" for n in self.scope.names if n.name in self.scope.stored]

    def summary(self) -> str:
        """Shapes with the names of parameters where instances differ."""
        sides = []
        for which in ("inputs", "outputs"):
            columns = list(zip(*(getattr(segment, which) for segment in self.group.segments), strict=True))
            sides.append(", ".join(self.shape_text(tensors) for tensors in columns))
        return " -> ".join(sides) + "."

    def shape_text(self, tensors: tuple[Value, ...]) -> str:
        """`(N, in_channels, *, *)`."""
        order = self.layouts.get(tensors[0], tuple(range(tensors[0].rank)))
        sizes = []
        for axis in order:
            column = tuple(tensor.shape[axis] if axis < tensor.rank else None for tensor in tensors)
            if axis == 0:
                sizes.append("N")
            elif None not in column and constant(column):
                sizes.append(str(column[0]))
            else:
                text = self.scope.express(column, "channels") if axis == tensors[0].rank - 1 else None
                sizes.append(text if text and "if" not in text else "*")
        return f"({', '.join(sizes)})"

    def instances(self, block: Block, modules: dict[int, Module | Parameter]) -> list[Instance]:
        """Each segment with its arguments."""
        found = []
        names = {argument.name for argument in block.arguments}
        for k, (segment, form) in enumerate(zip(self.group.segments, self.group.forms, strict=True)):
            template = self.group.template
            own = {value: i for i, value in enumerate(template.forms[form].made())}
            made = segment.made()
            there = [*template.inputs, *(v for step in template.steps if form in step.members for v in step.makes)]
            mapped = {value: made[own[template.of[form][value]]] for value in there}
            arguments = {n.name: n.given[k] for n in self.scope.arguments() if n.name in names}
            found.append(Instance(block, segment, self.owned_by(k, modules), mapped, arguments))
        return found

    def owned_by(self, k: int, modules: dict[int, Module | Parameter]) -> dict[Module | Parameter, Module | Parameter]:
        """Module of the class -> module of the k-th instance."""
        pairs: dict[Module | Parameter, Module | Parameter] = {}
        for ops in self.ops:
            first, own = next(op for op in ops if op is not None), ops[k]
            if own is not None:
                pairs |= {modules[id(a)]: b for a, b in zip(owned(first), owned(own), strict=True)}
        return pairs


def rename_parts(block: Block) -> None:
    """What lies in an `nn.Sequential` is named after its position; a container that has no name gets one."""
    tops = list(block.modules())
    taken = {module.name for module in tops} | {item.name for item in block.parameters()}
    names = Namespace(RESERVED | taken, separator="")
    for op in block.all_ops():
        module = op.target
        if not isinstance(module, Module) or module not in tops:
            continue
        parts = [arg for arg in module.args if isinstance(arg, Module)]
        if parts or not module.name:
            words = {re.split(r"_|(?<=\D)\d+$", part.name)[0] for part in parts if part.name}
            kind = str(module.call).rpartition(".")[2].lower()
            wish = words.pop() if len(words) == 1 else "shortcut" if parts and op.args[0] in block.inputs else kind
            module.name = names.claim(wish)
        for number, part in enumerate(parts):
            part.name = f"{module.name}.{number}"
        tops.remove(module)


@dataclass
class Substitution:
    """Replaces the values, parameters and constants in the arguments of an operation."""

    builder: ClassBuilder
    number: int
    reads: Iterator[Value]
    modules: dict[int, Module | Parameter] = field(default_factory=dict)

    def structure(self, place: Slot, item: Any) -> Any:
        """Nested arguments."""
        known = self.builder.texts.get((self.number, place))
        if known is not None and not isinstance(item, Value | Parameter):
            return Code(known)
        if isinstance(item, dict):
            return {name: self.structure((*place, name), value) for name, value in item.items()}
        if isinstance(item, list | tuple):
            return type(item)(self.structure((*place, i), value) for i, value in enumerate(item))
        if isinstance(item, Value):
            return next(self.reads)
        if isinstance(item, Parameter):
            return self.builder.parameter(self.number, place, item, self.modules)
        if hasattr(item, "value") and isinstance(item.value, Value):
            return replace(item, value=next(self.reads))
        return item


def rebuild(outputs: Any, made: Iterator[Value]) -> Any:
    """The nesting of `outputs` with new values."""
    if isinstance(outputs, list | tuple):
        return type(outputs)(rebuild(item, made) for item in outputs)
    return next(made) if isinstance(outputs, Value) else outputs


def code_texts(block: Block) -> Iterator[str]:
    """Every expression in the class."""
    for module in block.modules():
        for inner in module.tree():
            yield inner.condition
            yield from (leaf.text for leaf in leaves((inner.args, inner.kwargs)) if isinstance(leaf, Code))
    for parameter in block.parameters():
        yield from (size.text for size in parameter.sizes if isinstance(size, Code))
