"""What a program computes, as terms: a tensor is a digest of how it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from k2t.program import Block, Code, Device, Module, Op, Parameter, Size, Value, values
from k2t.rules.tracing.names import Library
from k2t.structured.frames import NotStructured
from k2t.structured.weights import first_values
from k2t.symbols import Symbolic, number

PARAMETER = "nn.Parameter"
# The sizes of each tensor, by its digest: axis -> size.
Sizes = dict[str, dict[int, int | None]]


@dataclass(frozen=True)
class Term:
    """A tensor: a digest of how it was made.

    Attributes:
        part: for one of several outputs: the digest of what made it, its number, and how many there are.
    """

    digest: str
    part: tuple[str, int, int] | None = field(default=None, compare=False)


@dataclass(eq=False)
class Made:
    """A module of torch or a helper."""

    call: str
    args: Any
    path: str = ""


def term(*parts: Any) -> Term:
    """The tensor that is made of these."""
    return Term(hashlib.sha256(repr(parts).encode()).hexdigest()[:16])


def canonical(argument: Any) -> Any:
    """An argument, written alike on both sides."""
    if isinstance(argument, Term):
        return argument.digest
    if isinstance(argument, tuple | list):
        parts = [item.part if isinstance(item, Term) else None for item in argument]
        maker, _, count = parts[0] if parts and parts[0] else ("", 0, 0)
        if count and parts == [(maker, index, count) for index in range(count)]:
            return maker
        return tuple(canonical(item) for item in argument)
    if isinstance(argument, dict):
        return tuple((key, canonical(argument[key])) for key in sorted(argument))
    if isinstance(argument, slice):
        return ("slice", canonical(argument.start), canonical(argument.stop), canonical(argument.step))
    if isinstance(argument, Library):
        return argument.path
    if isinstance(argument, Made):
        return (argument.call, argument.args, argument.path)
    if isinstance(argument, Code):
        return argument.text
    return repr(number(argument) if isinstance(argument, Symbolic) else argument)


def applied(target: str, args: Sequence[Any], kwargs: Mapping[str, Any], path: str = "") -> Term:
    """What a function or module gives."""
    return term(target, path, canonical(list(args)), canonical(dict(kwargs)))


def made_of(path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Made:
    """A module, or what else a function makes of numbers."""
    return Made(path, (canonical(list(args)), canonical(spoken(kwargs))))


def spoken(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a module that are not torch's default: `bias` may be written as an expression."""
    usual = ("bias", True), ("requires_grad", False)
    return {key: value for key, value in options.items() if (key, value) not in usual}


def parameter_of(parameter: Parameter, path: str) -> Made:
    """A parameter as a written class has it."""
    function, args = first_values(parameter)
    made = made_of(PARAMETER, [made_of(function, args, {})], {})
    return replace(made, path=path)


def size_of(tensor: Term, axis: int, sizes: Sizes) -> Any:
    """One size of a tensor: a number where it is known."""
    known = sizes.get(tensor.digest, {}).get(axis)
    return term("size", tensor.digest, canonical(axis)) if known is None else known


def followed(block: Block, inputs: Sequence[Any], named: bool, sizes: Sizes, prefix: str = "") -> Any:
    """What a program computes of its inputs; paths of modules without state are not compared.

    Args:
        sizes: takes those of each tensor.
    """
    known: dict[Value, Any] = dict(zip(block.inputs, inputs, strict=True))

    def learn(made: Iterable[Value]) -> None:
        for value in made:
            order = block.order(value) or range(value.rank)
            found = {axis: number(value.shape[own]) for axis, own in enumerate(order)}
            sizes.setdefault(known[value].digest, found)

    learn(block.inputs)

    def argument(item: Any) -> Any:
        if isinstance(item, Value):
            return known[item]
        if isinstance(item, Size):
            return size_of(known[item.value], item.axis, sizes)
        if isinstance(item, Device):
            return term("device", known[item.value])
        if isinstance(item, Parameter):
            return parameter_of(item, f"{prefix}{item.name}" if named else "")
        if isinstance(item, tuple | list):
            return type(item)(argument(inner) for inner in item)
        if isinstance(item, dict):
            return {key: argument(inner) for key, inner in item.items()}
        if isinstance(item, slice):
            return slice(argument(item.start), argument(item.stop), argument(item.step))
        return item

    for op in block.ops:
        args, kwargs = argument(list(op.args)), {key: argument(item) for key, item in op.kwargs.items()}
        result = outcome(op, args, kwargs, named, sizes, prefix)
        spread(op.outputs, result, known)
        learn(values(op.outputs))
    return (
        [argument(item) for item in block.outputs]
        if isinstance(block.outputs, list | tuple)
        else argument(block.outputs)
    )


def outcome(op: Op, args: list[Any], kwargs: dict[str, Any], named: bool, sizes: Sizes, prefix: str) -> Any:
    """What one operation gives."""
    target = op.target
    if isinstance(target, str):
        return applied(target, args, kwargs)
    if not isinstance(target, Module):
        raise NotStructured("an operation under a condition")
    if isinstance(target.call, Block):
        return followed(target.call, args, named, sizes, f"{prefix}{target.name}.")
    path = f"{prefix}{target.name}" if target.weights and named else ""
    options = repr((canonical(target.args), canonical(spoken(target.kwargs))))
    return applied(target.call, args, kwargs, path + options)


def spread(outputs: Any, result: Any, known: dict[Value, Any]) -> None:
    """Take note of each output."""
    if isinstance(outputs, Value):
        known[outputs] = result
    elif isinstance(outputs, list | tuple):
        for index, item in enumerate(outputs):
            made = result[index] if isinstance(result, list | tuple) else term("output", result.digest, index)
            whole = not isinstance(result, list | tuple)
            part = replace(made, part=(result.digest, index, len(outputs))) if whole else made
            spread(item, part, known)


def paths(block: Block, prefix: str = "") -> Iterator[str]:
    """The paths of the modules with weights of a program."""
    for parameter in block.parameters():
        yield f"{prefix}{parameter.name}"
    for module in block.modules():
        if isinstance(module.call, Block):
            yield from paths(module.call, f"{prefix}{module.name}.")
        elif module.weights:
            yield f"{prefix}{module.name}"


def stateless(block: Block) -> frozenset[str]:
    """The classes of modules without weights."""
    found: set[str] = set()
    for module in block.modules():
        if isinstance(module.call, Block):
            found |= stateless(module.call)
        elif not module.weights:
            found.add(module.call)
    return frozenset(found)
