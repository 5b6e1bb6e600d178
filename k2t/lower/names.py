"""Identifiers for what Keras named freely: whatever a name holds, the result is a valid, unused identifier."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import count

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
AUTOMATIC = re.compile(r"(sequential|model|functional)(_?\d+)?")
# Names that Keras makes up for layers: they say no more than the layer's kind.
AUTOMATIC_LAYER = re.compile(
    r"(conv(olution)?[123]d(_transpose)?|(depthwise|separable)_?conv(olution)?[123]d|conv_?lstm[123]d|einsum_dense|dense"
    r"|(batch|layer|group|instance|rms|unit|spectral)_?normalization(_v1)?|embedding|masking|lambda|activation|softmax"
    r"|(leaky_|p_|thresholded_)?re_?lu|leakyrelu|prelu|elu|(spatial_?|gaussian_|alpha_)?dropout([123]d)?|gaussian_?noise"
    r"|(global_?)?(average|max)_?pooling[123]d|(zero_?padding|cropping|up_?sampling)[123]d|flatten|reshape|permute"
    r"|repeat_?vector|add|subtract|multiply|average|maximum|minimum|concatenate|merge|dot|multi_head_attention"
    r"|(additive_)?attention|lstm|gru|simple_?rnn|rnn|bidirectional|time_?distributed|rescaling|resizing|normalization"
    r"|random_[a-z]+|stochastic_depth|tf[._a-z]*|ops?[._a-z]*)([_.]\d+)?"
)
# What people call these then.
SHORT = {
    "nn.Conv1d": "conv",
    "nn.Conv2d": "conv",
    "nn.Conv3d": "conv",
    "Conv1dSame": "conv",
    "Conv2dSame": "conv",
    "Conv3dSame": "conv",
    "nn.ConvTranspose1d": "upconv",
    "nn.ConvTranspose2d": "upconv",
    "nn.ConvTranspose3d": "upconv",
    "nn.BatchNorm1d": "bn",
    "nn.BatchNorm2d": "bn",
    "nn.BatchNorm3d": "bn",
    "FrozenBatchNorm1d": "bn",
    "FrozenBatchNorm2d": "bn",
    "FrozenBatchNorm3d": "bn",
    "MaskedBatchNorm1d": "bn",
    "nn.LayerNorm": "norm",
    "nn.GroupNorm": "norm",
    "nn.Linear": "fc",
    "nn.Dropout": "dropout",
    "LockedDropout": "dropout",
    "nn.Embedding": "embedding",
    "nn.MultiheadAttention": "attention",
    "MultiHeadAttention": "attention",
    "SelfAttention": "attention",
    "LoopRNN": "rnn",
    "LoopLSTM": "lstm",
    "LoopGRU": "gru",
    "ResetBeforeGRU": "gru",
    "StochasticDepth": "drop_path",
    "ConvNormAct": "conv",
    "nn.PReLU": "prelu",
    "nn.Upsample": "upsample",
    **{f"nn.{kind}Pool{rank}d": "pool" for kind in ("Max", "Avg") for rank in (1, 2, 3)},
    **{f"{kind}Pool{rank}dSame": "pool" for kind in ("Max", "Avg") for rank in (1, 2, 3)},
}
# How PyTorch code spells words of layer names, and people those of models.
SPELLED = {"batchnorm": "bn", "batch_norm": "bn", "layernorm": "norm"}
PROPER = """
CNN DNN RNN LSTM GRU MLP GAN VAE VGG ViT UNet ResNet DenseNet MobileNet EfficientNet NASNet ConvNeXt Inception
InceptionResNet AlexNet LeNet SqueezeNet
"""
KNOWN = {name.lower(): name for name in PROPER.split()}
KNOWN_WORD = re.compile(rf"({'|'.join(KNOWN)})((?:[a-z]?\d+)?(?:v\d)?)")
SIZES = re.compile(r"[_-]\d+\.\d+[_-]\d+$")


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
    """`my_model-2` -> `MyModel2`, `mobilenetv2_1.00_224` -> `MobileNetV2`."""
    words = re.split(r"[^0-9A-Za-z]+", identifier(SIZES.sub("", name), fallback))
    joined = "".join(proper(word) for word in words)
    return joined if joined and joined[0].isalpha() else fallback


def proper(word: str) -> str:
    """`resnet50v2` -> `ResNet50V2`; a word that is not known begins with a capital."""
    match = KNOWN_WORD.fullmatch(word)
    return KNOWN[match[1]] + match[2].upper() if match else word[:1].upper() + word[1:]


class Namespace:
    """Hands out identifiers, each once.

    Attributes:
        taken: those that are not to be had.
    """

    def __init__(self, taken: Iterable[str] = (), separator: str = "_") -> None:
        self.taken = set(taken)
        self.separator = separator
        self.counts: dict[str, int] = {}
        self.numbers: dict[str, int] = {}

    def claim(self, wish: str) -> str:
        """`wish` itself, or with the next free number."""
        name = wish
        while name in self.taken:
            self.counts[wish] = self.counts.get(wish, 0) + 1
            name = f"{wish.rstrip('_')}{self.separator}{self.counts[wish]}"
        self.taken.add(name)
        return name

    def numbered(self, wish: str) -> str:
        """`wish1`, or with the next free number."""
        free = (n for n in count(self.numbers.get(wish, 0) + 1) if f"{wish}{n}" not in self.taken)
        self.numbers[wish] = next(free)
        return self.claim(f"{wish}{self.numbers[wish]}")


def name_everything(main: Block, wish: str | None) -> list[Block]:
    """Name classes and attributes; returns all blocks, each after those that it uses."""
    main.owners = (main.name,)
    blocks: list[Block] = []
    collect(main, blocks)
    classes = class_names(blocks)
    main.name = classes.claim(class_name(wish or ("Net" if AUTOMATIC.fullmatch(main.name) else main.name)))
    for block in blocks:
        if block is not main:
            block.owners = (block.name, *main.owners)
            own = local(block.name, main.owners)
            block.name = classes.claim(part_name(block) if AUTOMATIC.fullmatch(own) else class_name(own))
        name_attributes(block)
    return blocks


def part_name(block: Block) -> str:
    """What people call a model without a name inside another, by its layers."""
    inner: list[Block] = []
    collect(block, inner)
    layers = [module for each in inner for module in each.modules() if module.weights]
    kinds = {str(module.call) for module in layers}
    if not layers:
        return "Transform"
    if any("Transpose" in kind for kind in kinds):
        return "Decoder"
    return "Encoder" if kinds - {"nn.Linear", "nn.BatchNorm1d", "nn.LayerNorm"} else "Head"


def class_names(blocks: Iterable[Block]) -> Namespace:
    """For the names of classes: what their file imports is taken, and so are the helpers that they construct."""
    helpers = {module.call for block in blocks for module in block.modules() if isinstance(module.call, str)}
    return Namespace({"F", "Tensor", "Path"} | helpers, separator="")


def collect(block: Block, blocks: list[Block]) -> None:
    """Append the blocks inside `block`, then itself."""
    for module in block.modules():
        if isinstance(module.call, Block) and module.call not in blocks:
            collect(module.call, blocks)
    blocks.append(block)


def name_attributes(block: Block) -> None:
    """Attributes are named after the Keras layers, or after what they are where Keras made up the name."""
    for item, name in attribute_names([*block.modules(), *block.parameters()], block.owners).items():
        item.name = name


def attribute_names(
    items: Iterable[Module | Parameter], owners: tuple[str, ...], taken: Iterable[str] = ()
) -> dict[Module | Parameter, str]:
    """The name of each, numbered where several of a kind have none of their own."""
    own = {item: own_name(item, owners) for item in items}
    names = Namespace(RESERVED | {*taken})
    found = {item: names.claim(name) for item, name in own.items() if name is not None}
    kinds = {item: kind_name(item) for item, name in own.items() if name is None}
    counts = Counter(kinds.values())
    return found | {
        item: names.claim(kind) if counts[kind] == 1 else names.numbered(kind) for item, kind in kinds.items()
    }


def is_automatic(layer: str) -> bool:
    """Whether Keras made the name of a layer up, or it has none."""
    return not layer or AUTOMATIC_LAYER.fullmatch(layer.lower()) is not None


def local(layer: str, owners: Iterable[str]) -> str:
    """The name of a layer without that of a model around it: `stem_conv` for `mynet_stem_conv`."""
    rest = next((layer[len(owner) :] for owner in owners if re.match(rf"{re.escape(owner)}[_-][A-Za-z]", layer)), "")
    return rest[1:] or layer


def own_name(item: Module | Parameter, owners: Iterable[str]) -> str | None:
    """The name that a person gave the layer, as PyTorch code spells it; None if there is none."""
    layer = local(item.layer, owners)
    if is_automatic(layer) or (isinstance(item, Module) and AUTOMATIC.fullmatch(layer)):
        return None
    name = spelled(identifier(layer))
    return f"{name}_{item.role}" if item.role else name


def kind_name(item: Module | Parameter) -> str:
    """What a layer without a name of its own is."""
    if isinstance(item, Parameter):
        return item.role or snake_case(AUTOMATIC_LAYER.sub(r"\1", item.layer))
    call = item.call if isinstance(item.call, str) else item.call.name.rstrip("0123456789")
    kind = SHORT.get(call) or snake_case(call.rpartition(".")[2])
    says_it_all = item.role.isidentifier() and (kind == "conv" or kind in item.role.split("_"))
    if says_it_all:  # `depthwise`, `forward_dropout`
        return item.role
    return f"{kind}_{item.role}" if item.role else kind


def spelled(name: str) -> str:
    """As attributes are spelled in PyTorch: lower case, usual abbreviations."""
    words = [SPELLED.get(word, word) for word in name.split("_")]
    return "_".join(words) if name.islower() else re.sub(r"_+", "_", snake_case("_".join(words)))
