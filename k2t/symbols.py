"""Numbers that know the expression they came from, so that a translation can keep it: `32 * 2**i`.

A `Symbol` computes like its sample value and writes its own code. Rules take shortcuts where an option is 0 or 1 (no
`stride=` where it is 1); a symbol equals neither, so that what they write holds for every value.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
SHORTCUTS = (0, 1)


class Symbolic:
    """What integers and floats with an expression have in common.

    Attributes:
        code: a Python expression, without redundant parentheses.
        deps: the variables that it reads, each as it was then: (name, version).
    """

    code: str
    deps: frozenset[Any]

    def __repr__(self) -> str:
        """The code, for messages."""
        return self.code

    def __hash__(self) -> int:
        """Equal symbols have the same code."""
        return hash(self.code)

    def __eq__(self, other: object) -> bool:
        """Symbols by their code, numbers by value; never equal to 0 or 1."""
        if isinstance(other, Symbolic):
            return self.code == other.code
        return not isinstance(other, str) and other not in SHORTCUTS and number(self) == other

    def __ne__(self, other: object) -> bool:
        """The opposite."""
        return not self == other

    def __bool__(self) -> bool:
        """Of the sample value."""
        return bool(number(self))

    def __neg__(self) -> Any:
        """`-x`."""
        inner = self.code.removeprefix("-")
        twice = inner != self.code and isinstance(ast.parse(self.code, mode="eval").body, ast.UnaryOp)
        return symbol(-number(self), inner if twice else f"-({self.code})", self.deps)

    def __copy__(self) -> Any:
        """Immutable."""
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        """Immutable."""
        return self


class Integer(Symbolic, int):
    """An integer with its expression."""

    __hash__ = Symbolic.__hash__


class Real(Symbolic, float):
    """A float with its expression."""

    __hash__ = Symbolic.__hash__


def operation(sign: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """The methods of one operator."""
    compute = OPERATORS[sign]

    def method(left: Any, right: Any) -> Any:
        if not isinstance(right, int | float):
            return NotImplemented
        return combined(sign, compute, left, right)

    def reflected(right: Any, left: Any) -> Any:
        if not isinstance(left, int | float):
            return NotImplemented
        return combined(sign, compute, left, right)

    return method, reflected


for _sign, _name in zip(OPERATORS, ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"), strict=True):
    for _method, _full in zip(operation(_sign), (f"__{_name}__", f"__r{_name}__"), strict=True):
        setattr(Symbolic, _full, _method)
        setattr(Integer, _full, _method)
        setattr(Real, _full, _method)


def combined(sign: str, compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """`left sign right`; what changes nothing is not written."""
    value = compute(number(left), number(right))
    plain = right if isinstance(left, Symbolic) else left
    if not isinstance(plain, Symbolic):
        kept = left if isinstance(left, Symbolic) else right
        neutral = {"*": 1, "+": 0}.get(sign, {"-": 0, "//": 1, "**": 1}.get(sign) if kept is left else None)
        if neutral is not None and plain == neutral:
            return kept
        if sign == "%" and kept is left and plain == 1:
            return 0
    return symbol(value, f"({code_of(left)}) {sign} ({code_of(right)})", deps_of(left, right))


def number(value: Any) -> Any:
    """The plain sample value."""
    if isinstance(value, Integer):
        return int.__index__(value)
    return float.__float__(value) if isinstance(value, Real) else value


def symbol(value: Any, code: str, deps: Iterable[Any] = ()) -> Any:
    """A number with its expression; a plain one where the expression names nothing."""
    text, names = normal(code)
    if not names:
        return value
    made: Any = Integer(value) if isinstance(value, int) else Real(value)
    made.code, made.deps = text, frozenset(deps)
    return made


class Simpler(ast.NodeTransformer):
    """Leaves out what changes nothing: `(1, 2)[0]`, `x // 1`, `-(-x)`, `x + n - x`."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """An item of a literal."""
        self.generic_visit(node)
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return node.value.elts[index] if isinstance(node.value, ast.Tuple) and isinstance(index, int) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """A division by 1, a product with 1; the size of a slice, `x + n - x` or `(i + 1) * n - i * n`."""
        self.generic_visit(node)
        left, right = node.left, node.right
        if isinstance(node.op, ast.Mult) and is_one(left):
            return right
        if isinstance(node.op, ast.FloorDiv | ast.Mult) and is_one(right):
            return left
        if not isinstance(node.op, ast.Sub) or not isinstance(left, ast.BinOp):
            return node
        if isinstance(left.op, ast.Add) and ast.dump(left.left) == ast.dump(right):
            return left.right
        scaled = isinstance(right, ast.BinOp) and isinstance(left.op, ast.Mult) and isinstance(right.op, ast.Mult)
        if scaled and ast.dump(left.right) == ast.dump(right.right):  # type: ignore[attr-defined]
            count = self.visit_BinOp(ast.BinOp(left.left, ast.Sub(), right.left))  # type: ignore[attr-defined]
            return self.visit_BinOp(ast.BinOp(count, ast.Mult(), left.right)) if is_one(count) else node
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Two minus signs."""
        self.generic_visit(node)
        inner = node.operand
        twice = isinstance(inner, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(inner.op, ast.USub)
        return inner.operand if twice else node  # type: ignore[attr-defined]


def is_one(node: ast.expr) -> bool:
    """Whether it is 1."""
    return isinstance(node, ast.Constant) and node.value == 1


@lru_cache(maxsize=1 << 14)
def normal(code: str) -> tuple[str, bool]:
    """An expression without redundant parentheses and operations, and whether it names anything."""
    tree = Simpler().visit(ast.parse(code, mode="eval"))
    return ast.unparse(tree), any(isinstance(node, ast.Name) for node in ast.walk(tree))


def substitute(value: Any, known: Mapping[str, Any]) -> Any:
    """The number with other numbers in place of some names."""
    if not isinstance(value, Symbolic):
        return value
    deps = value.deps

    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id not in known:
                return node
            nonlocal deps
            found = known[node.id]
            deps |= deps_of(*(found if isinstance(found, tuple | list) else (found,)))
            return ast.parse(code_of(known[node.id]), mode="eval").body

    if not any(name in value.code for name in known):
        return value
    tree = Replace().visit(ast.parse(value.code, mode="eval"))
    return symbol(number(value), ast.unparse(tree), deps)


def code_of(value: Any) -> str:
    """The expression of a number or constant."""
    if isinstance(value, Symbolic):
        return value.code
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)


def deps_of(*values: Any) -> frozenset[Any]:
    """The variables that they read."""
    return frozenset().union(*(value.deps for value in values if isinstance(value, Symbolic)))


def is_symbolic(*values: Any) -> bool:
    """Whether any of them has an expression."""
    return any(isinstance(value, Symbolic) for value in values)
