"""Vocabularies: words and numbers as their places, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from k2t.errors import UntranslatableError
from k2t.graph import Array
from k2t.program import Code, Parameter, Value, Variable, Weight
from k2t.rules.base import Example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.categorical import encode

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
# Older names of two modes.
MODE_NAMES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
# Vocabularies of more characters than this lie among the weights.
MAX_WRITTEN = 400
SEPARATOR = "\0"


@dataclass(frozen=True)
class Lookup:
    """What the options of a lookup say.

    Attributes:
        tokens: the vocabulary without special tokens.
        first: the first place for what is not in it, behind that of the mask.
        unknown: how many such places there are.
        depth: the length of encoded outputs.
        idf: weights of all places as the configuration has them, or None.
    """

    tokens: list[Any]
    first: int
    unknown: int
    mode: str
    depth: int
    idf: Array | None

    @property
    def start(self) -> int:
        """The place of the first token."""
        return self.first + self.unknown


def lookup(
    vocabulary: Any, mask: Any, oov: Any, unknown: int, mode: str, padded_to: int | None, weights: Any = None
) -> Lookup:
    """A lookup; the vocabulary of a file may begin with the mask's and the unknowns' tokens.

    Raises:
        UntranslatableError: there is no vocabulary, or a mode that Keras does not have.
    """
    mode = MODE_NAMES.get(mode, mode)
    require(mode, MODES, "output_mode")
    if not isinstance(vocabulary, list) or not vocabulary:
        raise UntranslatableError(
            "the file does not hold its vocabulary: save the model as .keras, or make the layer with vocabulary=[...]"
        )
    first = 1 if mask is not None and mode == "int" else 0
    special = [mask] * first + [oov] * unknown
    bare = vocabulary[: len(special)] != special
    tokens = vocabulary if bare else vocabulary[len(special) :]
    depth = padded_to or len(special) + len(tokens)
    idf = None
    if weights is not None:
        front = len(special) if bare else 0
        idf = np.pad(np.asarray(weights, np.float64), (front, 0), constant_values=float(np.average(weights)))
        idf = np.pad(idf, (0, depth - len(idf)))
    return Lookup(tokens, first, unknown, mode, depth, idf)


def encoded(b: Builder, places: Value, found: Lookup) -> Value:
    """Places as the output mode wants them."""
    if found.mode != "tf_idf":
        return encode(b, places, found.mode, found.depth)
    counts = encode(b, places, "count", found.depth)
    return b.call("*", counts, idf_weights(b, found), shape=counts.shape)


def idf_weights(b: Builder, found: Lookup) -> Parameter:
    """The weight of each place: a variable of the file, or of the configuration where the file keeps none."""
    weights = b.layer.weights
    if weights is not None and (weights.tree or weights.flat):
        variable = idf_variable(b, "idf_weights", found.depth)
        if "lookup_layer/vars/idf_weights" in (weights.tree or {}):
            idf_variable(b, "lookup_layer/idf_weights", found.depth)  # the same again
        return b.parameter("idf_weights", variable, axes=(-1,), buffer=True)
    if found.idf is None:
        raise UntranslatableError("the file does not hold its idf_weights: save the model as .keras")
    return b.constant("idf_weights", found.idf, axes=(-1,))


def idf_variable(b: Builder, name: str, depth: int) -> Variable:
    """A variable that archives keep by its name."""
    variable = b.variable(name, (depth,), trainable=False)
    variable.key = f"{variable.key.rpartition('/')[0]}/idf_weights"
    return variable


def stored(tokens: list[str]) -> dict[str, Weight]:
    """The words as a buffer."""
    if any(SEPARATOR in token for token in tokens):
        raise UntranslatableError("a word of its vocabulary holds the character NUL, which separates words here")
    text = np.frombuffer(SEPARATOR.join(tokens).encode(), np.uint8)
    return {"vocabulary": Weight((), lambda: text, buffer=True, trainable=False, dtype="uint8")}


def hash_of(salt: Any) -> Code:
    """The hash function: FarmHash, or with a salt SipHash."""
    if salt is None:
        return Code("farmhash64")
    first, second = salt if isinstance(salt, list | tuple) else (salt, salt)
    return Code(f"SipHash({int(first)}, {int(second)})")


def places_of(b: Builder, words: Value, found: Lookup, mask: str | None, salt: Any = None) -> Value:
    """The places of words."""
    options: dict[str, Any] = {"first": found.first} if found.first else {}
    options |= {"unknown": found.unknown} if found.unknown != 1 else {}
    options |= {"mask": mask} if mask is not None else {}
    options |= {"choose": hash_of(salt)} if found.unknown > 1 else {}
    if sum(map(len, found.tokens)) <= MAX_WRITTEN:
        module = b.module("StringLookup", found.tokens, role="vocabulary", **options)
    else:
        weights: dict[str, Weight | None] = {**stored(found.tokens)}
        size = len(SEPARATOR.join(found.tokens).encode())
        module = b.module("StoredStringLookup", size, role="vocabulary", weights=weights, **options)
    return b.call(module, words, shape=words.shape, dtype="int64", layout="keras")


WORDS = ("red", "green", "blue", "grün", "violet", "a much longer name of a colour, for hashes of long words")
COLOURS = ["red", "green", "blue"]


def words(*shape: int | None, mask: bool = False, **options: Any) -> Example:
    """An example with words as inputs."""
    return Example((shape,), options, words=("", *WORDS) if mask else WORDS)


@rule(
    "StringLookup",
    text=True,
    examples=[
        words(4, vocabulary=COLOURS),
        words(4, vocabulary=["", "[UNK]", *COLOURS], mask_token="", mask=True),
        words(4, vocabulary=COLOURS, num_oov_indices=3),
        words(4, vocabulary=COLOURS, num_oov_indices=3, salt=[5, 7]),
        words(4, vocabulary=list(WORDS), num_oov_indices=0),
        words(4, vocabulary=[f"word {i}" for i in range(99)] + COLOURS),
        words(4, vocabulary=COLOURS, output_mode="one_hot"),
        words(1, vocabulary=COLOURS, output_mode="one_hot", max_tokens=7, pad_to_max_tokens=True),
        words(4, vocabulary=COLOURS, output_mode="multi_hot", mask_token="", mask=True),
        words(4, vocabulary=COLOURS, output_mode="count", num_oov_indices=2),
        words(4, vocabulary=COLOURS, output_mode="tf_idf", idf_weights=[0.5, 1.5, 0.25]),
        Example(((4,),), {"vocabulary": COLOURS, "invert": True, "mask_token": ""}, integers=7),
    ],
)
def string_lookup(
    b: Builder,
    x: Value,
    *,
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: str | None = None,
    oov_token: str = "[UNK]",
    vocabulary: Any = None,
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    pad_to_max_tokens: bool = False,
    sparse: bool = False,
    encoding: str = "utf-8",
    salt: Any = None,
    vocabulary_size: int | None = None,
    has_input_vocabulary: bool | None = None,
    oov_method: str | None = None,
) -> Value:
    """A local module: a dict of words, or the words of places."""
    require(encoding, ("utf-8", None), "encoding")
    size = max_tokens if pad_to_max_tokens else None
    found = lookup(vocabulary, mask_token, oov_token, num_oov_indices, output_mode, size, idf_weights)
    if not invert:
        return encoded(b, places_of(b, x, found, mask_token, salt), found)
    options: dict[str, Any] = {} if mask_token is None else {"mask": mask_token}
    length = len(SEPARATOR.join(found.tokens).encode())
    weights: dict[str, Weight | None] = {**stored(found.tokens)}
    module = b.module("WordsOf", length, found.start, oov_token, weights=weights, **options)
    return b.call(module, x, shape=x.shape, dtype="string", layout="keras")


@rule(
    "IntegerLookup",
    examples=[
        Example(((4,),), {"vocabulary": [3, 5, 1]}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "mask_token": 0}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "num_oov_indices": 3}, integers=9),
        Example(((4,),), {"vocabulary": [3, 5, 1], "num_oov_indices": 3, "oov_method": "farmhash"}, integers=9),
        Example(((4,),), {"vocabulary": [3, 5, 1], "invert": True, "mask_token": 0}, integers=9),
        Example(((4,),), {"vocabulary": list(range(7)), "num_oov_indices": 0}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "output_mode": "one_hot"}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "output_mode": "multi_hot", "mask_token": 2}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5, 1], "output_mode": "count"}, integers=7),
        Example(((4,),), {"vocabulary": [3, 5], "output_mode": "tf_idf", "idf_weights": [0.5, 2.0]}, integers=7),
    ],
)
def integer_lookup(
    b: Builder,
    x: Value,
    *,
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    vocabulary: Any = None,
    vocabulary_dtype: str = "int64",
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    sparse: bool = False,
    pad_to_max_tokens: bool = False,
    oov_method: str | None = None,
    salt: Any = None,
    vocabulary_size: int | None = None,
    has_input_vocabulary: bool | None = None,
    encoding: str = "utf-8",
) -> Value:
    """A comparison with the vocabulary."""
    size = max_tokens if pad_to_max_tokens else None
    found = lookup(vocabulary, mask_token, oov_token, num_oov_indices, output_mode, size, idf_weights)
    numbers = b.constant("vocabulary", np.asarray(found.tokens, np.int64))
    if invert:
        y = b.call("at_place", x, numbers, found.start, oov_token, shape=x.shape, dtype="int64", layout="keras")
        return y if mask_token is None else filled(b, y, x, 0, mask_token)
    missing: Any = found.first if found.unknown else -1
    if found.unknown > 1:
        missing = unknown_places(b, x, found, oov_method == "farmhash", salt)
    y = b.call("look_up", x, numbers, found.start, missing, shape=x.shape, dtype="int64", layout="keras")
    return encoded(b, y if mask_token is None else filled(b, y, x, mask_token, found.first - 1), found)


def filled(b: Builder, y: Value, x: Value, marked: int, value: int) -> Value:
    """`y` with another value where `x` is marked."""
    hidden = b.call("==", x, marked, dtype="bool", layout="keras")
    return b.call(".masked_fill", y, hidden, value, shape=y.shape, layout="keras")


def unknown_places(b: Builder, x: Value, found: Lookup, hashed: bool, salt: Any) -> Value:
    """One of several places for numbers that are not in the vocabulary: by their hash, or by the number itself."""
    if hashed:
        module = b.module("Hashing", found.unknown, hash_of(salt), role="bins")
        place = b.call(module, x, shape=x.shape, dtype="int64", layout="keras")
    else:
        place = b.call("%", x, found.unknown, shape=x.shape, layout="keras")
    return b.call("+", place, found.first, shape=x.shape, layout="keras") if found.first else place
