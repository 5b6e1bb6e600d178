"""`init_weights`: training from scratch starts from the distributions that Keras draws from.

What is usual for a type of layer is written once for the type; what a layer does otherwise, behind it for its class.
`nn.Module.apply` visits what is inside a module before the module itself, so that the exceptions come last.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from k2t.emit.copied import bases
from k2t.lower.initial import Statements, fill
from k2t.program import Block, Code, Module, Weight

# What torch starts with: nothing is written where Keras does the same.
ONES, ZEROS = fill(1.0), fill(0.0)
NORMALIZATION = {"weight": ONES, "bias": ZEROS, "running_mean": ZEROS, "running_var": ONES}
NATIVE = {
    "nn.BatchNorm1d": NORMALIZATION,
    "nn.BatchNorm2d": NORMALIZATION,
    "nn.BatchNorm3d": NORMALIZATION,
    "MaskedBatchNorm1d": NORMALIZATION,
    "nn.LayerNorm": NORMALIZATION,
    "nn.GroupNorm": NORMALIZATION,
    "RMSNorm": NORMALIZATION,
    "nn.MultiheadAttention": {"in_proj_bias": ZEROS},
}
# The type of the layers inside a module, where it is not its first argument.
INSIDE = dict.fromkeys(("nn.MultiheadAttention", "MultiHeadAttention", "SelfAttention"), "nn.Linear")
ABSTRACT = ("nn.Module", "nn.RNNBase")
RECURRENT = re.compile(r"((?:weight|bias)_[ih]h)_l\d+(_reverse)?")


@dataclass(frozen=True)
class Start:
    """How one tensor of the state starts.

    Attributes:
        owner: the class in which its module is an attribute.
        path: the module, from there; "" for a parameter of the class itself.
        optional: whether the attribute may be an `nn.Identity()` instead.
        kind: the type of the module, and whether it is a convolution in groups.
        key: the tensor in the module.
    """

    owner: str
    path: str
    optional: bool
    kind: tuple[str, bool]
    key: str
    statements: Statements | None

    @property
    def role(self) -> str:
        """The key, the same for both directions of a recurrent layer."""
        match = RECURRENT.fullmatch(self.key)
        return match[1] if match else self.key


Usual = dict[tuple[str, bool], dict[str, Statements]]


def init_weights(blocks: Sequence[Block]) -> str:
    """The text of the function, "" where torch does the same as Keras."""
    starts = [start for block in blocks for start in starts_of(block)]
    usual = usual_starts(starts)
    branches = {**type_branches(usual, starts), **class_branches(usual, starts)}
    if not branches:
        return ""
    lines = ["def init_weights(module: nn.Module) -> None:", '    """Start training from where Keras does."""']
    for number, (condition, body) in enumerate(branches.items()):
        lines.append(f"    {'el' if number else ''}if {condition}:")
        lines += [f"        {line}" for line in body]
    return "\n".join(lines) + "\n"


def starts_of(block: Block) -> Iterator[Start]:
    """Every tensor of a class that does not start as its constructor says, for each instance of the class."""
    for attribute in block.modules():
        for module in attribute.tree():
            if isinstance(module.call, str):
                for one in module.instances or [module]:
                    for key, weight in one.weights.items():
                        yield start(block.name, module.name, bool(attribute.condition), one, key, weight)
    for item in block.parameters():
        for parameter in item.instances or [item]:
            found = parameter.weight.start
            if found and not item.weight.buffer and constant_of(parameter.weight) is None:
                yield Start(block.name, "", False, ("", False), item.name, found)


def start(owner: str, path: str, optional: bool, module: Module, key: str, weight: Weight) -> Start:
    """One tensor of a module, or of a layer inside it."""
    classes = bases(str(module.call))
    inner, _, last = key.rpartition(".")
    if inner:
        first = module.args[0]
        kind = first.text if isinstance(first, Code) else next(INSIDE[name] for name in classes if name in INSIDE)
        return Start(owner, f"{path}.{inner}", optional, (kind, False), last, weight.start)
    kind = next((name for name in classes if name.startswith("nn.") and name not in ABSTRACT), classes[0])
    grouped = module.kwargs.get("groups", 1) != 1
    return Start(owner, path, optional, (kind, grouped), last, weight.start)


def usual_starts(starts: Iterable[Start]) -> Usual:
    """Type -> role -> the most frequent statements; convolutions with and without groups are one type if they agree.

    What starts the gates of a ConvLSTM's convolution would not fit others, however many channels they have.
    """
    counts: dict[tuple[tuple[str, bool], str], Counter[Statements]] = defaultdict(Counter)
    for item in starts:
        gates = item.key == "bias" and len(item.statements or ()) > 1
        if item.kind[0] and item.statements is not None and not gates:
            counts[item.kind, item.role][item.statements] += 1
    usual: Usual = defaultdict(dict)
    for (kind, role), found in counts.items():
        usual[kind][role] = found.most_common(1)[0][0]
    for name, grouped in list(usual):
        plain = usual.get((name, False), {})
        if grouped and all(plain.get(role, own) == own for role, own in usual[name, True].items()):
            usual[name, False] = usual.pop((name, True)) | plain
    return usual


def type_branches(usual: Usual, starts: Sequence[Start]) -> dict[str, list[str]]:
    """Condition -> statements: for convolutions in groups, then for all types that start alike."""
    alike: list[tuple[bool, dict[str, Statements], list[str]]] = []
    for (name, grouped), roles in sorted(usual.items(), key=lambda item: not item[0][1]):
        new = {role: found for role, found in roles.items() if NATIVE.get(name, {}).get(role) != found}
        if not new:
            continue
        for other, known, names in alike:
            if other == grouped and (known.items() <= new.items() or new.items() <= known.items()):
                known.update(new)
                names.append(name)
                break
        else:
            alike.append((grouped, new, [name]))
    branches = {}
    for grouped, roles, names in alike:
        condition = f"isinstance(module, {' | '.join(names)})" + " and module.groups > 1" * grouped
        if any(RECURRENT.fullmatch(f"{role}_l0") for role in roles):
            branches[condition] = recurrent_body(roles.items())
        else:
            branches[condition] = body(roles.items(), optional_bias(names, starts))
    return branches


def body(roles: Iterable[tuple[str, Statements]], optional: bool) -> list[str]:
    """The statements of a branch."""
    lines = []
    for role, found in roles:
        guarded = optional and role == "bias"
        lines += ["if module.bias is not None:"] if guarded else []
        lines += [f"{'    ' * guarded}{line.format(f'module.{role}')}" for line in found]
    return lines


def optional_bias(names: Sequence[str], starts: Iterable[Start]) -> bool:
    """Whether a type has no bias always, or its annotation says so."""
    keys = Counter(item.key for item in starts if item.kind[0] in names)
    return any(name.startswith("nn.Conv") for name in names) or keys["bias"] != keys["weight"]


def recurrent_body(roles: Iterable[tuple[str, Statements]]) -> list[str]:
    """The statements of a branch for a recurrent layer of one direction or two."""
    alike: dict[Statements, list[str]] = defaultdict(list)
    for role, found in roles:
        alike[found].append(role)
    lines = ["for name, parameter in module.named_parameters():"]
    for number, (found, names) in enumerate(alike.items()):
        prefixes = names[0] if len(names) == 1 else tuple(names)
        last = number and number == len(alike) - 1
        lines.append("    else:" if last else f"    {'el' if number else ''}if name.startswith({prefixes!r}):")
        lines += [f"        {line.format('parameter')}" for line in found]
    return lines


def class_branches(usual: Usual, starts: Iterable[Start]) -> dict[str, list[str]]:
    """Condition -> statements for what is not usual in a class."""
    branches: dict[str, list[str]] = defaultdict(list)
    for item in starts:
        expected = usual.get(item.kind) or usual.get((item.kind[0], False), {})
        if item.statements is None or item.statements == expected.get(item.role):
            continue
        path = f"{item.path}.{item.key}".lstrip(".")
        maybe = item.optional or (item.key == "bias" and item.kind[0].startswith("nn.Conv"))
        typed = not maybe and not re.search(r"\.\d", path) and not RECURRENT.fullmatch(item.key)
        target = f"module.{path}" if typed else f'module.get_parameter("{path}")'
        guard = f"if not isinstance(module.{item.path.partition('.')[0]}, nn.Identity):"
        new = [guard] * item.optional + [f"{'    ' * item.optional}{text.format(target)}" for text in item.statements]
        lines = branches[f"isinstance(module, {item.owner})"]
        lines += [] if new[-1] in lines else new
    return branches


def constant_of(weight: Weight) -> float | None:
    """The number with which a tensor starts, if it is one for all."""
    starts = {variable.initializer for variable in weight.variables}
    found = starts.pop() if len(starts) == 1 else None
    return float(found.values[0]) if found and found.kind == "constant" else None
