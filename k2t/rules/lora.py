"""LoRA: a kernel that Keras keeps together with a product of two small matrices, which is added to it."""

from __future__ import annotations

from k2t.errors import UntranslatableError
from k2t.rules.builder import Builder
from k2t.rules.parts import LowRank


def adapt(
    b: Builder, name: str, shape: tuple[int, ...], bias: tuple[int, ...] | None, rank: int | None, alpha: float | None
) -> None:
    """Declare the kernel `name` with the two matrices that a layer in memory, or in HDF5, has for it.

    An archive has them merged: Keras adds them when it saves, and loads zeros.

    Args:
        bias: shape of the layer's bias, None without.
    """
    if rank is None or b.parts.in_archive:
        return
    if b.layer.options.get("quantization_config") is not None:
        raise UntranslatableError("has LoRA on a quantized kernel; save it as .keras, which merges them")
    b.variable(name, shape, trainable=False)
    if bias is not None:
        b.variable("bias", bias)
    first = b.variable(f"lora_{name}_a", (*shape[:-1], rank))
    second = b.variable(f"lora_{name}_b", (rank, shape[-1]))
    b.parts.low_rank[name] = LowRank(first, second, (rank if alpha is None else alpha) / rank)
