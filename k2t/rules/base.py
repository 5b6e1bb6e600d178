"""What a rule is: one function for one Keras layer, with the examples from which its tests are made.

The keyword-only parameters of a rule are the options of the Keras layer with today's defaults, in Keras's
order; so an option that the rule does not know is an error, and nothing is dropped unseen.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Layer
from k2t.program import Value
from k2t.rules.options import fits
from k2t.symbols import number

# These say how training starts or is penalised, nothing about what the layer computes.
TRAINING_SUFFIXES = ("_initializer", "_regularizer", "_constraint")
# These hand no mask on in Keras 2.
UNMASKING = frozenset({"Identity", "Normalization", "Rescaling"})


@dataclass(frozen=True)
class Example:
    """A configuration of a layer, and inputs for it, from which parity tests are generated.

    Attributes:
        shapes: shape of each input in Keras's order without the batch axis; None is tested with several sizes.
        options: arguments of the Keras constructor.
        integers: for integer inputs, the number of values; 0 for real inputs.
        words: for inputs of strings, those that they hold.
        mask: whether the inputs carry a mask (made by a Masking layer in front).
        calls: further keyword arguments of the Keras call.
        states: how many of the inputs, the last ones, are first states of a recurrent layer.
        refuses: a part of the reason why this is refused; "" when it converts.
        name: a short name for test ids; derived from the options when empty.
    """

    shapes: tuple[tuple[int | None, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    integers: int = 0
    mask: bool = False
    calls: dict[str, Any] = field(default_factory=dict)
    states: int = 0
    refuses: str = ""
    name: str = ""
    words: tuple[str, ...] = ()


def example(*shapes: tuple[int | None, ...], **options: Any) -> Example:
    """The usual example: real inputs of these shapes, these options."""
    return Example(shapes, options)


@dataclass(frozen=True)
class Rule:
    """The translation of one Keras layer.

    Attributes:
        kind: the class name of the layer in today's Keras.
        function: `(b, *inputs, **options) -> output`, adds operations to the builder `b`.
        masking: whether the mask of the first input goes on to the output (`supports_masking` in Keras)
            when the rule sets none itself.
        options: option -> today's default, `inspect.Parameter.empty` where there is none.
        kinds: option -> its annotation.
        text: whether its inputs may be strings.
    """

    kind: str
    function: Callable[..., Any]
    examples: tuple[Example, ...]
    masking: bool
    options: dict[str, Any]
    kinds: dict[str, Any] = field(default_factory=dict)
    text: bool = False

    @property
    def summary(self) -> str:
        """First line of the docstring: what the layer becomes."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def arguments(self, layer: Layer) -> dict[str, Any]:
        """The options of `layer` as keyword arguments for `function`.

        Raises:
            UntranslatableError: an option is unknown, of the wrong kind, or a required one is missing.
        """
        given = {key: value for key, value in layer.options.items() if not key.endswith(TRAINING_SUFFIXES)}
        if unknown := sorted(given.keys() - self.options.keys()):
            listed = ", ".join(f"{key}={given[key]!r}" for key in unknown)
            raise UntranslatableError(f"unknown option {listed}")
        required = {key for key, default in self.options.items() if default is inspect.Parameter.empty}
        if missing := sorted(required - given.keys()):
            raise UntranslatableError(f"option {', '.join(missing)} is missing")
        if wrong := sorted(key for key, value in given.items() if not fits(value, self.kinds.get(key))):
            listed = ", ".join(f"{key}={given[key]!r} is no {self.kinds[key]}" for key in wrong)
            raise UntranslatableError(f"option {listed}")
        return given


@dataclass(frozen=True)
class Custom:
    """What the user's file adds for one conversion.

    Attributes:
        rules: by the name of the class, and by `Package>Name` where it is registered.
        functions: activations by name: `(b, x) -> value`.
        names: what its functions and constants are, for code that names them.
    """

    rules: dict[str, Rule] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)


RULES: dict[str, Rule] = {}
REFUSED: dict[str, str] = {}
CUSTOM: ContextVar[Custom] = ContextVar("CUSTOM", default=Custom())  # noqa: B039 - it is frozen, and stays empty


def rule(
    *names: str, examples: Sequence[Example] = (), masking: bool = False, text: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the rule for the Keras classes `names`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        named = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        options = {parameter.name: parameter.default for parameter in named}
        kinds = {parameter.name: parameter.annotation for parameter in named}
        for kind in names:
            if kind in RULES and RULES[kind].function.__module__.startswith("k2t."):
                raise ValueError(f"{kind} has a rule already: {RULES[kind].function.__qualname__}")
            RULES[kind] = Rule(kind, function, tuple(examples), masking, options, kinds, text)
        return function

    return register


def refuse(kind: str, reason: str) -> None:
    """Register that `kind` is known and has no translation, with the way out."""
    REFUSED[kind] = reason


def broadcast(*shapes: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape of an elementwise operation, as numpy broadcasts; None (unknown) wins over 1."""
    rank = max(len(shape) for shape in shapes)
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result: list[int | None] = []
    for sizes in zip(*aligned, strict=True):
        known = [size for size in sizes if size not in (1, None)]
        if any(number(size) != number(known[0]) for size in known):
            known = [size for size in known if number(size) != 1]  # a symbol is never equal to 1
        if any(number(size) != number(known[0]) for size in known):
            raise UntranslatableError(f"shapes {shapes} do not broadcast")
        result.append(known[0] if known else None if None in sizes else 1)
    return tuple(result)


def require(value: Any, allowed: Sequence[Any], option: str) -> None:
    """Refuse a value of an option that has no translation."""
    if value not in allowed:
        choices = ", ".join(repr(item) for item in allowed)
        raise UntranslatableError(f"{option}={value!r} is not one of {choices}")


def size(value: Value, axis: int) -> int:
    """A size that must be known, such as the number of input channels."""
    length = value.shape[axis]
    if length is None:
        raise UntranslatableError(
            f"axis {axis} of its input {value.shape} must have a known size; "
            "where the shape of the model's input is not stated, save it again with an Input layer in front"
        )
    return length
