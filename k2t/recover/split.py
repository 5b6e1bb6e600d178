"""Where the pieces of a model may begin and end: names of layers say so, or how the tensors flow."""

from __future__ import annotations

import heapq
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from k2t.lower.names import is_automatic
from k2t.lower.scores import PROBABILITIES
from k2t.program import Block, Module, Op, Value, values
from k2t.recover.forms import Segment, is_depthwise, last_readers, segment_of
from k2t.recover.naming import INDEX, common_prefix, common_suffix, layer_of

MOST_INPUTS = 2  # of a piece
CELL = 5  # operations of a cell, at least
REGION = 16  # operations of a branching region, at most
REACH = 4  # operations without a name of their own that may end a piece


class Splitter:
    """Finds candidates for the pieces of one block.

    Attributes:
        criterion: `regions` in cells, `pieces` that follow each other, `cells` of such pieces, or `branches` of them.
        live: for each position between operations, how many values are needed behind it.
        counts: how often each value is read.
        taken: positions of operations that are in a piece already.
    """

    def __init__(self, block: Block, criterion: str = "pieces") -> None:
        self.block = block
        self.criterion = criterion
        self.readers = last_readers(block)
        last = len(block.ops) - 1
        self.taken = {last} if block.ops and block.ops[last].target in PROBABILITIES else set()
        self.names = [op.layer.partition("#")[0] for op in block.ops]
        self.counts = Counter(value for op in block.ops for value in values((op.args, op.kwargs)))
        self.live = list(live_counts(block, self.readers))

    def segment(self, start: int, stop: int) -> Segment:
        """The operations in between, with the prefix of their names."""
        found = segment_of(self.block, start, stop, self.readers)
        heavy_ops = [op for op in found.ops if heavy([op])]
        names = [name for op in heavy_ops if not is_automatic(name := layer_of(op))]
        if len(set(names)) > 1:
            found.prefix, found.suffix = common_prefix(names), common_suffix(names)
        return found

    def candidates(self) -> Iterator[list[Segment]]:
        """Lists of pieces that do not overlap, each list by another criterion."""
        if self.criterion == "cells":
            yield self.cells()
        elif self.criterion == "regions":
            yield self.by_region() if len(self.cells()) > 1 else []
        elif self.criterion == "branches":
            yield self.by_flow()
        else:
            yield from self.pieces()

    def pieces(self) -> Iterator[list[Segment]]:
        """What begins and ends at a single tensor."""
        yield from self.by_names()
        regions = self.by_flow()
        yield regions
        yield self.by_turns(regions)
        yield self.by_turns(regions, gaps=True)
        yield self.by_chain()
        yield self.by_chain(resizes)
        yield self.by_layer()
        yield self.by_depthwise()

    def by_names(self) -> Iterator[list[Segment]]:
        """Layers whose names begin alike up to a number: `conv2_block1_…`."""
        places: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for i, name in enumerate(self.names):
            if i in self.taken or is_automatic(name):
                continue
            for match in INDEX.finditer(name):
                prefix = name[: match.end()]
                places[INDEX.sub("#", prefix)][prefix].append(i)
        for prefixes in places.values():
            found = [self.around(prefix, where) for prefix, where in prefixes.items()]
            yield [segment for segment in found if segment is not None]

    def around(self, prefix: str, where: list[int]) -> Segment | None:
        """The piece that holds these operations and no others with a name."""
        start, stop = where[0], where[-1] + 1
        inside = set(where)
        if any(i not in inside and not is_automatic(self.names[i]) for i in range(start, stop)):
            return None
        for end in range(stop, min(stop + REACH, len(self.block.ops)) + 1):
            if end > stop and not is_automatic(self.names[end - 1]):
                return None
            if self.live[start] == self.live[end] == 1 and self.free(start, end):
                return self.segment(start, end)
        return None

    def free(self, start: int, stop: int) -> bool:
        """Whether no operation in between is in a piece."""
        return not any(i in self.taken for i in range(start, stop))

    def by_flow(self) -> list[Segment]:
        """Every region between two positions where one value is needed, if its flow branches, and what activates it."""
        cuts = [i for i, count in enumerate(self.live) if count == 1]
        found = []
        for start, stop in itertools.pairwise(cuts):
            if stop - start > 1 and self.free(start, stop) and heavy(self.block.ops[start:stop]):
                end = stop
                if end < len(self.block.ops) and is_activation(self.block.ops[end]) and self.live[end + 1] == 1:
                    end += 1
                found.append(self.segment(start, end))
        return found

    def by_turns(self, regions: list[Segment], gaps: bool = False) -> list[Segment]:
        """Two regions in turns, such as attention and the layers behind it: both together.

        Args:
            gaps: what stands behind each of the two belongs to them, such as its normalization.
        """
        found: list[Segment] = []
        i = 0
        while i + 3 < len(regions):
            start, middle = regions[i].start, regions[i + 2].start
            length = middle - start if gaps else regions[i + 1].stop - start
            first, second = self.piece(start, start + length), self.piece(middle, middle + length)
            joined = gaps or all(regions[k].stop == regions[k + 1].start for k in (i, i + 2))
            alike = first and second and first.form == second.form and regions[i].form != regions[i + 1].form
            if first and second and joined and alike:
                found += [first] if not found or found[-1].start != start else []
                found.append(second)
                i += 2
            else:
                i += 1
        return found

    def piece(self, start: int, stop: int) -> Segment | None:
        """The operations in between, if one tensor leaves them."""
        whole = stop <= len(self.block.ops) and self.live[stop] == 1 and self.free(start, stop)
        return self.segment(start, stop) if whole else None

    def by_chain(self, ends: Callable[[Op], bool] = lambda op: False) -> list[Segment]:
        """Operations of which each reads what the one before it makes, wherever their input is read besides.

        What `ends` says so of stands between chains.
        """
        found = []
        start = 0
        for i in range(1, len(self.block.ops) + 1):
            joined = i < len(self.block.ops) and self.continues(i) and self.free(i - 1, i + 1)
            if joined and not any(map(ends, self.block.ops[i - 1 : i + 1])):
                continue
            start += not self.one_input(start)
            if i - start > 2 and self.free(start, i) and heavy(self.block.ops[start:i]):
                found.append(self.segment(start, i))
            start = i
        return self.trimmed(found)

    def trimmed(self, segments: list[Segment]) -> list[Segment]:
        """Without what only one has in front of the most frequent form or behind it."""
        counts = Counter(segment.form for segment in segments)
        usual = next((segment for segment in segments if counts[segment.form] == max(counts.values()) > 2), None)
        if usual is None:
            return segments
        length, found = len(usual.ops), []
        for segment in segments:
            stop = segment.stop
            parts = [self.segment(segment.start, segment.start + length), self.segment(stop - length, stop)]
            longer = len(segment.ops) > length and counts[segment.form] == 1
            found.append(next((part for part in parts if longer and part.form == usual.form), segment))
        return found

    def by_layer(self) -> list[Segment]:
        """A layer with weights, its normalization and its activation."""
        found = []
        for i in range(len(self.block.ops) - 2):
            layer, norm, last = self.block.ops[i : i + 3]
            usual = heavy([layer]) and not is_norm(layer) and is_norm(norm) and is_activation(last)
            if usual and self.continues(i + 1) and self.continues(i + 2) and self.free(i, i + 3):
                found.append(self.segment(i, i + 3))
        return found

    def by_depthwise(self) -> list[Segment]:
        """A depthwise convolution, the pointwise one behind it, and what follows both."""
        found = []
        starts = [i for i, op in enumerate(self.block.ops) if isinstance(op.target, Module) and is_depthwise(op.target)]
        starts = [i - (i > 0 and self.block.ops[i - 1].target == "F.pad") for i in starts]
        for start, stop in itertools.pairwise([*starts, len(self.block.ops)]):
            end = start + 1
            while end < stop and self.continues(end) and is_part(self.block.ops[end]):
                end += 1
            if end - start > 2 and self.free(start, end):
                found.append(self.segment(start, end))
        return found

    def continues(self, i: int) -> bool:
        """Whether an operation reads the output of the one before it, and nobody else does."""
        made, op = self.block.ops[i - 1].outputs, self.block.ops[i]
        read = set(values((op.args, op.kwargs)))
        alone = isinstance(made, Value) and read == {made}
        return alone and self.readers.get(made) == i and self.counts[made] == 1

    def one_input(self, start: int) -> bool:
        """Whether the operation reads a single tensor."""
        op = self.block.ops[start]
        return len(set(values((op.args, op.kwargs)))) == 1

    def by_region(self) -> list[Segment]:
        """Branches that begin at one tensor and are concatenated, while others are waiting."""
        found: list[Segment] = []
        start = 0
        while start < len(self.block.ops):
            segment = self.region(start)
            if segment is not None:
                found.append(segment)
            start += len(segment.ops) if segment is not None else 1
        return found

    def cells(self) -> list[Segment]:
        """Pieces that read more than one tensor."""
        return [segment for segment in self.by_number() if len(segment.inputs) > 1]

    def region(self, start: int) -> Segment | None:
        """The shortest one that begins here."""
        read: set[Value] = set()
        made: set[Value] = set()
        open_ends: set[Value] = set()
        for stop in range(start, min(start + REGION, len(self.block.ops))):
            op = self.block.ops[stop]
            read.update(value for value in values((op.args, op.kwargs)) if value not in made)
            made.update(values(op.outputs))
            open_ends = {value for value in (open_ends | set(values(op.outputs))) if self.readers.get(value, -1) > stop}
            if len(read) > 1 or stop in self.taken:
                return None
            if stop - start >= CELL and len(open_ends) == 1 and op.target == "torch.cat":
                return self.segment(start, stop + 1) if heavy(self.block.ops[start : stop + 1]) else None
        return None

    def by_number(self) -> list[Segment]:
        """Layers whose names end in one number, `normal_conv_1_5`: cells, which may read several tensors."""
        labels = self.labels()
        found = []
        for _, group in itertools.groupby(range(len(labels)), key=lambda i: labels[i]):
            run = list(group)
            start, stop = run[0], run[-1] + 1
            if labels[start] and stop - start >= CELL and self.free(start, stop):
                segment = self.segment(start, stop)
                if len(segment.inputs) <= MOST_INPUTS and len(segment.outputs) == 1:
                    found.append(segment)
        return found

    def labels(self) -> list[str]:
        """The last number in the name of each operation's layer; where Keras made the name up, of its first reader."""
        found = [re.search(r"(?:_([A-Za-z]+))?_(\d+)$", name) for name in self.names]
        words = Counter(match[0] for match in found if match)
        labels = [""] * len(self.names)
        reader: dict[Value, int] = {}
        for i in range(len(self.names) - 1, -1, -1):
            op, match = self.block.ops[i], found[i]
            if match and not is_automatic(self.names[i]):  # `_reduce_4` where the whole cell is called so
                labels[i] = match[0] if match[1] and words[match[0]] >= CELL else match[2]
            else:
                first = min((reader[value] for value in values(op.outputs) if value in reader), default=None)
                labels[i] = labels[first] if first is not None else ""
            reader.update(dict.fromkeys(values((op.args, op.kwargs)), i))
        return labels

    def beside(self, segments: list[Segment]) -> Iterator[Segment]:
        """Pieces in front of the first and behind the last segment whose layers have a prefix of their own."""
        first = min(segment.start for segment in segments)
        for start in range(first - 1, max(first - 40, -1), -1):
            if start in self.taken:
                break
            if self.live[start] == 1 and start < first - 1:
                segment = self.segment(start, first)
                outside = {self.names[i] for i in range(start)}
                if len(segment.prefix) > 2 and not any(name.startswith(segment.prefix) for name in outside):
                    yield segment


