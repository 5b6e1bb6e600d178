"""EinsumDense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

from k2t.errors import UntranslatableError
from k2t.graph import Array, Shape
from k2t.program import Value
from k2t.rules.activations import activate
from k2t.rules.base import example, rule
from k2t.rules.builder import Builder
from k2t.rules.lora import adapt
from k2t.rules.quantized import quantized_linear

EQUATION = re.compile(r"(\.{3})?([a-zA-Z]+)(\.{3})?,([a-zA-Z]+)->(\.{3})?([a-zA-Z]+)(\.{3})?")


@dataclass(frozen=True)
class Product:
    """`inputs,kernel->outputs`, each a letter for each axis.

    Attributes:
        left, right: how many axes of the input `...` stands for, in front or behind.
        sizes: letter -> size.
    """

    inputs: str
    kernel: str
    outputs: str
    left: int
    right: int
    sizes: dict[str, int | None]

    @property
    def summed(self) -> str:
        """The letters of the input that the output has not."""
        return "".join(letter for letter in self.inputs if letter not in self.outputs)

    @property
    def new(self) -> str:
        """The letters of the output that the input has not."""
        return "".join(letter for letter in self.outputs if letter not in self.inputs)

    @property
    def linear(self) -> bool:
        """Whether it maps the last axes of the input to the last axes of the output."""
        prefix = self.inputs.removesuffix(self.summed)
        same = self.outputs == prefix + self.new and self.inputs == prefix + self.summed
        parts = self.summed, self.new
        return same and all(parts) and not self.right and sorted(self.kernel) == sorted("".join(parts))

    @property
    def fans(self) -> tuple[int, int]:
        """What the kernel's initializer counts as inputs, and as outputs."""
        outputs = "".join(letter for letter in self.kernel if letter in self.outputs)
        inputs = "".join(letter for letter in self.kernel if letter not in self.outputs)
        return prod(self.shape(inputs)), prod(self.shape(outputs))

    def shape(self, letters: str) -> tuple[int, ...]:
        """Sizes of these letters, which must be known."""
        if unknown := [letter for letter in letters if self.sizes.get(letter) is None]:
            raise UntranslatableError(f"the size of {unknown[0]} in its equation is not known")
        return tuple(self.sizes[letter] or 0 for letter in letters)


def parse(equation: str, shape: Shape, output_shape: tuple[int | None, ...]) -> Product:
    """The equation with the sizes of its letters: those of the output as given, else as in the input."""
    match = EQUATION.fullmatch(equation.replace(" ", ""))
    if match is None:
        raise UntranslatableError(f"equation={equation!r} is not of the form ab,bc->ac")
    before, inputs, behind, kernel, _, outputs, _ = match.groups()
    elided = len(shape) - len(inputs)
    if elided < 0 or (elided and not (before or behind)):
        raise UntranslatableError(f"equation={equation!r} does not fit an input of shape {shape}")
    left = elided if before else 0
    sizes: dict[str, int | None] = dict(zip(inputs, shape[left:], strict=False))
    wanted = output_shape if before else (shape[0], *output_shape)
    sizes |= {letter: n for letter, n in zip(outputs, wanted, strict=False) if n is not None}
    return Product(inputs, kernel, outputs, left, elided - left, sizes)


