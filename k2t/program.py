"""What will be written: a PyTorch module as data.

Shapes and axes are Keras's throughout. `lower` decides the layout of each value and turns the
layout-dependent arguments (`Axis`, `Axes`, `Pads`, `Index`, `Sizes`) into plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from k2t.graph import Array, Shape, StoredArray

# How an operation reads and writes the layout of its tensors:
#   any           the same layout for all, whichever it is (elementwise; axes are given as Axis, Axes, ...)
#   keras         Keras's order for all
#   first         channels first for all: (N, C, ...)
#   reduce        any; the axes given as Axes disappear from the output
#   reshape       Keras's order, except where only axes of size 1 would move
#   permute       reads any, writes any: `args = (x, Permutation)`
#   flatten       any: the order of the features is remembered until a linear layer absorbs it
#   linear        Keras's order; flattened features in any order, absorbed by the weights in `Module.absorbs`
#   merge_frames  (N, T, ...) -> (N * T, ...), each frame channels first or in Keras's order
#   split_frames  (N * T, ...) -> (N, T, ...), likewise
#   fixed         as the block that it calls has decided
LayoutKind = Literal[
    "any",
    "keras",
    "first",
    "reduce",
    "reshape",
    "permute",
    "flatten",
    "linear",
    "merge_frames",
    "split_frames",
    "fixed",
]


@dataclass(eq=False)
class Value:
    """A tensor that flows through `forward`.

    Attributes:
        shape, dtype: in Keras's order, batch included, None where unknown; Keras's name of it.
        mask, mask_taken: Keras's mask (N, T) that travels with it, or None; whether an attention has removed it since.
        layer: the Keras call whose output it is, or "".
    """

    shape: Shape
    dtype: str = "float32"
    mask: Value | None = None
    layer: str = ""
    mask_taken: bool = False

    @property
    def rank(self) -> int:
        """Number of axes, batch included."""
        return len(self.shape)


@dataclass(frozen=True)
class Axis:
    """One axis of the operation's first tensor, in Keras's order; may be negative."""

    index: int


@dataclass(frozen=True)
class Axes:
    """Several axes of the operation's first tensor, in Keras's order; may be negative."""

    indices: tuple[int, ...]


@dataclass(frozen=True)
class Pads:
    """(before, after) of each axis in Keras's order; written as F.pad takes it."""

    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Index:
    """One entry for each axis in Keras's order: a slice, an int or None (all); written as a subscript."""

    items: tuple[Any, ...]


@dataclass(frozen=True)
class Sizes:
    """One entry for each axis in Keras's order, such as a target shape; written as a tuple in the layout's order."""

    items: tuple[Any, ...]


@dataclass(frozen=True)
class Permutation:
    """`output axis i` is `input axis order[i]`, both in Keras's order, batch included."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Size:
    """The run-time size of one axis of a value, in Keras's order: `x.shape[axis]`."""

    value: Value
    axis: int


@dataclass(frozen=True)
class Device:
    """Where a value is at run time, for what is made there: `x.device`."""

    value: Value


@dataclass(frozen=True)
class Code:
    """An expression that is no tensor, verbatim: `torch.float32`."""

    text: str


@dataclass(frozen=True)
class Initializer:
    """The distribution from which Keras draws the first values of a variable.

    Attributes:
        kind: with these `values`:
            variance_scaling (scale, mode, distribution), uniform (lowest, highest), normal and
            truncated_normal (mean, standard deviation), orthogonal and identity (gain), constant (value),
            forget_gate (an initializer): the same with ones in the second of four parts.
    """

    kind: str
    values: tuple[Any, ...]


