"""Follows what builds values of others: subscripts, slices, containers, comparisons."""

from __future__ import annotations

import ast
from typing import Any

from k2t.errors import ReadError
from k2t.read.bytecode.calls import take
from k2t.read.bytecode.opcodes import Release

COMPARE: tuple[type[ast.cmpop], ...] = (
    ast.Lt,
    ast.LtE,
    ast.Eq,
    ast.NotEq,
    ast.Gt,
    ast.GtE,
    ast.In,
    ast.NotIn,
    ast.Is,
    ast.IsNot,
)


def bound(node: Any) -> Any:
    """An end of a slice; None is left out."""
    return None if isinstance(node, ast.Constant) and node.value is None else node


class Building:
    """The instructions of subscripts, containers and comparisons."""

    release: Release

    def do_binary_subscr(self, argument: int, stack: list[Any]) -> None:
        """`value[key]`."""
        key, value = stack.pop(), stack.pop()
        stack.append(ast.Subscript(value, key, ast.Load()))

    def do_binary_slice(self, argument: int, stack: list[Any]) -> None:
        """`value[a:b]`."""
        stop, start, value = stack.pop(), stack.pop(), stack.pop()
        stack.append(ast.Subscript(value, ast.Slice(bound(start), bound(stop)), ast.Load()))

    def old_slice(self, bounds: int, stack: list[Any]) -> None:
        """`value[a:b]` of Python 2."""
        stop = stack.pop() if bounds & 2 else None
        start = stack.pop() if bounds & 1 else None
        stack.append(ast.Subscript(stack.pop(), ast.Slice(start, stop), ast.Load()))

    def do_build_slice(self, argument: int, stack: list[Any]) -> None:
        """`a:b:c`."""
        parts = take(stack, argument)
        stack.append(ast.Slice(*map(bound, parts)))

    def do_build_tuple(self, argument: int, stack: list[Any]) -> None:
        """`(a, b)`."""
        stack.append(ast.Tuple(take(stack, argument), ast.Load()))

    def do_build_list(self, argument: int, stack: list[Any]) -> None:
        """`[a, b]`."""
        stack.append(ast.List(take(stack, argument), ast.Load()))

    def do_build_map(self, argument: int, stack: list[Any]) -> None:
        """`{a: b}`."""
        items = take(stack, 2 * argument) if self.release.version >= (3, 5) else []
        stack.append(ast.Dict(items[::2], items[1::2]))

    def do_store_map(self, argument: int, stack: list[Any]) -> None:
        """An item of a dict (Python 2)."""
        key, value = stack.pop(), stack.pop()
        stack[-1] = ast.Dict([*stack[-1].keys, key], [*stack[-1].values, value])

    def do_build_const_key_map(self, argument: int, stack: list[Any]) -> None:
        """`{"a": b}`, its keys together."""
        keys = stack.pop()
        values = take(stack, argument)
        if not isinstance(keys, ast.Tuple) or len(keys.elts) != argument:
            raise ReadError("a dict without keys")
        stack.append(ast.Dict(list(keys.elts), values))

    def do_dict_merge(self, argument: int, stack: list[Any]) -> None:
        """`{**a, **b}`."""
        more = stack.pop()
        if argument != 1 or not isinstance(stack[-1], ast.Dict):
            raise ReadError("instruction DICT_MERGE is not followed here")
        stack[-1] = ast.Dict([*stack[-1].keys, None], [*stack[-1].values, more])

    def do_list_extend(self, argument: int, stack: list[Any]) -> None:
        """`[*list, *more]`."""
        more = stack.pop()
        if argument != 1 or not isinstance(stack[-1], ast.List):
            raise ReadError("instruction LIST_EXTEND is not followed here")
        stack[-1] = ast.List([*stack[-1].elts, ast.Starred(more, ast.Load())], ast.Load())

    def do_compare_op(self, argument: int, stack: list[Any]) -> None:
        """`a < b`."""
        shift = {(3, 12): 4, (3, 13): 5}.get(self.release.version, 0)
        self.compare(COMPARE[argument >> shift], stack)

    def do_is_op(self, argument: int, stack: list[Any]) -> None:
        """`a is b`."""
        self.compare(ast.IsNot if argument else ast.Is, stack)

    def do_contains_op(self, argument: int, stack: list[Any]) -> None:
        """`a in b`."""
        self.compare(ast.NotIn if argument else ast.In, stack)

    def compare(self, kind: type[ast.cmpop], stack: list[Any]) -> None:
        """Two values compared."""
        right, left = stack.pop(), stack.pop()
        stack.append(ast.Compare(left, [kind()], [right]))
