"""What `self.add_weight(…)` of the code makes: a parameter of the class."""

from __future__ import annotations

from typing import Any

from k2t.code.custom import as_option
from k2t.emit.classes import FILLED
from k2t.program import Parameter, Variable, Weight
from k2t.read.eras import Era
from k2t.rules.builder import identity
from k2t.rules.initializers import fans_of, initializer
from k2t.symbols import Symbolic, code_of, number

# The positional arguments: Keras 2 begins with the name, Keras 3 with the shape.
NAMED = ("name", "shape", "dtype", "initializer", "regularizer", "trainable")
SHAPED = ("shape", "initializer", "dtype", "trainable")


def new_weight(args: list[Any], kwargs: dict[str, Any], era: Era) -> Parameter:
    """The parameter; `sizes` are those of its shape as the code has them."""
    names = NAMED if args and (args[0] is None or isinstance(args[0], str)) else SHAPED
    given = dict(zip(names, args, strict=False)) | kwargs
    shape = given.get("shape") or ()
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    plain = tuple(map(number, sizes))
    start = initializer(as_option(given.get("initializer") or "glorot_uniform", era))
    trainable = given.get("trainable") is not False
    name = str(given.get("name") or "variable")
    variable = Variable(name, name, (), plain, trainable, "float32", initializer=start, fans=fans_of(plain))
    return Parameter(Weight((variable,), identity, trainable=trainable), plain, sizes=sizes)


def first_values(parameter: Parameter) -> tuple[str, tuple[Any, ...]]:
    """The function of torch that makes its first values, and the arguments."""
    (variable,) = parameter.weight.variables
    start = variable.initializer.values[0] if variable.initializer and variable.initializer.kind == "constant" else None
    if not isinstance(start, Symbolic) and start in FILLED:
        return FILLED[start], parameter.sizes or ((),)
    return "torch.full", (parameter.sizes, start)


def constructor_argument(parameter: Parameter) -> str:
    """What `nn.Parameter` is called with, as it is written."""
    function, args = first_values(parameter)
    codes = [code_of(arg) if not isinstance(arg, tuple) else tuple_code(arg) for arg in args]
    return f"{function}({', '.join(codes)})"


def tuple_code(items: tuple[Any, ...]) -> str:
    """A tuple as it is written."""
    return f"({''.join(f'{code_of(item)}, ' for item in items)})"
