"""Words in lists, nested as a tensor of strings would be, and the numbers that stand for them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from k2t.emit.helpers.hashing import crossed

PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def each(function: Callable[..., Any], *items: Any) -> Any:
    """The function of every item of nested lists, as lists nested likewise."""
    if isinstance(items[0], list | tuple):
        return [each(function, *parts) for parts in zip(*items, strict=True)]
    return function(*items)


def standardize_text(text: Any, lower: bool = True, strip: bool = True) -> Any:
    """Each text in lower case (ASCII letters only), without punctuation."""

    def changed(text: str) -> str:
        text = text.encode().lower().decode() if lower else text
        return text.translate(PUNCTUATION) if strip else text

    return each(changed, text)


def split_words(text: Any) -> list[list[str]]:
    """The words of each text of a list, or of a list of lists of one text."""
    lines = [line[0] if isinstance(line, list | tuple) else line for line in text]
    return [[word.decode() for word in line.encode().split()] for line in lines]


def split_characters(text: Any) -> list[list[str]]:
    """The characters of each text of a list, or of a list of lists of one text."""
    return [list(line[0] if isinstance(line, list | tuple) else line) for line in text]


def ngrams(rows: list[list[str]], *widths: int) -> list[list[str]]:
    """All runs of so many words of each row, those of the first width first."""
    return [
        [" ".join(row[i : i + n]) for n in widths for i in range(len(row) - n + 1)] for row in rows
    ]


def padded(rows: list[list[str]], length: int | None = None) -> list[list[str]]:
    """Rows of one length, that of the longest or the given one: cut, or filled with empty words."""
    size = max(map(len, rows), default=0) if length is None else length
    return [row[:size] + [""] * (size - len(row)) for row in rows]


class StringLookup(nn.Module):
    """The place of each word in a vocabulary.

    Args:
        first: the first place for words that are not in it; the vocabulary begins behind these.
        unknown: how many such places there are; `choose` says which.
        mask: the word that is no word: its place is `first` - 1.
    """

    anchor: Tensor

    def __init__(
        self,
        vocabulary: list[str],
        first: int = 0,
        unknown: int = 1,
        mask: str | None = None,
        choose: Callable[[str], int] = lambda word: 0,
    ) -> None:
        super().__init__()
        self.first, self.unknown, self.mask, self.choose = first, unknown, mask, choose
        self.places = {word: first + unknown + i for i, word in enumerate(vocabulary)}
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    def place(self, word: str) -> int:
        if word == self.mask:
            return self.first - 1
        known = self.places.get(word)
        if known is not None:
            return known
        if not self.unknown:
            raise ValueError(f"{word!r} is not in the vocabulary")
        return self.first + self.choose(word) % self.unknown

    def forward(self, words: Any) -> Tensor:
        return torch.tensor(each(self.place, words), dtype=torch.int64, device=self.anchor.device)


class StoredStringLookup(StringLookup):
    """A vocabulary that lies among the weights: `size` bytes of UTF-8, a NUL between two words."""

    vocabulary: Tensor

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__([], **options)
        self.register_buffer("vocabulary", torch.zeros(size, dtype=torch.uint8))

    def forward(self, words: Any) -> Tensor:
        if not self.places:
            vocabulary = bytes(self.vocabulary.tolist()).decode().split("\0")
            start = self.first + self.unknown
            self.places = {word: start + i for i, word in enumerate(vocabulary)}
        return super().forward(words)


class WordsOf(nn.Module):
    """The words at places in a vocabulary: `size` bytes of UTF-8, a NUL between two words.

    Args:
        first: the place of its first word.
        unknown: the word for places outside of it.
        mask: the word for place 0; None: that place is like others.
    """

    vocabulary: Tensor

    def __init__(self, size: int, first: int, unknown: str, mask: str | None = None) -> None:
        super().__init__()
        self.first, self.unknown, self.mask = first, unknown, mask
        self.register_buffer("vocabulary", torch.zeros(size, dtype=torch.uint8))

    def forward(self, x: Tensor) -> Any:
        words = bytes(self.vocabulary.tolist()).decode().split("\0")
        known = dict(enumerate(words, self.first))
        if self.mask is not None:
            known[0] = self.mask
        return each(lambda place: known.get(place, self.unknown), x.tolist())


class Hashing(nn.Module):
    """A bin for each word or number, by the hash of its text.

    Args:
        mask: the item that has bin 0 for itself.
    """

    anchor: Tensor

    def __init__(
        self, bins: int, hash: Callable[[str], int], mask: str | float | None = None
    ) -> None:
        super().__init__()
        self.bins, self.hash, self.mask = bins, hash, mask
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    def bin(self, item: str | float) -> int:
        word = item if isinstance(item, str) else str(int(item))
        if self.mask is None or self.bins == 1:
            return self.hash(word) % self.bins
        return 0 if item == self.mask else 1 + self.hash(word) % (self.bins - 1)

    def forward(self, x: Any) -> Tensor:
        items = x.tolist() if isinstance(x, Tensor) else x
        return torch.tensor(each(self.bin, items), dtype=torch.int64, device=self.anchor.device)


class HashedCrossing(nn.Module):
    """A bin for the words or numbers at the same place of several inputs, by their hash."""

    anchor: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    def forward(self, *inputs: Any) -> Tensor:
        items = [x.tolist() if isinstance(x, Tensor) else x for x in inputs]
        bins = each(lambda *found: crossed(*found) % self.bins, *items)
        return torch.tensor(bins, dtype=torch.int64, device=self.anchor.device)