def regrouped(block: Block, labels: list[str]) -> list[Op]:
    """The operations in another order: what has one label together, as late as its readers allow."""
    readers = Counter(i for _, i in reading(block))
    feeds: dict[int, list[int]] = defaultdict(list)
    for later, earlier in reading(block):
        feeds[later].append(earlier)
    ready: dict[str, list[int]] = defaultdict(list)
    for i in range(len(block.ops)):
        if not readers[i]:
            heapq.heappush(ready[labels[i]], -i)
    order: list[int] = []
    label = ""
    while any(ready.values()):
        if not ready[label]:
            label = min((heap[0], name) for name, heap in ready.items() if heap)[1]
        order.append(-heapq.heappop(ready[label]))
        for i in feeds[order[-1]]:
            readers[i] -= 1
            if not readers[i]:
                heapq.heappush(ready[labels[i]], -i)
    return [block.ops[i] for i in reversed(order)]


def reading(block: Block) -> Iterator[tuple[int, int]]:
    """Pairs of operations: the first reads what the second makes; those with an effect alone stay in their order."""
    maker: dict[Value, int] = {}
    for i, op in enumerate(block.ops):
        yield from {(i, maker[value]) for value in values((op.args, op.kwargs)) if value in maker}
        maker.update(dict.fromkeys(values(op.outputs), i))