@rule(
    "EinsumDense",
    examples=[
        example((7,), equation="ab,bc->ac", output_shape=4, bias_axes="c", activation="relu"),
        example((5, 7), equation="abc,cd->abd", output_shape=[None, 4], bias_axes="d"),
        example((5, 7), equation="...x,xy->...y", output_shape=4),
        example((None, 7), equation="abc,cde->abde", output_shape=[None, 2, 3], bias_axes="de"),
        example((5, 2, 3), equation="abcd,cde->abe", output_shape=[None, 4], bias_axes="e"),
        example((5, 7), equation="abc,dc->abd", output_shape=[None, 4]),
        example((5, 7), equation="abc,bcd->abd", output_shape=[5, 4], bias_axes="bd"),
        example((5, 7), equation="abc,cd->abd", output_shape=[None, 4], bias_axes="d", activation="softmax"),
        example((5, 7), equation="abc,bd->adc", output_shape=[4, 7], bias_axes="d"),
        example((5, 7), equation="abc,cd->abd", output_shape=[None, 4], bias_axes="d", lora_rank=2),
        example((5, 7, 3), equation="ab...,bc->ac...", output_shape=[4], bias_axes="c"),
    ],
)
def einsum_dense(
    b: Builder,
    x: Value,
    *,
    equation: str,
    output_shape: Any,
    activation: Any = None,
    bias_axes: str | None = None,
    lora_rank: int | None = None,
    lora_alpha: int | None = None,
    gptq_unpacked_column_size: int | None = None,
    quantization_config: Any = None,
) -> Value:
    """nn.Linear where the equation is one, else torch.einsum with a parameter."""
    sizes = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
    product = parse(equation, x.shape, sizes)
    biased = sorted(bias_axes or "") in ([], sorted(product.new))
    if quantization_config is not None:
        if not (product.linear and biased and product.kernel == product.summed + product.new):
            raise UntranslatableError(f"is quantized with equation={equation!r}, which is no product of last axes")
        return activate(b, quantized(b, x, product, bool(bias_axes), quantization_config), activation)
    if lora_rank is not None:
        bias = product.shape(product.new) if bias_axes and biased else None
        adapt(b, "kernel", product.shape(product.kernel), bias, lora_rank, lora_alpha)
    y = (
        linear(b, x, product, bool(bias_axes))
        if product.linear and biased
        else general(b, x, product, equation, bias_axes)
    )
    return activate(b, y, activation)


def linear(b: Builder, x: Value, product: Product, use_bias: bool) -> Value:
    """nn.Linear, with several axes as one before and after it."""
    summed, new = product.shape(product.summed), product.shape(product.new)
    order = [product.kernel.index(letter) for letter in product.new + product.summed]
    kernel = b.variable("kernel", product.shape(product.kernel), fans=product.fans)
    bias = b.variable("bias", new) if use_bias else None

    def turned(array: Array) -> Array:
        return array.transpose(order).reshape(prod(new), prod(summed))

    weights = {
        "weight": b.weight(kernel, transform=turned),
        "bias": b.weight(bias, transform=lambda array: array.reshape(-1)) if bias else None,
    }
    options: dict[str, Any] = {} if use_bias else {"bias": False}
    absorbs = {"weight": 1} if len(summed) == 1 else {}
    module = b.module("nn.Linear", prod(summed), prod(new), weights=weights, absorbs=absorbs, **options)
    front = x.shape[: x.rank - len(summed)]
    if len(summed) > 1:
        x = b.call(".flatten", x, -len(summed), shape=(*front, prod(summed)), layout="keras")
    y = b.call(module, x, shape=(*front, prod(new)), layout="linear")
    return y if len(new) == 1 else b.call(".unflatten", y, -1, new, shape=(*front, *new), layout="keras")


def quantized(b: Builder, x: Value, product: Product, use_bias: bool, config: dict[str, Any]) -> Value:
    """Likewise, with a quantized kernel."""
    summed, new = product.shape(product.summed), product.shape(product.new)
    front = x.shape[: x.rank - len(summed)]
    if len(summed) > 1:
        x = b.call(".flatten", x, -len(summed), shape=(*front, prod(summed)), layout="keras")
    scales = (*(1 for _ in front), *new)
    y = quantized_linear(b, x, (*summed, *new), new if use_bias else None, scales, config)
    return y if len(new) == 1 else b.call(".unflatten", y, -1, new, shape=(*front, *new), layout="keras")


def general(b: Builder, x: Value, product: Product, equation: str, bias_axes: str | None) -> Value:
    """torch.einsum with a parameter."""
    kernel = b.parameter("kernel", b.variable("kernel", product.shape(product.kernel), fans=product.fans))
    elided = x.shape[: product.left], x.shape[x.rank - product.right :]
    shape = (*elided[0], *(product.sizes[letter] for letter in product.outputs), *elided[1])
    y = b.call("torch.einsum", equation.replace(" ", ""), x, kernel, shape=shape, layout="keras")
    if not bias_axes:
        return y
    own = product.outputs[min(product.outputs.index(letter) for letter in bias_axes) :]
    sizes = tuple(product.shape(letter)[0] if letter in bias_axes else 1 for letter in own) + (1,) * product.right
    return b.call("+", y, b.parameter("bias", b.variable("bias", sizes)), shape=shape, layout="keras")
