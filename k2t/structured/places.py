"""Notes each place of the code that works on tensors: its operands, and the sizes that they have there."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from k2t.program import Op, Size, Value, leaves, values
from k2t.rules.tracing.names import Scope
from k2t.structured.frames import Event, NotStructured
from k2t.structured.learned import Learned
from k2t.structured.numbers import Numbers
from k2t.structured.sizes import OPAQUE, is_collection, names_of_sizes, opened
from k2t.symbols import Symbolic, number, substitute, symbol


class Places(Numbers):
    """Follows functions, and notes the operations of each place.

    Attributes:
        learned: what earlier attempts have found out.
        places: a number for each place in the code.
    """

    def __init__(self, names: Scope, constants: frozenset[str], learned: Learned) -> None:
        super().__init__(names, constants)
        self.learned = learned
        self.places: dict[ast.AST, int] = {}

    def place(self, node: ast.AST) -> int:
        """A number for a place in the code."""
        return self.places.setdefault(node, len(self.places))

    def operands(self, node: ast.AST, args: Sequence[Any], kwargs: dict[str, Any]) -> list[tuple[ast.expr, Any]]:
        """The syntax of each argument with its value."""
        if not isinstance(node, ast.Call):
            raise NotStructured("a call that the code does not spell")
        plain = [*itertools.takewhile(lambda item: not isinstance(item, ast.Starred), node.args)]
        if any(values(args[len(plain) :])):
            raise NotStructured("star arguments of a call with tensors")
        found = list(zip(plain, args, strict=False))
        if isinstance(node.func, ast.Attribute) and isinstance(subject := self.seen(node.func.value), Value):
            found.insert(0, (node.func.value, subject))
        return found + [(k.value, kwargs[k.arg]) for k in node.keywords if k.arg in kwargs]

    def seen(self, node: ast.expr) -> Any:
        """What an expression gave at last."""
        return self.frame.seen.get(node) if self.frame is not None else None

    @contextmanager
    def noted(self, node: ast.AST, operands: list[tuple[ast.expr, Any]]) -> Iterator[None]:
        """Within it, operations belong to this place; tensors among the operands have sizes named `_in0_`, …."""
        if self.frame is None:
            raise NotStructured("tensors outside of the function")
        if self.event is not None:
            yield
            return
        frame = self.frame
        operands = [*operands, *self.measured(operands)]
        label = f"{self.place(node)}#{frame.counts[node]}"
        frame.counts[node] += 1
        self.event = Event(node, label, operands, frame.loops)
        tensors = list(dict.fromkeys(values([value for _, value in operands])))
        shapes = [tensor.shape for tensor in tensors]
        hide = frame.name in self.learned.varying
        for index, shape in enumerate(shapes):
            named = names_of_sizes(index, shape, hide)
            self.event.sizes |= {name: self.valid(shape[axis]) for axis, name in named.items()}
            self.event.known |= {name: shape[axis] for axis, name in named.items()}
        start = len(frame.ops)
        self.b.call_name = label
        for index, tensor in enumerate(tensors):
            tensor.shape = opened(tensor.shape, names_of_sizes(index, tensor.shape, hide))
        try:
            yield
        finally:
            event, self.event = self.event, None
            for tensor, shape in zip(tensors, shapes, strict=True):
                tensor.shape = shape
        self.closed(event, frame.ops[start:], tensors)
        frame.events.append(event)

    def measured(self, operands: list[tuple[ast.expr, Any]]) -> Iterator[tuple[ast.expr, Any]]:
        """The tensors whose sizes are among the operands, by the variables that hold them."""
        found = [leaf for _, value in operands for leaf in leaves(value)]
        there = {leaf for leaf in found if isinstance(leaf, Value)}
        sizes = {leaf.value for leaf in found if isinstance(leaf, Size)}
        held = self.frame.variables if self.frame is not None else None
        for name, value in (held or {}).items():
            if isinstance(value, Value) and value in sizes - there:
                there.add(value)
                yield ast.Name(name, ast.Load()), value

    def close(self, output: Any) -> Any:
        """Take note of the output of the current place."""
        if self.event is not None:
            self.event.output = output
        return output

    def closed(self, event: Event, ops: list[Op], tensors: list[Value]) -> None:
        """The sizes of what was made, in terms of the function's variables."""
        known = event.known
        made = list(values(event.output))
        event.made = [value.shape[-1] if value.shape else None for value in made]
        if any(is_collection(syntax, value) for syntax, value in event.operands):
            for value in made:  # another list may be longer
                if value.shape and isinstance(value.shape[-1], Symbolic) and value not in tensors:
                    value.shape = (*value.shape[:-1], symbol(number(value.shape[-1]), OPAQUE))
        inner = [value for op in ops for value in values(op.outputs)]
        for value in dict.fromkeys([*inner, *(value for value in made if value not in tensors)]):
            value.shape = self.settled(tuple(substitute(size, known) for size in value.shape))

    def settled(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """A shape with numbers for sizes of an image that are the same at all times."""
        inner = range(1, len(shape) - 1)
        fixed = [axis for axis in inner if isinstance(shape[axis], Symbolic) and self.settles(shape[axis].deps)]
        return tuple(number(size) if axis in fixed else size for axis, size in enumerate(shape))

    def settles(self, deps: Iterable[tuple[str, int]]) -> bool:
        """Whether these variables hold plain numbers of the code, each the same one at all times."""
        names = {name for name, _ in deps}
        if self.frame is None or not names or names & self.frame.arguments.keys():
            return False
        held = [self.frame.assigned[name] for name in names]
        return all(len(found) == 1 and not isinstance(found[0], Symbolic) for found in held)

    def valid(self, size: Any) -> str | None:
        """The expression of a size, if its variables are still what they were."""
        if size is None or self.frame is None:
            return None
        if isinstance(size, Symbolic):
            current = all(self.frame.versions[name] == version for name, version in size.deps)
            return size.code if current and OPAQUE not in size.code else None
        return repr(size)

    def binary(self, node: ast.AST, kind: type[ast.AST], left: Any, right: Any) -> Any:
        """An operator."""
        if not (self.traced(left) or self.traced(right)) or self.event is not None:
            return super().binary(node, kind, left, right)
        if isinstance(node, ast.BinOp):
            operands = [(node.left, left), (node.right, right)]
        elif isinstance(node, ast.AugAssign):
            operands = [(node.target, left), (node.value, right)]
        else:
            raise NotStructured("a comparison of tensors")
        with self.noted(node, operands):
            return self.close(super().binary(node, kind, left, right))

    def of_unaryop(self, node: ast.UnaryOp) -> Any:
        """`-x`."""
        subject = self.evaluate(node.operand)
        if not isinstance(subject, Value) or self.event is not None:
            return super().of_unaryop(node)
        with self.noted(node, [(node.operand, subject)]):
            return self.close(super().of_unaryop(node))

    def of_subscript(self, node: ast.Subscript) -> Any:
        """A part of a tensor, a list or a number of a table."""
        subject = self.evaluate(node.value)
        if not isinstance(subject, Value) or self.event is not None:
            return super().of_subscript(node)
        with self.noted(node, [(node.value, subject)]):
            return self.close(super().of_subscript(node))
