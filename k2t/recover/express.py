"""From columns of constants, one entry for each instance, to parameters of a class and expressions of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from k2t.program import Argument, Code

MISSING = object()  # the instance has no such operation: any value will do
Column = tuple[Any, ...]
FACTORS = range(2, 65)


def constant(column: Column) -> bool:
    """Whether all instances that have a value have the same."""
    known = [value for value in column if value is not MISSING]
    return all(value == known[0] and type(value) is type(known[0]) for value in known)


def fits(column: Column, made: Column) -> bool:
    """Whether `made` is `column` wherever that says something; 1 is not True."""
    return all(
        want is MISSING or (got == want and type(got) is type(want)) for want, got in zip(column, made, strict=True)
    )


def text_of(value: Any) -> str:
    """A constant as it is written."""
    if isinstance(value, str):
        return '"' + value + '"'
    return getattr(value, "text", None) or repr(value)


@dataclass
class Named:
    """A parameter or local variable of a constructor.

    Attributes:
        kind: `channels`, `spatial`, or the type of its values: only the like are computed from each other.
        given: its value for each instance, MISSING for those that do not care.
        text: the expression of a local variable, "" for a parameter.
    """

    name: str
    kind: str
    given: Column
    text: str = ""

    @cached_property
    def column(self) -> Column:
        """A value for each instance; for one that does not care the most frequent."""
        usual = Counter(value for value in self.given if value is not MISSING).most_common(1)[0][0]
        return tuple(usual if value is MISSING else value for value in self.given)


@dataclass
class Scope:
    """What a constructor knows, and what it is to be given.

    Attributes:
        stored: names that `forward` reads.
        conditions: attribute -> the condition that it keeps.
    """

    names: list[Named] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    conditions: dict[str, str] = field(default_factory=dict)

    def attribute(self, text: str) -> str:
        """The expression as `forward` writes it, with the attributes that keep what it needs."""
        known = {named.name for named in self.names} & set(re.findall(r"[A-Za-z_]\w*", text))
        self.stored |= known
        return re.sub(r"[A-Za-z_]\w*", lambda match: f"self.{match[0]}" if match[0] in known else match[0], text)

    def add(self, wish: str, kind: str, column: Column, text: str = "") -> str:
        """A new parameter, or local variable where there is a text."""
        taken = {named.name for named in self.names}
        name = next(name for name in (wish, *(f"{wish}{i}" for i in FACTORS)) if name not in taken)
        self.names.append(Named(name, kind, column, text))
        return name

    def arguments(self) -> list[Named]:
        """The parameters."""
        return [named for named in self.names if not named.text]

    def express(self, column: Column, kind: str) -> str | None:
        """The column as an expression of what is known, None where that needs a parameter more."""
        known = [value for value in column if value is not MISSING]
        if constant(column):
            return text_of(known[0]) if known else "None"
        for named in self.names:
            if fits(column, named.column):
                return named.name
        if all(type(value) is bool for value in known):
            return self.condition(column, kind)
        if all(isinstance(value, tuple) for value in known):
            return self.tuple(column, kind)
        if not all(type(value) is int for value in known):
            return None
        for factor in (named for named in self.names if named.kind == "factor"):
            for named in self.names:
                if named.kind == kind == "channels" and not named.text:
                    made = tuple(a * b for a, b in zip(factor.column, named.column, strict=True))
                    if fits(column, made):
                        return f"{factor.name} * {named.name}"
        related = [named for named in self.names if named.kind == kind and all(type(v) is int for v in named.column)]
        return next((text for named in related for text in arithmetic(column, named)), None) or self.choice(column)

    def tuple(self, column: Column, kind: str) -> str | None:
        """Tuples of one length, item by item."""
        sizes = {len(value) for value in column if value is not MISSING}
        if len(sizes) != 1:
            return None
        items = []
        for index in range(sizes.pop()):
            item = tuple(value if value is MISSING else value[index] for value in column)
            items.append(self.express(item, kind))
        half = len(items) // 2
        if None in items:
            return None
        if len(items) == 4 and items[:half] == items[half:]:
            return f"({', '.join(map(str, items[:half]))}) * 2"
        return f"({', '.join(map(str, items))},)" if len(items) == 1 else f"({', '.join(map(str, items))})"

    def choice(self, column: Column) -> str | None:
        """`0 if stride == 2 else kernel_size // 2`, `1 if first else 2`."""
        for named in (named for named in self.names if named.kind != "channels"):
            for value, _ in Counter(named.column).most_common():
                inside = tuple(v if own == value else MISSING for v, own in zip(column, named.column, strict=True))
                outside = tuple(MISSING if own == value else v for v, own in zip(column, named.column, strict=True))
                if not constant(inside) or set(inside) == {MISSING} or set(outside) == {MISSING}:
                    continue
                other = self.simple(outside)
                if other is not None:
                    return f"{self.express(inside, '')} if {compare(named.name, value, '==')} else {other}"
        return None

    def simple(self, column: Column) -> str | None:
        """A constant, or an expression of one parameter."""
        if constant(column):
            return text_of(next(value for value in column if value is not MISSING))
        for named in self.names:
            if fits(column, named.column):
                return named.name
            if named.kind == "spatial" and all(type(value) is int for value in named.column):
                for text in arithmetic(column, named):
                    return text
        return None

    def condition(self, column: Column, kind: str) -> str | None:
        """A column of booleans: one of them, or a comparison, of names of this kind first."""
        for named in self.names:
            flags = all(type(value) is bool for value in named.column)
            if flags and fits(column, tuple(not value for value in named.column)):
                return f"not {named.name}"
        if text := self.comparison(column, lambda named: named.kind == kind):
            return text
        sizes = [named for named in self.names if named.kind == "channels"]
        for i, first in enumerate(sizes):
            for second in sizes[i + 1 :]:
                same = tuple(a == b for a, b in zip(first.column, second.column, strict=True))
                for made, sign in ((same, "=="), (tuple(not value for value in same), "!=")):
                    if fits(column, made):
                        return f"{first.name} {sign} {second.name}"
        return self.comparison(column, lambda named: named.kind != "channels")

    def comparison(self, column: Column, usable: Callable[[Named], bool]) -> str | None:
        """Whether a name of these has one value."""
        return next((text for named in filter(usable, self.names) if (text := comparison(column, named))), None)


def comparison(column: Column, named: Named) -> str | None:
    """`stride > 1`, `mode == "same"`."""
    for value in dict.fromkeys(named.column):
        same = tuple(own == value for own in named.column)
        if fits(column, same):
            return compare(named.name, value, "==")
        if fits(column, tuple(not item for item in same)):
            return compare(named.name, value, "!=")
    return None


def compare(name: str, value: Any, sign: str) -> str:
    """A comparison as a person writes it."""
    if value is True or value is False:
        return name if value is (sign == "==") else f"not {name}"
    if value is None:
        return f"{name} is {'' if sign == '==' else 'not '}None"
    return f"{name} {sign} {text_of(value)}"


def arithmetic(column: Column, named: Named) -> Iterator[str]:
    """Integer multiples, parts and sums of a name that make the column."""
    pairs = [(value, own) for value, own in zip(column, named.column, strict=True) if value is not MISSING]
    value, own = pairs[0]
    if own and value % own == 0 and all(v == value // own * o for v, o in pairs):
        yield f"{value // own} * {named.name}"
    if value and own % value == 0 and all(v * (own // value) == o for v, o in pairs):
        yield f"{named.name} // {own // value}"
    if named.kind == "spatial":
        for shift in (0, -1):
            if all(v == o // 2 + shift for v, o in pairs):
                yield f"{named.name} // 2{' - 1' if shift else ''}"
    if len({v for v, _ in pairs}) > 2 and all(v - o == value - own for v, o in pairs):
        yield f"{named.name} {'+' if value > own else '-'} {abs(value - own)}"


def declared(named: Named, defaults: bool) -> Argument:
    """A parameter as it is declared; the value that most instances have is the default."""
    known = [value for value in named.given if value is not MISSING]
    value, count = Counter(known).most_common(1)[0]
    usual = defaults and named.kind != "channels" and count * 2 >= len(known)
    return Argument(named.name, annotation(named.column), text_of(value) if usual else None)


def annotation(column: Column) -> str:
    """The type of the values."""
    types = {annotation_of(value) for value in column}
    if types == {"int", "float"}:
        return "float"
    return " | ".join(sorted(types - {"None"}) + sorted(types & {"None"}))


def annotation_of(value: Any) -> str:
    """The type of one value."""
    if isinstance(value, tuple):
        inner = {annotation_of(item) for item in value}
        return f"tuple[{', '.join([inner.pop()] * len(value))}]" if len(inner) == 1 else "tuple[float, ...]"
    if isinstance(value, Code):
        return "Callable[[Tensor], Tensor]"
    return "None" if value is None else type(value).__name__
