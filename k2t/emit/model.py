"""The code of a whole model, and what the rest of a conversion needs to know of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from k2t.emit.weights import state
from k2t.program import Block, Module, Value, values

if TYPE_CHECKING:
    from k2t.emit.file import Emitted
    from k2t.recover import Recovery

# Of code without weights, a file holds what is too long to be written down.
Stored = Literal["all", "constants", "nothing"]


@dataclass(frozen=True)
class ModelCode:
    """The text of a model, as plain data that can be passed between processes.

    Attributes:
        body: everything below the header.
        name: the main class.
        keys: the names in the state dict, in the order in which `state` has them.
        metadata: what verification needs to know of the code.
    """

    body: str
    name: str
    keys: tuple[str, ...]
    metadata: dict[str, str]


def write_code(blocks: list[Block], dtype: str, *, file: Stored, flat: bool) -> ModelCode:
    """The code of lowered blocks; their modules get other names.

    Args:
        blocks: the main one last.
        file: what the file of weights holds.
        flat: one class for each block, instead of classes for what repeats.
    """
    from k2t.recover import as_they_are, recover

    main = blocks[-1]
    form = as_they_are(blocks) if flat else recover(blocks)
    emitted, form = shorter(blocks, form, dtype, file)
    keys = tuple(key for key, _ in state(main))
    places = json.dumps(layer_places(main, form, emitted))
    return ModelCode(emitted.body, main.name, keys, {"k2t.layers": places})


def shorter(blocks: list[Block], found: Recovery, dtype: str, file: Stored) -> tuple[Emitted, Recovery]:
    """The code of what was recovered; that of the blocks as they are where it is no longer, as in a small model."""
    from k2t.emit.file import write_body  # imports LibCST, which takes a fifth of a second
    from k2t.recover import as_they_are

    recovered = write_body(found.classes, dtype, file=file)
    length = recovered.body.count("\n")
    modules = sum(len([*block.modules()]) for block in blocks)  # each takes a line of its class
    if not found.renamed or modules > length:
        return recovered, found
    found.swap_names()
    flat = as_they_are(blocks)
    plain = write_body(flat.classes, dtype, file=file)
    if plain.body.count("\n") <= length:
        return plain, flat
    found.swap_names()
    return recovered, found


def layer_places(block: Block, recovery: Recovery, emitted: Emitted, prefix: str = "") -> list[dict[str, Any]]:
    """Where verification finds the output of each Keras call."""
    found = []
    results = layer_results(block)
    for seat in recovery.seats[block]:
        path = f"{prefix}{seat.path}." if seat.path else prefix
        for place in emitted.places[seat.block.name]:
            value = seat.value(place.value)
            if value is None or value not in results:
                continue
            found.append(
                {
                    "layer": value.layer,
                    "owner": prefix.rstrip("."),
                    "module": f"{path}{place.module}".rstrip("."),
                    "statement": place.statement,
                    "variable": place.variable,
                    "permute": block.order(value),
                }
            )
    for module in block.modules():
        if isinstance(module.call, Block):
            found += layer_places(module.call, recovery, emitted, f"{prefix}{module.name}.")
    return found


def layer_results(block: Block) -> set[Value]:
    """The values that are outputs of Keras calls: what the last operation of each makes, masks apart."""
    masks = {value.mask for op in block.ops for value in values(op.outputs)}
    final = {op.layer: op for op in block.ops if masks.isdisjoint(values(op.outputs))}
    return {value for op in final.values() for value in values(op.outputs)}


def places_room(block: Block, prefix: int = 0) -> int:
    """Bytes of metadata to leave for `layer_places` and the origin, before these are known; seldom too few."""
    room = 512
    for op in block.ops:
        name = len(op.target.name) if isinstance(op.target, Module) else 0
        room += sum(160 + prefix + name + 2 * len(value.layer) for value in values(op.outputs))
    for module in block.modules():
        if isinstance(module.call, Block):
            room += places_room(module.call, prefix + len(module.name) + 1)
    return room
