"""What a random model does with its tensors besides calling one layer on one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fuzz_layers import ACTIVATIONS, SMALL

from k2t.graph import map_structure
from k2t.program import leaves
from k2t.rules.base import RULES
from k2t.rules.operations.base import EXAMPLES, Call, Given

# (the maker, a tensor, all tensors) -> new tensors, nested anyhow, or None where this does not fit
Action = Callable[[Any, Any, list[Any]], Any]

MERGES = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate", "Concatenate")
# Drawn anew at each call, of any value, or the same bits read as other numbers.
NOT_CALLED = ("random", "dropout", "empty", "view")

# What Python's operators record in a functional model, in any Keras.
OPERATORS: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (y * y + 1.0),
    lambda x, y: 1.0 - x,
    lambda x, y: 2.0 * x + 1.5,
    lambda x, y: 3.0 / (x * x + 0.5),
    lambda x, y: -x,
    lambda x, y: x**2,
    lambda x, y: x[:, 1:],
    lambda x, y: x[:, :-1],
    lambda x, y: x[:, ::2],
    lambda x, y: x[:, ::-1],
    lambda x, y: x[:, -1],
    lambda x, y: x[:, 0:1],
    lambda x, y: x[:, None],
    lambda x, y: x[..., None],
    lambda x, y: x[..., :1],
    lambda x, y: x[..., 0],
    lambda x, y: x[:, :, 1:],
    lambda x, y: x[:, 1, ..., -1],
    lambda x, y: x[1:],
]

# Calls of TensorFlow in models of Keras 2: (tf, x, another tensor of its shape) -> tensors.
TENSORFLOW: list[Callable[[Any, Any, Any], Any]] = [
    lambda tf, x, y: tf.nn.relu(x),
    lambda tf, x, y: tf.tanh(x) * tf.sigmoid(y),
    lambda tf, x, y: tf.math.square(x) - y,
    lambda tf, x, y: tf.exp(-tf.abs(x)),
    lambda tf, x, y: tf.reduce_mean(x, axis=1),
    lambda tf, x, y: tf.reduce_sum(x, axis=-1, keepdims=True),
    lambda tf, x, y: tf.reduce_max(x, axis=[1, -1]),
    lambda tf, x, y: tf.concat([x, y], axis=-1),
    lambda tf, x, y: tf.concat([x, y], axis=1),
    lambda tf, x, y: tf.stack([x, y], axis=1),
    lambda tf, x, y: tf.expand_dims(x, 1),
    lambda tf, x, y: tf.squeeze(x[:, :1], axis=1),
    lambda tf, x, y: tf.split(x, 2, axis=-1),
    lambda tf, x, y: tf.unstack(x, axis=1),
    lambda tf, x, y: tf.transpose(x, [0, *range(len(x.shape) - 1, 0, -1)]),
    lambda tf, x, y: tf.reshape(x, [-1, *x.shape[2:], x.shape[1]]),
    lambda tf, x, y: tf.reshape(x, [tf.shape(x)[0], -1]),
    lambda tf, x, y: tf.matmul(x, y, transpose_b=True),
    lambda tf, x, y: tf.where(x > 0, x, y),
    lambda tf, x, y: tf.clip_by_value(x, -0.5, 0.5),
    lambda tf, x, y: tf.nn.softmax(x, axis=1),
    lambda tf, x, y: tf.pad(x, [[0, 0], [1, 2], *[[0, 0]] * (len(x.shape) - 2)]),
    lambda tf, x, y: tf.tile(x, [1, 2, *[1] * (len(x.shape) - 2)]),
    lambda tf, x, y: tf.gather(x, [1, 0], axis=1),
    lambda tf, x, y: tf.cast(x > 0.5, x.dtype),
    lambda tf, x, y: tf.cast(tf.argmax(x, axis=-1), x.dtype),
    lambda tf, x, y: tf.math.l2_normalize(x, axis=-1),
    lambda tf, x, y: tf.image.resize(x, [4, 6]),
    lambda tf, x, y: tf.nn.avg_pool2d(x, 2, 2, "SAME"),
    lambda tf, x, y: x @ tf.transpose(y, [0, 2, 1]),
    lambda tf, x, y: tf.maximum(x, y) + tf.minimum(x, 0.1),
]


def merge(m: Any, x: Any, tensors: list[Any]) -> Any:
    """Some tensors joined, of the same shape or such that they broadcast."""
    kind = m.choose(*MERGES)
    if kind == "Concatenate" and m.maybe():
        axis = m.choose(*range(1, len(x.shape)), -1) if len(x.shape) > 1 else -1
        return m.layers.Concatenate(axis=axis)([x, m.like(x, tensors, 0.3)])
    others = [m.like(x, tensors, 0.2) for _ in range(1 if kind == "Subtract" else m.choose(1, 1, 2))]
    return getattr(m.layers, kind)()([x, *others])


def operator(m: Any, x: Any, tensors: list[Any]) -> Any:
    """One of Python's operators."""
    return m.choose(*OPERATORS)(x, m.like(x, tensors))


