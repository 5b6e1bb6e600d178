"""What layers computed otherwise than today, because the backend did.

Such a value gets a name of its own, for which a rule may exist; where none does, the layer is refused by name.
Sources: `keras/backend/{tensorflow,theano,cntk}_backend.py` of releases 1.2.2 to 2.3.1.
"""

from __future__ import annotations

from typing import Any

from k2t.read.eras.era import Era

Config = dict[str, Any]

CONVOLUTIONS = frozenset(
    {"Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "ConvLSTM2D"}
)
TRANSPOSED = frozenset({"Conv2DTranspose", "Conv3DTranspose"})
POOLING = frozenset(f"{name}Pooling{rank}D" for name in ("Max", "Average") for rank in (1, 2, 3))


def backend_values(kind: str, config: Config, era: Era) -> Config:
    """The configuration with names for what only that backend computed.

    `interpolation="keras2_tf1_bilinear"`: output pixel i lies at i / factor of the input, not at (i + 0.5) / factor
    - 0.5 (`tf.image.resize_bilinear`, Keras 2.2.3 to 2.3.1; tf.keras had left it before it stored the option).
    `interpolation="theano_bilinear"`: `T.nnet.abstract_conv.bilinear_upsampling`.
    `padding="theano_same"`: the padding in front is k // 2 for a convolution and k - 2 (odd k > 2) or k - 1 for
    pooling, whatever the stride; the output has ceil(n / stride) elements. A transposed convolution is the reverse.
    `theano=True` for SReLU: `K.relu` limited after the slope on the left, not before.
    `recurrent_padding="theano_same"`: likewise for the states of ConvLSTM2D, where the kernel is even.
    `padding="cntk_same"`: unknown; CNTK cannot be run any more.
    """
    changed = dict(config)
    if kind == "UpSampling2D" and config.get("interpolation") == "bilinear" and not era.tf_keras:
        changed["interpolation"] = "theano_bilinear" if era.backend == "theano" else "keras2_tf1_bilinear"
    if kind == "SReLU" and era.backend == "theano":
        changed["theano"] = True
    if config.get("padding") == "same" and era.backend in ("theano", "cntk") and not centred(kind, config):
        changed["padding"] = f"{era.backend}_same"
    even = any(isinstance(size, int) and size % 2 == 0 for size in sizes(config.get("kernel_size")))
    if kind == "ConvLSTM2D" and even and era.backend in ("theano", "cntk"):
        changed["recurrent_padding"] = f"{era.backend}_same"
    return changed


def centred(kind: str, config: Config) -> bool:
    """Whether every backend pads alike for "same": where the window moves by one and has a centre."""
    if kind in POOLING:
        window = config.get("pool_size", 2)
        moves = sizes(config.get("strides") or window)
        return all(step == 1 for step in moves) and all(size in (1, 3) for size in sizes(window))
    if kind in CONVOLUTIONS | TRANSPOSED:
        odd = all(isinstance(size, int) and size % 2 for size in sizes(config.get("kernel_size")))
        return odd and all(step == 1 for step in sizes(config.get("strides", 1)))
    return True


def sizes(value: Any) -> list[Any]:
    """A number or a list of numbers as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]