def live_counts(block: Block, readers: dict[Value, int]) -> Iterator[int]:
    """For each position, how many values made before it are read at it or behind."""
    live = {value for value in block.inputs if value in readers}
    yield len(live)
    ends: dict[int, list[Value]] = defaultdict(list)
    for value, last in readers.items():
        ends[last].append(value)
    for i, op in enumerate(block.ops):
        live.update(value for value in values(op.outputs) if value in readers)
        live.difference_update(ends[i])
        yield len(live)


def resizes(op: Op) -> bool:
    """Whether the result has another resolution than what the operation reads."""
    kind = str(op.target.call) if isinstance(op.target, Module) else str(op.target)
    if re.search("Pool|Upsample|ConvTranspose|interpolate", kind):
        return True
    read, made = [next(values(item), None) for item in (op.args, op.outputs)]
    return bool(read and made and read.rank == made.rank and read.shape[1:-1] != made.shape[1:-1])


def heavy(ops: list[Op]) -> bool:
    """Whether something in it has weights."""
    return any(
        isinstance(op.target, Module) and (op.target.weights or not isinstance(op.target.call, str)) for op in ops
    )


def is_part(op: Op) -> bool:
    """Whether it belongs to a block of convolutions: one of them, a normalization, padding or an activation."""
    if isinstance(op.target, Module):
        return str(op.target.call).startswith(("nn.Conv", "nn.BatchNorm"))
    return is_activation(op) or op.target == "F.pad"


def is_norm(op: Op) -> bool:
    """Whether it is a normalization with weights."""
    return isinstance(op.target, Module) and "Norm" in str(op.target.call)


def is_activation(op: Op) -> bool:
    """Whether it is a function of one tensor."""
    return (
        isinstance(op.target, str)
        and re.match(r"F\.|torch\.(sigmoid|tanh)", op.target) is not None
        and op.target != "F.pad"
    )
