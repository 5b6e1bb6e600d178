"""Text: words of texts, and hashes of words and numbers."""

from __future__ import annotations

from typing import Any

from k2t.errors import UntranslatableError
from k2t.program import Value
from k2t.rules.base import Example, require, rule
from k2t.rules.builder import Builder
from k2t.rules.categorical import encode
from k2t.rules.lookup import encoded, hash_of, lookup, places_of, words

STANDARDS = (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")
SPLITS = {"whitespace": "split_words", "character": "split_characters"}


def standardized(b: Builder, x: Value, standardize: Any) -> Value:
    """Lower case, and no punctuation."""
    require(standardize, STANDARDS, "standardize")
    if standardize is None:
        return x
    options: dict[str, Any] = {key: False for key in ("lower", "strip") if key not in standardize}
    return b.call("standardize_text", x, layout="keras", **options)


def tokens(b: Builder, x: Value, split: Any, widths: tuple[int, ...] | None, length: int | None) -> Value:
    """The words of each text, of shape (N, T): filled with empty words, which are no words."""
    require(split, (None, *SPLITS), "split")
    if split is None:
        if x.rank != 2:
            raise UntranslatableError(f"split=None needs inputs of shape (N, T), has {x.shape}")
        count = x.shape[1]
    else:
        if x.rank > 2 or (x.rank == 2 and x.shape[1] != 1):
            raise UntranslatableError(f"splits texts of shape (N,) or (N, 1), has {x.shape}")
        x, count = b.call(SPLITS[split], x, shape=(x.shape[0], None), layout="keras"), None
    if widths is not None:
        count = None if count is None else sum(max(count - n + 1, 0) for n in widths)
        x = b.call("ngrams", x, *widths, shape=(x.shape[0], count), layout="keras")
    if split is None and length is None:
        return x
    sizes = [] if length is None else [length]
    return b.call("padded", x, *sizes, shape=(x.shape[0], length), layout="keras")


VOCABULARY = ["the", "a", "cat", "green", "the green", "violet", "e", "l"]
TEXTS = (" The cat, the GREEN cat!", "a Violet", "", "cat-a-log É\tthe\n green", "the green a the green")


def texts(*shape: int | None, **options: Any) -> Example:
    """An example with texts as inputs."""
    return Example((shape,), {"vocabulary": VOCABULARY, **options}, words=TEXTS)


@rule(
    "TextVectorization",
    text=True,
    examples=[
        texts(1),
        texts(),
        texts(1, output_sequence_length=3),
        texts(1, output_sequence_length=9, ngrams=2),
        texts(1, standardize="lower", split="character"),
        texts(1, standardize="strip_punctuation", ngrams=(2, 1)),
        texts(1, standardize=None, output_mode="multi_hot"),
        texts(3, split=None, output_sequence_length=2),
        texts(3, split=None, ngrams=2),
        texts(1, output_mode="count", max_tokens=12, pad_to_max_tokens=True),
        texts(1, output_mode="tf_idf", idf_weights=[0.5, 1.0, 2.0, 4.0, 0.25, 3.0, 1.5, 1.25]),
        texts(1, vocabulary=[f"word{i}" for i in range(99)] + VOCABULARY),
    ],
)
def text_vectorization(
    b: Builder,
    x: Value,
    *,
    max_tokens: int | None = None,
    standardize: Any = "lower_and_strip_punctuation",
    split: Any = "whitespace",
    ngrams: Any = None,
    output_mode: str = "int",
    output_sequence_length: int | None = None,
    pad_to_max_tokens: bool = False,
    vocabulary: Any = None,
    idf_weights: Any = None,
    sparse: bool = False,
    ragged: bool = False,
    encoding: str = "utf-8",
    vocabulary_size: int | None = None,
    has_input_vocabulary: bool | None = None,
) -> Value:
    """Local functions that split texts into words, and a module with a dict of these."""
    require(ragged, (False,), "ragged")
    require(encoding, ("utf-8", None), "encoding")
    size = max_tokens if pad_to_max_tokens else None
    found = lookup(vocabulary, "", "[UNK]", 1, output_mode, size, idf_weights)
    widths = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else None if ngrams is None else tuple(ngrams)
    parts = tokens(b, standardized(b, x, standardize), split, widths, output_sequence_length)
    return encoded(b, places_of(b, parts, found, mask=""), found)


@rule(
    "Hashing",
    text=True,
    examples=[
        words(4, num_bins=5),
        words(4, num_bins=5, salt=[133, 137]),
        words(4, num_bins=5, salt=9, mask_value="red"),
        words(4, num_bins=5, output_mode="multi_hot"),
        words(1, num_bins=5, output_mode="one_hot"),
        Example(((4,),), {"num_bins": 7}, integers=999),
        Example(((4,),), {"num_bins": 7, "mask_value": 3, "output_mode": "count"}, integers=5),
    ],
)
def hashing(
    b: Builder,
    x: Value,
    *,
    num_bins: int,
    mask_value: Any = None,
    salt: Any = None,
    output_mode: str = "int",
    sparse: bool = False,
) -> Value:
    """A local module: FarmHash, or SipHash with a salt."""
    require(output_mode, ("int", "one_hot", "multi_hot", "count"), "output_mode")
    options = {} if mask_value is None else {"mask": mask_value}
    bins = b.module("Hashing", num_bins, hash_of(salt), role="bins", **options)
    return encode(b, b.call(bins, x, shape=x.shape, dtype="int64", layout="keras"), output_mode, num_bins)


@rule(
    "HashedCrossing",
    text=True,
    examples=[
        Example(((1,), (1,)), {"num_bins": 7}, words=("a", "b", "cat")),
        Example(((1,), (1,)), {"num_bins": 99, "output_mode": "one_hot"}, integers=9),
    ],
)
def hashed_crossing(
    b: Builder, inputs: list[Value], *, num_bins: int, output_mode: str = "int", sparse: bool = False
) -> Value:
    """A local module: FarmHash of each, combined."""
    require(output_mode, ("int", "one_hot"), "output_mode")
    bins = b.module("HashedCrossing", num_bins, role="bins")
    return encode(b, b.call(bins, *inputs, shape=inputs[0].shape, dtype="int64", layout="keras"), output_mode, num_bins)
