"""The gate to the evaluated model: both programs, walked from their outputs, do the same with the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from k2t.program import Block, Index, Module, Op, Parameter, Value, Variable, leaves, values
from k2t.structured.frames import NotStructured
from k2t.structured.positions import identity, identity_of
from k2t.symbols import OPERATORS, number

Owner = Module | Parameter
# Functions for any number of channels, and what they are where that is known.
SAME = {"depth_to_space": "F.pixel_shuffle", "space_to_depth": "F.pixel_unshuffle"}


@dataclass(frozen=True, eq=False)
class Maker:
    """What makes tensors: an input, a parameter, or an operation.

    Attributes:
        owner: the module or parameter whose weights it reads.
        numbers: of an operator or a slice.
    """

    target: str
    operands: tuple[Node, ...] = ()
    owner: Owner | None = None
    numbers: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Node:
    """One of the tensors that `maker` makes."""

    maker: Maker
    index: int = 0


def ends(block: Block) -> tuple[Node, ...]:
    """How the outputs of a program are made, before its layout is decided."""
    return traced(block, [Node(Maker(f"input {index}")) for index in range(len(block.inputs))])


def traced(block: Block, inputs: Sequence[Node]) -> tuple[Node, ...]:
    """How the outputs are made of these inputs."""
    known: dict[Value, Node] = dict(zip(block.inputs, inputs, strict=True))
    parameters: dict[Parameter, Node] = {}
    made: tuple[Node, ...]
    for op in block.ops:
        found = [leaf for leaf in leaves((op.args, op.kwargs)) if isinstance(leaf, Parameter)]
        parameters |= {leaf: Node(parameter_maker(leaf)) for leaf in found if leaf not in parameters}
        operands = tuple(known[value] for value in values((op.args, op.kwargs))) + tuple(parameters[p] for p in found)
        if op.target == "torch.arange":
            made = (Node(Maker(identity_of(op))),)
        elif passes(op) or (op.target == ".unsqueeze" and operands[0].maker.target.startswith("constant")):
            made = operands[:1]
        elif isinstance(op.target, Module) and isinstance(op.target.call, Block):
            made = traced(op.target.call, operands)
        else:
            owner = op.target if isinstance(op.target, Module) else None
            maker = Maker("module" if owner else str(op.target), operands, owner, tuple(numbers(op)))
            made = tuple(Node(maker, index) for index, _ in enumerate(values(op.outputs)))
        known |= zip(values(op.outputs), made, strict=True)
    return tuple(known[value] for value in values(block.outputs))


def numbers(op: Op) -> Iterator[Any]:
    """The numbers of operators, and where slices begin and end; what depends on tensors is not known."""
    for leaf in leaves((op.args, op.kwargs)):
        items = leaf.items if isinstance(leaf, Index) else [leaf] if op.target in OPERATORS else []
        for item in items:
            for part in (item.start, item.stop, item.step) if isinstance(item, slice) else [item]:
                yield number(part) if isinstance(part, int | float) else part is None


def parameter_maker(parameter: Parameter) -> Maker:
    """What makes a parameter; a constant is told by its values."""
    if parameter.weight.variables:
        return Maker("parameter", owner=parameter)
    return Maker(identity(parameter.weight.transform()))


def passes(op: Op) -> bool:
    """Whether only one of the programs may have it: padding that the module behind it may do, dropout of nothing."""
    if isinstance(op.target, Module):
        return str(op.target.call).startswith("nn.Dropout")
    return op.target in ("F.pad", "torch.asarray")


def adopt(written: Sequence[Node], evaluated: Sequence[Node]) -> None:
    """Give the written program's variables the names, places and arrays of the evaluated one's.

    Raises:
        NotStructured: they are two different programs.
    """
    if len(written) != len(evaluated):
        raise NotStructured("other outputs than the evaluated model")
    pairs: dict[Owner, Owner] = {}
    for made, same in walked(written, evaluated):
        if made.owner is not None and same.owner is not None and pairs.setdefault(made.owner, same.owner) != same.owner:
            raise NotStructured("shares other weights than the evaluated model")
    weighted = {own: other for own, other in pairs.items() if variables(own)}
    if len(set(weighted.values())) < len(weighted):
        raise NotStructured("shares other weights than the evaluated model")
    for own, other in weighted.items():
        for variable, known in zip(variables(own), variables(other), strict=True):
            variable.name, variable.key, variable.owner = known.name, known.key, known.owner
            variable.array = known.array


def walked(written: Sequence[Node], evaluated: Sequence[Node]) -> Iterator[tuple[Maker, Maker]]:
    """Each pair of makers once.

    Raises:
        NotStructured: two of them differ.
    """
    seen: set[tuple[Maker, Maker]] = set()
    waiting = list(zip(written, evaluated, strict=True))
    while waiting:
        one, other = waiting.pop()
        pair = one.maker, other.maker
        if one.index != other.index or signature(pair[0]) != signature(pair[1]):
            raise NotStructured(f"computes {pair[0].target} where the evaluated model computes {pair[1].target}")
        if pair not in seen:
            seen.add(pair)
            yield pair
            waiting += zip(pair[0].operands, pair[1].operands, strict=True)


def signature(maker: Maker) -> tuple[object, ...]:
    """What is compared of one step; the options of modules may be spelled as expressions, and are not."""
    return (
        SAME.get(maker.target, maker.target),
        len(maker.operands),
        maker.numbers,
        [variable.shape for variable in variables(maker.owner)],
    )


def variables(owner: Owner | None) -> list[Variable]:
    """The variables that a module or parameter is made of, by name: modules may keep the same ones in another order."""
    if owner is None:
        return []
    weights = owner.weights.values() if isinstance(owner, Module) else (owner.weight,)
    return sorted((variable for weight in weights for variable in weight.variables), key=lambda item: item.name)
