"""Names for what recovery makes: classes, attributes, parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from k2t.lower.names import identifier, is_automatic, kind_name, spelled
from k2t.program import Block, Module, Op, Parameter

ATTENTION = ("nn.MultiheadAttention", "MultiHeadAttention", "SelfAttention")
INDEX = re.compile(r"\d+[a-z]?(?=_|/|-|$)|\d+$")


def attribute(item: Module | Parameter, prefix: str, suffix: str) -> str:
    """The name of an attribute of a class: what the layer's name says between prefix and suffix, else its kind."""
    name = item.layer.removeprefix(prefix).removesuffix(suffix).strip("_-/. ")
    if is_automatic(item.layer) or is_automatic(name) or not re.search("[A-Za-z]", name):
        return kind_name(item)
    base = spelled(identifier(move_index(name)))
    return f"{base}_{item.role}" if item.role else base


def move_index(name: str) -> str:
    """`1_conv` -> `conv1`."""
    match = re.fullmatch(r"(\d+)[_-]([A-Za-z]+)", name)
    return match[2] + match[1] if match else name


def layer_of(op: Op) -> str:
    """The Keras layer of an operation; what the layers of an instance have in common."""
    name = op.target.layer if isinstance(op.target, Module) and isinstance(op.target.call, Block) else op.layer
    return name.partition("#")[0]


def common_prefix(names: Sequence[str]) -> str:
    """What names have in common, up to the end of a word."""
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    while length and first[length - 1] not in "_-/.":
        length -= 1
    return first[:length]


def common_suffix(names: Sequence[str]) -> str:
    """What names have in common at their ends, from the beginning of a word on."""
    return common_prefix([f"_{name}"[::-1] for name in names])[::-1]


def common_words(names: Sequence[str]) -> str:
    """The words that all layers have in their names, those aside whose names Keras made up."""
    words = [name.split("_") for name in names if not is_automatic(name)]
    shared = [word for word in words[0] if all(word in others for others in words)] if words else []
    return "_".join(shared)


def class_name(prefixes: Iterable[str], block: Block) -> str:
    """A well-known shape by its usual name, else the words that the prefixes have in common."""
    known = known_shape(block)
    if known:
        return known
    words = [re.findall(r"[A-Za-z]+", re.sub(r"\d+[a-z]?(?=_|$)", "_", prefix)) for prefix in prefixes]
    shared = [word for word in words[0] if len(word) > 1 and all(word in others for others in words)]
    shared = [word for word in shared if word not in ("model", "conv", "stage", "block")][-2:]
    name = "".join(word[:1].upper() + word[1:] for word in shared)
    if len(block.inputs) > 1:
        return f"{name or frequent_word(block)}Cell"
    name = name or flow_name(block)
    return name if re.search("[Bb]lock$|[Ll]ayer$|[Cc]ell$", name) else f"{name}Block"


def flow_name(block: Block) -> str:
    """What people call a block of this flow: with a shortcut, with branches, or a chain of convolutions."""
    targets = {op.target for op in block.all_ops()}
    calls = [str(module.call) for module in block.modules()]
    if "+" in targets:
        return "Residual"
    if "torch.cat" in targets and any("Pool" in call for call in calls):
        return "Inception"
    return "Conv" if any(call.startswith("nn.Conv") for call in calls) else ""


def frequent_word(block: Block) -> str:
    """The word that most layers have in their names."""
    words = Counter(word for module in block.modules() for word in set(re.findall("[a-z]+", module.name)))
    plain = [word for word, _ in words.most_common() if word not in ("conv", "bn", "separable")]
    return plain[0].capitalize() if plain else ""


def known_shape(block: Block) -> str:
    """The name that the literature has for a block of these operations."""
    ops = list(block.all_ops())
    calls = Counter(module.call for top in block.modules() for module in top.tree() if isinstance(module.call, str))
    targets = Counter(op.target for op in ops if isinstance(op.target, str))
    convolutions = [inner for module in block.modules() if module.call == "nn.Conv2d" for inner in (module,)]
    depthwise = sum("groups" in module.kwargs for module in convolutions)
    pools = sum(str(call).startswith(("nn.AvgPool", "nn.MaxPool")) for call in calls)
    if any(call.startswith(ATTENTION) for call in calls):
        return "TransformerBlock"
    if depthwise == 1 and calls["nn.LayerNorm"] and calls["nn.Linear"] == 2 and targets["+"]:
        return "ConvNeXtBlock"
    if depthwise == 1 and targets[".mean"] and targets["*"]:
        return "MBConv"
    if depthwise == 1 and len(convolutions) == 2 and not targets["+"]:
        return "DepthwiseSeparable"
    if depthwise == 1 and len(convolutions) >= 2 and targets["+"]:
        return "InvertedResidual"
    if not depthwise and not targets["*"] and targets["+"] == 1 and calls["nn.BatchNorm2d"]:
        if len(convolutions) == 3:
            return "Bottleneck"
        if len(convolutions) == 2:
            return "BasicBlock"
    if targets["torch.cat"] == 1 and len(convolutions) == 2 and len(block.inputs) == 1 and calls["nn.BatchNorm2d"]:
        return "DenseLayer"
    if len(ops) == 3 and len(convolutions) == 1 and calls["nn.BatchNorm2d"]:
        return "ConvNormAct"
    if pools == 1 and len(convolutions) == 1 and calls["nn.BatchNorm2d"] and not targets["+"]:
        return "Transition"
    return ""