@dataclass(eq=False)
class Variable:
    """A variable of a Keras layer, as the layer creates it today.

    Attributes:
        name: its path below the layer: `kernel`, `cell/kernel`, `query_dense/kernel`.
        key: where a `.keras` archive keeps it, relative to the outermost layer: `cell/vars/0`.
        owner: names of the layers around it, outermost first.
        trainable: whether Keras trains it, the flags of all layers around it included.
        array: its values in the file; None until bound, and for code without weights.
        initializer: None where it is not known.
        fans: how many inputs and outputs Keras counts for its initializer.
    """

    name: str
    key: str
    owner: tuple[str, ...]
    shape: tuple[int, ...]
    trainable: bool
    dtype: str = "float32"
    array: StoredArray | None = None
    initializer: Initializer | None = None
    fans: tuple[int, int] = (1, 1)

    @property
    def stored_dtype(self) -> str:
        """The dtype of its values in the file."""
        return str(self.array.dtype) if self.array else self.dtype

    @property
    def keras_name(self) -> str:
        """For people: `conv1/kernel`."""
        return "/".join((*self.owner, self.name))


@dataclass(frozen=True)
class Weight:
    """An entry of a module's state: a function of Keras variables.

    Attributes:
        variables: what it is made of; empty for a constant such as torch's second bias.
        transform: the arrays of `variables`, in order -> the tensor's values; called on zeros to learn the shape.
        buffer: True for what torch keeps as a buffer.
        trainable: whether the parameter requires a gradient.
        dtype: of the file's tensor, where it is not that of the variables.
        start: after `lower`: what draws its values as Keras does, statements with `{}` for the tensor; None if unknown.
        text: after `lower`: the values of a constant as an expression, "" where that is too long.
    """

    variables: tuple[Variable, ...]
    transform: Callable[..., Array]
    buffer: bool = False
    trainable: bool = True
    dtype: str = ""
    start: tuple[str, ...] | None = None
    text: str = ""

    @property
    def stored_dtype(self) -> str:
        """The dtype of the file's tensor."""
        return self.dtype or self.variables[0].stored_dtype

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: all but how the values are made."""
        return vars(self) | {"transform": None}


@dataclass(eq=False)
class Module:
    """A submodule: the constructor call and the state.

    Attributes:
        call: the class as it is written: `nn.Conv2d`, the name of a helper, or a `Block`.
        role: a word that tells it from the layer's other modules (`depthwise`), "" for the only one.
        weights: state-dict key below the module -> weight.
        absorbs: state-dict key -> its axis along which input features lie, for layout `linear`.
        name: attribute name, given by `lower`; a dotted path below the block's class after `recover`.
        condition: an expression; where it is false, the attribute is an `nn.Identity()`.
        building, parts: statements that fill a container behind its constructor, verbatim; the classes they name.
        instances: in a class of `recover`, the modules of the model that it stands for.
        between: the values between the parts of an `nn.Sequential`.
    """

    call: str | Block
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Weight] = field(default_factory=dict)
    layer: str = ""
    role: str = ""
    absorbs: dict[str, int] = field(default_factory=dict)
    name: str = ""
    condition: str = ""
    building: list[str] = field(default_factory=list)
    parts: list[Block] = field(default_factory=list)
    instances: list[Module] = field(default_factory=list)
    between: list[Value] = field(default_factory=list)

    def tree(self) -> Iterator[Module]:
        """The module, and those among its arguments: the parts of an `nn.Sequential`."""
        yield self
        for leaf in leaves((self.args, self.kwargs)):
            if isinstance(leaf, Module):
                yield from leaf.tree()


@dataclass(eq=False)
class Parameter:
    """A tensor of the module itself: an nn.Parameter or a buffer; an argument of operations.

    Attributes:
        axes: the axes of the operation's tensors along which its own axes lie, in Keras's order counted from
            the end: (-1,) for one value per channel. Empty: used as it is, whatever the layout.
        sizes: the shape as it is written, where that is not `shape`.
        instances: in a class of `recover`, the parameters of the model that it stands for.
    """

    weight: Weight
    shape: tuple[int, ...]
    layer: str = ""
    role: str = ""
    axes: tuple[int, ...] = ()
    name: str = ""

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    sizes: tuple[int | Code, ...] = ()
    instances: list[Parameter] = field(default_factory=list)


@dataclass(eq=False)
class Branch:
    """Operations under a condition: `if self.residual: x = x + y`. The op's arguments are what they read.

    Attributes:
        condition: an expression.
        output: the value of `ops` that the op's output is.
        bypass: the value that it is otherwise.
    """

    condition: str
    ops: list[Op]
    output: Value
    bypass: Value

    def modules(self) -> list[Module]:
        """Each module once."""
        return list(dict.fromkeys(op.target for op in self.ops if isinstance(op.target, Module)))


@dataclass(eq=False)
class Op:
    """One step of `forward`.

    Attributes:
        target: a `Module` that is called, or what is written:
            `F.relu`, `torch.cat` a function; `.flatten` a method of the first argument;
            `+`, `@`, `<` an operator; `[]` a subscript; the name of a helper function; or a `Branch`.
        args, kwargs: values, parameters, constants, layout-dependent arguments, and lists or tuples of these.
        outputs: a value, or a nested tuple as the call returns it (None for a part not used).
    """

    target: str | Module | Branch
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any
    layout: LayoutKind = "any"
    layer: str = ""


@dataclass(frozen=True)
class Argument:
    """A parameter of a constructor, with the default as it is written."""

    name: str
    annotation: str = "int"
    default: str | None = None


@dataclass(eq=False)
class Block:
    """A class to be written: the model, a model nested in it, or what several parts of it have in common.

    Attributes:
        outputs: a value, or a list, tuple or dict of them, as `forward` returns it.
        layouts: after `lower`: value -> order of its axes (`torch = keras.permute(order)`).
        arguments, setup: of the constructor; statements at its start, verbatim.
        summary: the docstring, where the shapes alone would not do.
        owners: after `lower`: Keras's names of the model and of the models around it; those of layers may begin so.
    """

    name: str
    inputs: list[Value]
    input_names: list[str]
    ops: list[Op]
    outputs: Any
    layouts: dict[Value, tuple[int, ...]] = field(default_factory=dict)
    arguments: list[Argument] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    summary: str = ""
    owners: tuple[str, ...] = ()

    def all_ops(self) -> Iterator[Op]:
        """The operations, those under a condition included."""
        for op in self.ops:
            yield from op.target.ops if isinstance(op.target, Branch) else (op,)

    def order(self, value: Value) -> list[int] | None:
        """How a value lies: `torch = keras.permute(order)`, None where both agree."""
        order = self.layouts.get(value, tuple(range(value.rank)))
        return None if order == tuple(range(value.rank)) else list(order)

    def modules(self) -> Iterator[Module]:
        """Each module once, in the order of first use."""
        seen: set[int] = set()
        for op in self.all_ops():
            if isinstance(op.target, Module) and id(op.target) not in seen:
                seen.add(id(op.target))
                yield op.target

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter of the block itself once, in the order of first use."""
        seen: set[int] = set()
        for op in self.all_ops():
            for leaf in leaves((op.args, op.kwargs)):
                if isinstance(leaf, Parameter) and id(leaf) not in seen:
                    seen.add(id(leaf))
                    yield leaf


def leaves(structure: Any) -> Iterator[Any]:
    """Everything inside nested lists, tuples and dicts, in order."""
    if not isinstance(structure, (list, tuple, dict)):
        yield structure
        return
    for item in structure.values() if isinstance(structure, dict) else structure:
        if isinstance(item, (list, tuple, dict)):
            yield from leaves(item)
        else:
            yield item


def values(structure: Any) -> Iterator[Value]:
    """Every `Value` inside nested arguments, in order; the subject of a `Size` or `Device` included."""
    for leaf in leaves(structure):
        if isinstance(leaf, Value):
            yield leaf
        elif isinstance(leaf, Size | Device):
            yield leaf.value
        elif isinstance(leaf, Sizes):
            yield from values(leaf.items)


def plain(values: Sequence[int]) -> Any:
    """A tuple as a person writes it: one number where all are equal."""
    return values[0] if len(set(values)) == 1 else tuple(values)
