"""Instances in a row: a container, filled by loops over a small table where they are regular."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from k2t.lower.names import Namespace
from k2t.program import Argument, Block, Code, Module
from k2t.recover.express import MISSING, Column, Scope, constant, fits, text_of
from k2t.recover.instances import Instance

CARRIED = "in_channels"
REGULAR = 5  # instances, at least, for a loop over a table or with a first one that differs
INDENT = "    "
CONTAINER = "{}"  # stands for the container in statements
TOTALS = range(2, 200)  # blocks over which a rate may grow


@dataclass
class Stage:
    """Instances of one class behind each other, and the one of another class before them.

    Attributes:
        items: of the class that repeats.
        lead: what makes their input, or None.
    """

    items: list[Instance]
    lead: Instance | None = None

    def all(self) -> list[Instance]:
        """In order."""
        return [self.lead, *self.items] if self.lead else self.items


@dataclass
class Loop:
    """The statements that fill a container.

    Attributes:
        lines: with `CONTAINER` for its name.
        paths: where each instance is in it.
        items: all instances in one expression, "" where that takes statements.
    """

    lines: list[str]
    paths: list[str]
    nested: bool = False
    items: str = ""


def container(instances: Sequence[Instance], taken: Namespace, calls: Sequence[Module]) -> tuple[Module, list[str]]:
    """A module that holds the instances in order, and where each is in it."""
    loop = Rows(instances).loop()
    name = taken.claim("stages" if loop is not None and loop.nested else "blocks")
    made = Module("nn.Sequential", tuple(calls), name=name)
    if loop is None or len(loop.lines) >= len(instances):
        return made, [str(i) for i in range(len(instances))]
    made.args = (Code(loop.items),) if loop.items else ()
    made.building = [] if loop.items else [line.replace(CONTAINER, f"self.{name}") for line in loop.lines]
    made.parts = list(dict.fromkeys(instance.block for instance in instances))
    return made, loop.paths


def lengths(instances: Sequence[Instance]) -> list[int]:
    """How many of these, in order, are in each container: all in one, or those of a class if loops fill it then."""
    if len(instances) < 2:
        return [1]
    whole = [list(instances)]
    by_class = [list(same) for _, same in itertools.groupby(instances, key=lambda instance: instance.block)]
    peeled = [part for same in by_class for part in whole_or_without_last(same)]
    return [len(part) for part in min((whole, by_class, peeled), key=lambda parts: sum(map(lines, parts)))]


def whole_or_without_last(instances: list[Instance]) -> list[list[Instance]]:
    """The last one alone, where the others follow a rule that it does not."""
    parts = [instances[:-1], instances[-1:]]
    return parts if len(instances) > 3 and sum(map(lines, parts)) < lines(instances) else [instances]


def lines(instances: Sequence[Instance]) -> int:
    """Lines of the container, or of the only one."""
    loop = Rows(instances).loop()
    listed = len(instances) + 2 * (len(instances) > 1)
    return listed if loop is None else min(listed, 1 + sum(1 + line.count("\n") for line in loop.lines))


def split(instances: Sequence[Instance]) -> list[Stage] | None:
    """The stages: a new one begins where the resolution or the width changes; None where there is no such order."""
    counts: dict[Block, int] = {}
    for instance in instances:
        counts[instance.block] = counts.get(instance.block, 0) + 1
    repeated = max(counts, key=lambda block: counts[block])
    stages: list[Stage] = []
    lead: Instance | None = None
    for instance in instances:
        if instance.block is not repeated:
            if lead is not None:
                return None
            lead = instance
        elif lead is not None or not stages or begins(stages[-1], instance):
            stages.append(Stage([instance], lead))
            lead = None
        else:
            stages[-1].items.append(instance)
    return stages if lead is None else None


def begins(stage: Stage, instance: Instance) -> bool:
    """Whether the instance belongs to another stage."""
    last = stage.items[-1]
    before, after = last.output, instance.output
    if before.shape[1:-1] != after.shape[1:-1]:
        return True
    widths = [item.output.shape[-1] for item in stage.items]
    grows = after.shape[-1] != before.shape[-1]
    return grows and not (growing(instance) and len(set(widths)) == len(widths))


def growing(instance: Instance) -> bool:
    """Whether the class adds to the channels that come in."""
    return any(op.target == "torch.cat" for op in instance.block.ops)


class Rows:
    """Writes the loops for the instances of one container.

    Attributes:
        carries: whether `in_channels` goes from one instance to the next.
        offset: how many blocks of other containers are before the first, where a rate grows with the depth.
        later: statements behind the first instance of a stage.
    """

    def __init__(self, instances: Sequence[Instance]) -> None:
        self.instances = list(instances)
        self.scope = Scope()
        self.carries = False
        self.offset = 0
        self.later: list[str] = []

    def loop(self) -> Loop | None:
        """The loops, or None where the instances follow no rule."""
        stages = split(self.instances) if len(self.instances) > 2 else None
        if stages is None:
            return None
        self.stages = stages
        depths = tuple(len(stage.items) for stage in stages)
        firsts = [stage.items[0] for stage in stages]
        leads = [stage.lead for stage in stages]
        with_lead = [number for number, lead in enumerate(leads) if lead is not None]
        if with_lead and with_lead not in (list(range(len(stages))), list(range(1, len(stages)))):
            return None
        self.depth = self.scope.express(depths, "depth")
        body = self.item_arguments(firsts)
        if body is None or (len(self.instances) < REGULAR and (len(stages) > 1 or any("i == 0" in t for t in body))):
            return None
        lead_call = None
        if with_lead:
            lead_call = self.arguments([lead for lead in leads], with_lead)
            if lead_call is None:
                return None
        if not constant(depths):
            self.scope.add("depth", "depth", depths)
        return self.write(depths, body, lead_call, with_lead)

    def item_arguments(self, firsts: Sequence[Instance]) -> list[str] | None:
        """The arguments of the class that repeats, as the inner loop writes them."""
        texts = []
        for argument in firsts[0].block.arguments:
            first = tuple(stage.items[0].arguments[argument.name] for stage in self.stages)
            rest = [value_of([item.arguments[argument.name] for item in stage.items[1:]]) for stage in self.stages]
            if argument.name == CARRIED and self.is_carried(self.stages):
                self.carries = True
                text: str | None = CARRIED
            elif None in rest:
                text = self.progression(argument.name)
            else:
                text = self.first_and_rest(argument.name, first, tuple(value[0] for value in rest if value))
            if text is None:
                return None
            texts.append((argument, text))
        return written(texts)

    def first_and_rest(self, name: str, first: Column, rest: Column) -> str | None:
        """An argument that may differ for the first block of a stage."""
        both = tuple(b if a is MISSING else a for a, b in zip(first, rest, strict=True))
        if fits(first, both) and fits(rest, both):
            return self.column(name, both)
        kind = "channels" if name.endswith("channels") else "spatial"
        other = self.scope.express(rest, kind) or self.column(name, rest)
        begin = self.column(name, first)
        if begin == "True" and other == "False":
            return "i == 0"
        if begin == "False" and other == "True":
            return "i > 0"
        changed = {line.partition(" = ")[0] for line in self.later}
        if begin in {named.name for named in self.scope.names} and changed.isdisjoint(re.findall(r"\w+", other)):
            self.later.append(f"{begin} = {other}")
            return begin
        return f"{begin} if i == 0 else {other}"

    def column(self, name: str, values: Column) -> str:
        """A constant, an expression of the columns so far, or a new column of the table."""
        known = [value for value in values if value is not MISSING]
        if not known:
            return "None"
        kind = "channels" if name.endswith("channels") else "spatial" if type(known[0]) is int else ""
        text = self.scope.express(values, kind) if constant(values) or kind == "channels" else None
        text = text or next((n.name for n in self.scope.names if n.name == name and fits(values, n.column)), None)
        return text or self.scope.add("channels" if name == "out_channels" else name, kind, values)

    def progression(self, name: str) -> str | None:
        """`0.2 * n / 16`: a rate that grows with the depth."""
        found = [instance.arguments.get(name, MISSING) for instance in self.instances]
        known = [(i, value) for i, value in enumerate(found) if value is not MISSING]
        if len(known) < 2 or not all(isinstance(value, float) for _, value in known):
            return None
        (first, low), (last, high) = known[0], known[-1]
        step = (high - low) / (last - first)
        if not step:
            return None
        self.offset = round(low / step) - first
        for total in (len(found), len(found) - 1, *TOTALS):
            rate = round(step * total, 6)
            if all(rate * (i + self.offset) / total == value for i, value in known) and rate == round(rate, 2):
                return f"{rate!r} * n / {total}"
        return None

    def is_carried(self, stages: Sequence[Stage]) -> bool:
        """Whether each instance takes the channels that the one before it makes."""
        items = [item for stage in stages for item in stage.all()]
        pairs = itertools.pairwise(items)
        return all(b.arguments.get(CARRIED, a.output.shape[-1]) == a.output.shape[-1] for a, b in pairs)

    def arguments(self, leads: Sequence[Instance | None], present: Sequence[int]) -> list[str] | None:
        """The arguments of what leads a stage."""
        texts = []
        block = next(lead.block for lead in leads if lead)
        for argument in block.arguments:
            values = tuple(lead.arguments[argument.name] if lead else MISSING for lead in leads)
            kind = "channels" if argument.name.endswith("channels") else ""
            text = self.scope.express(values, kind)
            if text is None and argument.name == CARRIED and self.is_carried(self.stages):
                self.carries = True
                text = CARRIED
            text = text or self.column(argument.name, values)
            texts.append((argument, text))
        return written(texts)

    def write(self, depths: Column, body: list[str], lead: list[str] | None, with_lead: Sequence[int]) -> Loop | None:
        """All statements."""
        stages = self.stages
        items = [item for stage in stages for item in stage.items]
        deep = any(depth > 1 for depth in depths)
        nested = len(stages) > 1 and (deep or lead is not None)
        target = "stage" if nested else CONTAINER
        made = f"{items[0].block.name}({', '.join(body)})"
        growth = self.growth(items)
        first = self.lead_lines(target, lead, with_lead) if lead is not None else []
        if growth is None or first is None:
            return None
        indexed = any(" n / " in text for text in body)
        changes = [*growth, *self.later, *["n += 1"] * indexed]
        counter = "i" if any("i == 0" in text or "i > 0" in text for text in body) else "_"
        times = f"for {counter} in range({depths[0] if constant(depths) else 'depth'})"
        lines = [f"{target}.append({made})", *changes]
        lines = [*first, *([f"{times}:", *indent(lines)] if deep or len(stages) == 1 else lines)]
        if nested:
            lines = ["stage = nn.Sequential()", *lines, f"{CONTAINER}.append(stage)"]
        if len(stages) > 1:
            lines = [self.table(depths), *indent(lines)]
        start = [f"{CARRIED} = {self.instances[0].arguments.get(CARRIED, 0)}"] * self.carries
        start += [f"n = {self.offset}"] * indexed
        alone = len(stages) == 1 and not (first or changes or start)
        return Loop(grouped([*start, *lines]), self.paths(nested), nested, f"*({made} {times})" * alone)

    def lead_lines(self, target: str, arguments: list[str], with_lead: Sequence[int]) -> list[str] | None:
        """The statements for what leads a stage, perhaps every stage but the first."""
        leads = [stage.lead for stage in self.stages if stage.lead]
        change = self.growth(leads) if self.carries else []
        if change is None:
            return None
        lines = [f"{target}.append({leads[0].block.name}({', '.join(arguments)}))", *change]
        return lines if len(with_lead) == len(self.stages) else [f"if {CONTAINER}:", *indent(lines)]

    def growth(self, items: Sequence[Instance]) -> list[str] | None:
        """How the channels change behind one of these."""
        if not self.carries:
            return []
        of_stage = {id(item): number for number, stage in enumerate(self.stages) for item in stage.all()}
        rows: list[object] = [MISSING] * len(self.stages)
        for item in items:
            number = of_stage[id(item)]
            width = item.output.shape[-1]
            if rows[number] not in (MISSING, width):
                rows = []
                break
            rows[number] = width
        text = self.scope.express(tuple(rows), "channels") if rows else None
        if text is None:
            given = Scope()
            given.add(
                CARRIED, "channels", tuple(item.arguments[CARRIED] for item in items if CARRIED in item.arguments)
            )
            made = tuple(item.output.shape[-1] for item in items)
            if not given.names or len(given.names[0].column) != len(made):
                return None
            text = given.express(made, "channels")
        if text is None:
            return None
        sign = next((sign for sign in ("+", "//", "*") if text.startswith(f"{CARRIED} {sign} ")), None)
        if sign:
            return [f"{CARRIED} {sign}= {text.removeprefix(f'{CARRIED} {sign} ')}"]
        return [] if text == CARRIED else [f"{CARRIED} = {text}"]

    def table(self, depths: Column) -> str:
        """`for channels, depth in ((64, 3), …):`."""
        columns = sorted(self.scope.names, key=lambda named: (named.kind != "channels", named.kind != "depth"))
        if not columns:
            return f"for _ in range({len(depths)}):"
        names = ", ".join(named.name for named in columns)
        rows = list(zip(*(named.column for named in columns), strict=True))
        if len(columns) == 1:
            return f"for {names} in ({', '.join(text_of(row[0]) for row in rows)}):"
        return f"for {names} in ({', '.join('(' + ', '.join(map(text_of, row)) + ')' for row in rows)}):"

    def paths(self, nested: bool) -> list[str]:
        """Where each instance is."""
        found: list[str] = []
        for number, stage in enumerate(self.stages):
            for position in range(len(stage.all())):
                found.append(f"{number}.{position}" if nested else str(len(found)))
        return found


def value_of(found: Sequence[object]) -> tuple[object] | None:
    """The one value of several, MISSING where none has one, None where they differ."""
    known = [value for value in found if value is not MISSING]
    if not known:
        return (MISSING,)
    return (known[0],) if constant(tuple(known)) else None


def written(texts: Sequence[tuple[Argument, str]]) -> list[str]:
    """The arguments of a call: by position, by name behind one that has its default."""
    found: list[str] = []
    skipped = False
    for argument, text in texts:
        if text == argument.default:
            skipped = True
        else:
            found.append(f"{argument.name}={text}" if skipped else text)
    return found


def indent(lines: Sequence[str]) -> list[str]:
    """One level deeper."""
    return [INDENT + line for line in lines]


def grouped(lines: Sequence[str]) -> list[str]:
    """Lines as whole statements: what is indented belongs to the line before it."""
    found: list[str] = []
    for line in lines:
        if line.startswith(INDENT):
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found