def operation(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A function of TensorFlow or of keras.ops."""
    if m.keras_3:
        return recorded(m, x, tensors)
    import tensorflow as tf

    return m.choose(*TENSORFLOW)(tf, x, m.like(x, tensors))


def recorded(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A function of keras.ops, called as in one of its examples."""
    name, example = m.choose(*[item for item in CALLS if item[2] == len(x.shape)])[:2]
    if name == "scatter_update":
        raise ValueError("its examples have as many updates as places, which no batch has")
    given = list(
        {id(leaf): leaf for leaf in leaves((example.args, example.kwargs)) if isinstance(leaf, Given)}.values()
    )
    chosen = {id(item): in_range(m, x if n == 0 else m.like(x, tensors), item) for n, item in enumerate(given)}
    args, kwargs = map_structure(lambda leaf: chosen.get(id(leaf), leaf), (example.args, example.kwargs))
    function = getattr(m.keras.ops, name, None) or getattr(m.keras.ops.image, name)
    made = [y for y in leaves(function(*args, **kwargs)) if y is not None]
    made = [y for y in made if "complex" not in y.dtype]
    return [y if "float" in y.dtype else m.keras.ops.cast(y, m.floatx) for y in made]


def in_range(m: Any, x: Any, given: Given) -> Any:
    """The tensor, brought to where the example's numbers lie."""
    ops = m.keras.ops
    if given.below:
        return ops.cast(ops.floor(ops.sigmoid(x) * (given.below - 0.01)), "int32")
    low, high = given.between or (0, 0)
    return ops.sigmoid(x) * (high - low) + low if given.between else x


def calls() -> list[tuple[str, Call, int]]:
    """Examples of operations whose inputs have the same rank: the name, the example, the rank."""
    found = []
    for name, examples in EXAMPLES.items():
        for example in examples:
            given = [leaf for leaf in leaves((example.args, example.kwargs)) if isinstance(leaf, Given)]
            ranks = {len(item.shape) for item in given}
            if len(ranks) == 1 and not any(word in name for word in NOT_CALLED) and not any(i.step for i in given):
                found.append((name, example, ranks.pop()))
    return found


CALLS = calls()


def several(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A layer that takes several tensors, as it is in an example of its rule."""
    kind, example = m.choose(*SEVERAL)
    if len(example.shapes[0]) + 1 != len(x.shape) or not hasattr(m.layers, kind):
        return None
    options = {key: value for key, value in example.options.items() if not isinstance(value, tuple)}
    others = []
    for shape in example.shapes[1:]:
        fitting = [other for other in tensors if len(other.shape) == len(shape) + 1]
        if not fitting:
            return None
        others.append(m.like(x, tensors) if len(shape) + 1 == len(x.shape) and m.maybe() else m.choose(*fitting))
    layer = getattr(m.layers, kind)(**options)
    apart = kind in ("MultiHeadAttention", "GroupQueryAttention")
    return layer(x, *others, **example.calls) if apart else layer([x, *others], **example.calls)


SEVERAL = [
    (kind, example)
    for kind, rule in RULES.items()
    for example in rule.examples
    if len(example.shapes) > 1 and not (example.refuses or example.integers or example.words or example.states)
]


def attention(m: Any, x: Any, tensors: list[Any]) -> Any:
    """Attention of a sequence to itself or to another one."""
    if len(x.shape) != 3:
        return None
    layer = m.layers.MultiHeadAttention(m.choose(1, 2), m.choose(2, 3), use_bias=m.maybe(0.8))
    sequences = [other for other in tensors if len(other.shape) == 3]
    options: dict[str, Any] = {}
    if m.maybe(0.2):
        options["use_causal_mask"] = True
    if m.maybe(0.2):
        options["return_attention_scores"] = True
    if m.maybe(0.2):
        options["attention_mask"] = x[:, :, :1] > x[:, :1, 0:1] - 1.0
        return layer(x, x, **options)
    return layer(x, x if m.maybe() else m.choose(*sequences), **options)


def masked(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A layer that is given a mask."""
    layer = m.layer(x.shape)
    return layer(x, mask=x[..., 0] > -0.7) if len(x.shape) == 3 and layer is not None else None


def states(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A recurrent layer whose states are used, and go to another one."""
    if len(x.shape) != 3:
        return None
    kind, units, both = m.choose("LSTM", "GRU", "SimpleRNN"), m.choose(2, 3), m.maybe(0.3)
    make = getattr(m.layers, kind)
    first = make(units, return_state=True, return_sequences=m.maybe())
    y, *found = (m.layers.Bidirectional(first) if both else first)(x)
    second = make(units, return_sequences=m.maybe(), stateful=m.maybe(0.1) and x.shape[0] is not None)
    sequences = [other for other in tensors if len(other.shape) == 3]
    z = (m.layers.Bidirectional(second) if both else second)(m.choose(*sequences), initial_state=found)
    return [y, z, *(found if m.maybe(0.3) else ())]


def both_ways(m: Any, x: Any, tensors: list[Any]) -> Any:
    """Bidirectional with a merge of its own, or another layer on the way back."""
    if len(x.shape) != 3:
        return None
    kind, units, sequences = m.choose("LSTM", "GRU", "SimpleRNN"), m.choose(*SMALL), m.maybe()
    forward = getattr(m.layers, kind)(units, return_sequences=sequences, activation=m.choose("tanh", "relu"))
    options: dict[str, Any] = {"merge_mode": m.choose("concat", "sum", "mul", "ave", None)}
    if m.maybe():
        other = m.choose("LSTM", "GRU", "SimpleRNN")
        options["backward_layer"] = getattr(m.layers, other)(
            units, return_sequences=sequences, go_backwards=True, use_bias=m.maybe(0.7)
        )
    made = m.layers.Bidirectional(forward, **options)(x)
    return m.layers.Subtract()(made) if options["merge_mode"] is None else made


def activated(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A function of keras.activations, called like a layer."""
    return getattr(m.keras.activations, m.choose(*ACTIVATIONS[1:12]))(x)


def nested(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A model inside: a new one, or one that was called before."""
    fitting = [model for shape, model in m.models if shape == tuple(x.shape)]
    model = m.choose(*fitting) if fitting and m.maybe(0.6) else m.inner_model(x.shape)
    if model is None:
        return None
    m.models.append((tuple(x.shape), model))
    return model(x)


def nested_pair(m: Any, x: Any, tensors: list[Any]) -> Any:
    """A model inside that takes two tensors and may return two."""
    other = m.choose(*tensors)
    model = m.inner_model(x.shape, other.shape)
    return model([x, other]) if model is not None else None


ACTIONS: list[Action] = [
    *(merge, merge, merge, operator, operator, operation, operation, several, attention),
    *(masked, states, both_ways, activated, nested, nested, nested_pair),
]
