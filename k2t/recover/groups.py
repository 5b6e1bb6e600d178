"""Which pieces become instances of one class, and whether that is worth a class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from k2t.program import Module, Op
from k2t.recover.align import Template, merge, template_of
from k2t.recover.forms import Segment
from k2t.recover.instances import Group
from k2t.recover.split import Splitter, heavy

OVERHEAD = 8  # lines of a class that hold no layer
MOST_FORMS = 12
SHORTEST = 3  # operations of a class


def choose(splitter: Splitter) -> list[Group]:
    """The groups that save the most lines, best first; they do not overlap."""
    chosen: list[Group] = []
    while True:
        options = [groups_of(segments) for segments in splitter.candidates()]
        best = max(options, key=total, default=[])
        if total(best) <= 0:
            return chosen
        for group in best:
            absorb(group, splitter)
            chosen.append(group)
            for segment in group.segments:
                splitter.taken.update(range(segment.start, segment.stop))


def total(groups: Iterable[Group]) -> float:
    """Lines that these classes save."""
    return sum(saving(group) for group in groups)


def saving(group: Group) -> float:
    """Lines that the class saves, roughly."""
    written = sum(lines(segment.ops) for segment in group.segments)
    members = [next(iter(step.members.values())) for step in group.template.steps]
    optional = sum(step.bypass is not None for step in group.template.steps)
    return written - lines(members) - optional - OVERHEAD - len(group.segments) / 2


def lines(ops: Iterable[Op]) -> float:
    """How long these operations are as code, roughly."""
    ops = list(ops)
    return len({op.target for op in ops if isinstance(op.target, Module)}) + len(ops) / 2


def groups_of(segments: list[Segment]) -> list[Group]:
    """Segments that can be instances of one class, where that saves something."""
    forms: dict[Hashable, list[Segment]] = defaultdict(list)
    for segment in segments:
        if len(segment.ops) >= SHORTEST and heavy(segment.ops):
            forms[segment.form].append(segment)
    templates: list[tuple[Template, list[list[Segment]]]] = []
    for own in sorted(forms.values(), key=lambda own: -len(own))[:MOST_FORMS]:
        for i, (template, members) in enumerate(templates):
            merged = merge(template, own[0])
            if merged is not None:
                templates[i] = merged, [*members, own]
                break
        else:
            templates.append((template_of(own[0]), [own]))
    groups = [group_of(template, members) for template, members in templates]
    return [group for group in groups if len(group.segments) > 1 and saving(group) > 0]


def group_of(template: Template, members: list[list[Segment]]) -> Group:
    """The segments in the order of the model, each with its form."""
    pairs = sorted(
        ((segment.start, form, segment) for form, own in enumerate(members) for segment in own), key=lambda p: p[0]
    )
    return Group(template, [segment for _, _, segment in pairs], [form for _, form, _ in pairs])


def absorb(group: Group, splitter: Splitter) -> None:
    """Take in a piece beside the group that fits the class, too: a first block with less in it."""
    for segment in splitter.beside(group.segments):
        merged = merge(group.template, segment)
        if merged is not None and not any(
            step.bypass is not None and len(step.members) == 1 and len(merged.forms) - 1 in step.members
            for step in merged.steps
        ):
            group.template = merged
            group.segments.insert(0, segment)
            group.forms.insert(0, len(merged.forms) - 1)
            return
