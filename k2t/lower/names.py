"""Identifiers for what Keras named freely: whatever a name holds, the result is a valid, unused identifier."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable

from k2t.program import Block, Module, Parameter

# Attributes that nn.Module and the emitted class use themselves.
MODULE_ATTRIBUTES = """
T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict logits modules
mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
state_dict to to_empty train training type xpu zero_grad reset_states init_weights
"""
RESERVED = frozenset(MODULE_ATTRIBUTES.split())
# Names that Keras gives to models that have none.
AUTOMATIC = re.compile(r"(sequential|model|functional)(_\d+)?")


def identifier(name: str, fallback: str = "layer") -> str:
    """ASCII letters, digits and underscores of `name`; never empty, a keyword or private."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"_+", "_", re.sub(r"\W", "_", ascii_name)).strip("_")[:60].rstrip("_") or fallback
    if cleaned[0].isdigit():
        cleaned = f"{fallback}_{cleaned}"
    return cleaned + "_" if keyword.iskeyword(cleaned) or keyword.issoftkeyword(cleaned) else cleaned


def snake_case(name: str) -> str:
    """`Conv2DBlock` -> `conv2d_block`, the way Keras names layers after classes."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def class_name(name: str, fallback: str = "Model") -> str:
    """`my_model-2` -> `MyModel2`."""
    words = re.split(r"[^0-9A-Za-z]+", identifier(name, fallback))
    joined = "".join(word[:1].upper() + word[1:] for word in words if word)
    return joined if joined and joined[0].isalpha() else fallback


class Namespace:
    """Hands out identifiers, each once.

    Attributes:
        taken: those that are not to be had.
    """

    def __init__(self, taken: Iterable[str] = (), separator: str = "_") -> None:
        self.taken = set(taken)
        self.separator = separator
        self.counts: dict[str, int] = {}

    def claim(self, wish: str) -> str:
        """`wish` itself, or with the next free number."""
        name = wish
        while name in self.taken:
            self.counts[wish] = self.counts.get(wish, 0) + 1
            name = f"{wish.rstrip('_')}{self.separator}{self.counts[wish]}"
        self.taken.add(name)
        return name


def name_everything(main: Block, wish: str | None) -> list[Block]:
    """Name classes and attributes; returns all blocks, each after those that it uses."""
    classes = Namespace({"F", "Tensor", "Path"}, separator="")
    main.name = classes.claim(class_name(wish or ("Net" if AUTOMATIC.fullmatch(main.name) else main.name)))
    blocks: list[Block] = []
    collect(main, blocks)
    for block in blocks:
        if block is not main:
            block.name = classes.claim(class_name(block.name))
        name_attributes(block)
    return blocks


def collect(block: Block, blocks: list[Block]) -> None:
    """Append the blocks inside `block`, then itself."""
    for module in block.modules():
        if isinstance(module.call, Block) and module.call not in blocks:
            collect(module.call, blocks)
    blocks.append(block)


def name_attributes(block: Block) -> None:
    """Attributes are named after the Keras layers."""
    names = Namespace(RESERVED)
    items: list[Module | Parameter] = [*block.modules(), *block.parameters()]
    for item in items:
        kind = item.call if isinstance(item, Module) and isinstance(item.call, str) else "layer"
        base = identifier(item.layer, snake_case(kind.rpartition(".")[2]))
        item.name = names.claim(f"{base}_{item.role}" if item.role else base)
