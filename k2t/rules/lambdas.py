"""Lambda layers: the expression of their function, as operations."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError, refusing
from k2t.graph import PythonFunction, map_structure
from k2t.program import Value, leaves
from k2t.rules.base import CUSTOM, rule
from k2t.rules.builder import Builder

WAYS_OUT = "give its source with --custom FILE, or write a rule for it"


@rule("Lambda")
def lambda_layer(
    b: Builder,
    x: Any,
    *,
    function: Any,
    output_shape: Any = None,
    mask: Any = None,
    arguments: dict[str, Any] | None = None,
    function_type: str | None = None,
    output_shape_type: str | None = None,
    module: str | None = None,
    output_shape_module: str | None = None,
) -> Any:
    """The operations of its function, recovered from the file without running it."""
    masks = map_structure(lambda item: item.mask if isinstance(item, Value) else None, x)
    output = traced(b, function, [x], arguments or {}, masks)
    if not any(isinstance(leaf, Value) for leaf in leaves(output)):
        raise UntranslatableError(f"its function returns no tensor; {WAYS_OUT}")
    if mask is not None and isinstance(output, Value):
        output.mask = traced(b, mask, [x, masks], {})
    return output


def traced(b: Builder, function: Any, args: list[Any], given: dict[str, Any], mask: Any = None) -> Any:
    """The result of calling a function of the file, or of the user's own file where this one has its name alone.

    Raises:
        UntranslatableError: it is not known, or does something that has no translation.
    """
    from k2t.rules.tracing.interpreter import Interpreter
    from k2t.rules.tracing.names import Closure

    custom = CUSTOM.get()
    extra: dict[str, Any] = {"mask": mask, "training": None} if len(args) == 1 else {}
    if callable(function):  # of the model's own code
        names = function.parameters()
        return function(b, *args, **{key: value for key, value in extra.items() if key in (names or ())[1:]}, **given)
    if isinstance(function, PythonFunction):
        if function.node is None:
            raise UntranslatableError(f"its function is no plain expression: {function.problem}; {WAYS_OUT}")
        closure = Closure(function.node, {**custom.names, **function.closure})
    else:
        name = str(function).rpartition(">")[2]
        found = custom.names.get(name)
        if not isinstance(found, Closure):
            raise UntranslatableError(f"the file holds only the name of its function, {name!r}; {WAYS_OUT}")
        closure = found
    names = closure.parameters()
    defaults = function.defaults if isinstance(function, PythonFunction) else ()
    known = dict(zip(names[len(names) - len(defaults) :], defaults, strict=False))
    given = {**known, **{key: value for key, value in extra.items() if key in names}, **given}
    given = {key: value for key, value in given.items() if key not in names[: len(args)]}
    with refusing("cannot be followed"):
        return Interpreter(b, {}).run(closure, args, given)
