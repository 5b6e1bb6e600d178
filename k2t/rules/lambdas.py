"""Lambda layers: the expression of their function, as operations."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import PythonFunction
from k2t.program import Value
from k2t.rules.base import rule
from k2t.rules.builder import Builder

WAYS_OUT = "pass its source with --custom FILE, or write a rule for it"


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
    if not isinstance(function, PythonFunction):
        raise UntranslatableError(f"the file holds only the name of its function, {function!r}; {WAYS_OUT}")
    if function.node is None:
        raise UntranslatableError(f"its function is no plain expression: {function.problem}; {WAYS_OUT}")
    return trace(b, function, x, arguments or {})


def trace(b: Builder, function: PythonFunction, x: Any, arguments: dict[str, Any]) -> Any:
    """The result of calling a recovered function.

    Raises:
        UntranslatableError: it does something that has no translation.
    """
    from k2t.rules.tracing.interpreter import Interpreter
    from k2t.rules.tracing.names import Closure

    node = function.node
    if node is None:
        raise UntranslatableError(function.problem)
    positional = [argument.arg for argument in node.args.args]
    defaults = dict(zip(positional[len(positional) - len(function.defaults) :], function.defaults, strict=True))
    given = {**{name: value for name, value in defaults.items() if name != positional[0]}, **arguments}
    output = Interpreter(b, {}).run(Closure(node, dict(function.closure)), [x], given)
    if not isinstance(output, Value | list | tuple):
        raise UntranslatableError(f"its function returns no tensor; {WAYS_OUT}")
    return output
