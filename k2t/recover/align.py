"""Lays two segments over each other: which operations are the same, and which only one of them has.

An operation that one segment lacks is bypassed there: its result is one of the values that it reads. So a block with a
projection on its shortcut and one without are instances of one class.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from k2t.program import Module, Op, Parameter, Value, leaves, values
from k2t.recover.forms import Segment, kind_of
from k2t.recover.split import heavy

PATIENCE = 600  # steps of one search
LONGEST = 200  # operations
OPTIONAL = 4  # runs of operations that not every instance has, at most
DIFFERENT = 0.6  # of the operations may be missing on one side


@dataclass(eq=False)
class Step:
    """An operation of the class to be.

    Attributes:
        members: the operation in each form that has it.
        reads, makes: values of the class, in the order of `values`.
        bypass: of `reads`, what the result is where a form lacks the operation.
    """

    members: dict[int, Op]
    reads: tuple[Value, ...]
    makes: tuple[Value, ...]
    bypass: Value | None = None


@dataclass(eq=False)
class Template:
    """What several forms have in common.

    Attributes:
        forms: a segment of each form.
        inputs, outputs: values of the class.
        of: for each form, what each value of the class is in its segment.
    """

    forms: list[Segment]
    steps: list[Step]
    inputs: list[Value]
    outputs: list[Value]
    of: list[dict[Value, Value]]


def template_of(segment: Segment) -> Template:
    """A single form as a template."""
    own = {value: like(value) for value in segment.made()}
    steps = [
        Step(
            {0: op},
            tuple(own[value] for value in values((op.args, op.kwargs))),
            tuple(own[value] for value in values(op.outputs)),
        )
        for op in segment.ops
    ]
    made = {ours: theirs for theirs, ours in own.items()}
    return Template([segment], steps, [own[v] for v in segment.inputs], [own[v] for v in segment.outputs], [made])


@dataclass(frozen=True)
class State:
    """How far a search is.

    Attributes:
        pairs: (value on the left, value on the right) -> value of the class.
        path: the steps so far, last first, as nested pairs.
    """

    left: int
    right: int
    pairs: dict[tuple[Value, Value], Value]
    path: Any


def merge(template: Template, segment: Segment) -> Template | None:
    """The template with one more form, or None where they have too little in common."""
    if len(template.inputs) != len(segment.inputs) or len(template.outputs) != len(segment.outputs):
        return None
    if max(len(template.steps), len(segment.ops)) > LONGEST or repeats(segment):
        return None
    search = Search(template, segment)
    found = search.run()
    if found is None or not search.worthwhile(found):
        return None
    return search.merged(found)


def repeats(segment: Segment) -> bool:
    """Whether it calls a module twice: such segments are merged with their like only."""
    return any(
        count > 1 for count in Counter(op.target for op in segment.ops if isinstance(op.target, Module)).values()
    )


class Search:
    """Looks for the alignment with the fewest operations that one side lacks (A*)."""

    def __init__(self, template: Template, segment: Segment) -> None:
        self.template = template
        self.segment = segment
        self.kinds = (
            [kind_of(next(iter(step.members.values()))) for step in template.steps],
            [kind_of(op) for op in segment.ops],
        )
        self.behind = tuple(list(tails(kinds)) for kinds in self.kinds)

    def run(self) -> State | None:
        """The best alignment."""
        t, s = self.template, self.segment
        start = State(0, 0, {pair: like(pair[0]) for pair in zip(t.inputs, s.inputs, strict=True)}, None)
        queue = [(self.distance(0, 0), 0, 0.0, start)]
        most = min(len(t.steps), len(s.ops)) * DIFFERENT
        seen: set[Hashable] = set()
        count = itertools.count(1)
        for _ in range(PATIENCE):
            if not queue or queue[0][0] > most:
                return None
            _, _, cost, state = heapq.heappop(queue)
            if state.left == len(t.steps) and state.right == len(s.ops):
                if all(pair in state.pairs for pair in zip(t.outputs, s.outputs, strict=True)):
                    return state
                continue
            key = (state.left, state.right, frozenset(state.pairs))
            if key in seen:
                continue
            seen.add(key)
            for price, following in self.steps(state):
                total = cost + price
                estimate = total + self.distance(following.left, following.right)
                heapq.heappush(queue, (estimate, -next(count), total, following))
        return None

    def distance(self, left: int, right: int) -> float:
        """At least so many operations are missing on one side."""
        first, second = self.behind[0][left], self.behind[1][right]
        return sum(abs(first[kind] - second[kind]) for kind in first.keys() | second.keys())

    def steps(self, state: State) -> Iterator[tuple[float, State]]:
        """The states behind this one, each with its price."""
        i, j = state.left, state.right
        if i < len(self.template.steps):
            step = self.template.steps[i]
            sources = step.reads if step.bypass is None else (step.bypass,)
            yield from self.without(state, (step, None), step.reads, sources, step.makes)
        if j < len(self.segment.ops):
            op = self.segment.ops[j]
            read = tuple(values((op.args, op.kwargs)))
            yield from self.without(state, (None, op), read, read, tuple(values(op.outputs)))
        if i < len(self.template.steps) and j < len(self.segment.ops) and self.kinds[0][i] == self.kinds[1][j]:
            step, op = self.template.steps[i], self.segment.ops[j]
            pairs = list(zip(step.reads, values((op.args, op.kwargs)), strict=True))
            if all(pair in state.pairs for pair in pairs):
                made = {pair: like(pair[0]) for pair in zip(step.makes, values(op.outputs), strict=True)}
                reads = tuple(state.pairs[pair] for pair in pairs)
                done = (step, op, reads, tuple(made.values()), None)
                same = suffix(step, self.template) == op.layer.removeprefix(self.segment.prefix)
                yield (0 if same else 0.01), State(i + 1, j + 1, state.pairs | made, (done, state.path))

    def without(
        self,
        state: State,
        missing: tuple[Step | None, Op | None],
        read: tuple[Value, ...],
        sources: tuple[Value, ...],
        make: tuple[Value, ...],
    ) -> Iterator[tuple[float, State]]:
        """One side lacks this operation: for each of `sources`, as if that were its result."""
        step, op = missing
        owner = op or next(iter(step.members.values()) if step else iter(()))
        if any(isinstance(leaf, Parameter) for leaf in leaves((owner.args, owner.kwargs))):
            return  # a class has its parameters always
        side = 0 if step else 1
        latest = {pair[side]: value for pair, value in state.pairs.items()}
        if len(make) != 1 or not read or any(value not in latest for value in read):
            return
        for pair, bypass in list(state.pairs.items()):
            if pair[side] not in sources:
                continue
            reads = tuple(bypass if value is pair[side] else latest[value] for value in read)
            new = (make[0], pair[1]) if step else (pair[0], make[0])
            made = like(make[0])
            done = (step, op, reads, (made,), bypass)
            left, right = state.left + (step is not None), state.right + (op is not None)
            yield 1, State(left, right, state.pairs | {new: made}, (done, state.path))

    def worthwhile(self, found: State) -> bool:
        """Whether at least half of what has weights is in both."""
        both = either = 0
        for step, op, *_ in path_of(found):
            some = op or next(iter(step.members.values()))
            weighs = heavy([some])
            either += weighs
            both += weighs and step is not None and op is not None
        return both * 2 >= either and (both > 0 or either == 0) and self.optional_runs(found) <= OPTIONAL

    def optional_runs(self, found: State) -> int:
        """How many runs of operations some instances would lack."""
        count = len(self.template.forms)
        lacking = [
            tuple(sorted(step.members)) + (0,) * (op is None) if step else (-1,)
            for step, op, *_ in path_of(found)
            if step is None or op is None or len(step.members) < count
        ]
        places = [
            i
            for i, (step, op, *_) in enumerate(path_of(found))
            if step is None or op is None or len(step.members) < count
        ]
        starts = [
            k for k in range(len(places)) if not k or places[k] != places[k - 1] + 1 or lacking[k] != lacking[k - 1]
        ]
        return len(starts)

    def merged(self, found: State) -> Template:
        """The template that the alignment makes."""
        t, new = self.template, len(self.template.forms)
        steps = []
        for step, op, reads, makes, bypass in path_of(found):
            members = dict(step.members) if step else {}
            if op is not None:
                members[new] = op
            steps.append(Step(members, reads, makes, bypass))
            if step is not None and bypass is None and step.bypass is not None:
                steps[-1].bypass = reads[step.reads.index(step.bypass)]
        of = [{value: self.template.of[k][left] for (left, _), value in found.pairs.items()} for k in range(new)] + [
            {value: right for (_, right), value in found.pairs.items()}
        ]
        pairs = found.pairs
        return Template(
            [*t.forms, self.segment],
            steps,
            [pairs[pair] for pair in zip(t.inputs, self.segment.inputs, strict=True)],
            [pairs[pair] for pair in zip(t.outputs, self.segment.outputs, strict=True)],
            of,
        )


def tails(kinds: list[Hashable]) -> Iterator[Counter[Hashable]]:
    """How often each kind occurs from each position on."""
    found = [Counter[Hashable]()]
    for kind in reversed(kinds):
        found.append(found[-1] + Counter([kind]))
    return reversed(found)


def path_of(state: State) -> list[Any]:
    """The steps from the first to the last."""
    found, path = [], state.path
    while path is not None:
        done, path = path
        found.append(done)
    return found[::-1]


def suffix(step: Step, template: Template) -> str:
    """The name of a step within its segment."""
    form, op = next(iter(step.members.items()))
    return op.layer.removeprefix(template.forms[form].prefix)


def like(value: Value) -> Value:
    """A value of the class that stands for this one."""
    return Value(value.shape, value.dtype, layer=value.layer)
