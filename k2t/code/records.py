"""Named tuples and dataclasses: objects of the code whose class declares their fields."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from k2t.code.objects import Thing
from k2t.rules.custom.objects import CustomClass

RECORD_METHODS = frozenset({"_asdict", "_replace"})


def record_class(name: str, fields: str | Sequence[str], defaults: Sequence[Any] = ()) -> CustomClass:
    """`namedtuple(name, fields, defaults=defaults)`: a class that declares its fields."""
    words = fields.replace(",", " ").split() if isinstance(fields, str) else list(fields)
    body: list[ast.stmt] = [ast.AnnAssign(ast.Name(word), ast.Constant(None), None, 1) for word in words]
    made = CustomClass(ast.ClassDef(name, [], [], body, []), [], {})
    set_defaults(made, defaults)
    return made


def set_defaults(kind: CustomClass, defaults: Sequence[Any]) -> None:
    """Values of the last fields."""
    fields = fields_of(kind)
    kind.attributes |= dict(zip(fields[len(fields) - len(defaults) :], defaults, strict=False))


def fields_of(kind: CustomClass) -> list[str]:
    """The names that a class declares."""
    items = [item for one in reversed(list(kind.lineage())) for item in one.node.body]
    targets = [item.target for item in items if isinstance(item, ast.AnnAssign)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def values_of(thing: Thing) -> dict[str, Any]:
    """Field -> its value, which may be the default of the class."""
    defaults = {key: item for one in reversed(list(thing.kind.lineage())) for key, item in one.attributes.items()}
    known = {**defaults, **thing.attributes}
    return {name: known[name] for name in fields_of(thing.kind)}


def record_method(thing: Thing, name: str, changes: dict[str, Any]) -> Any:
    """`record._asdict()`, or `record._replace(field=value)`."""
    return values_of(thing) if name == "_asdict" else Thing(thing.kind, {**thing.attributes, **changes})
