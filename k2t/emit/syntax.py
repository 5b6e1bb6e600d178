"""Python expressions as LibCST nodes, with parentheses where precedence wants them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import libcst as cst

from k2t.emit.header import docstring_text
from k2t.errors import K2TError

DIGITS = 12  # of a number that nobody writes down
PRECEDENCE: dict[type[cst.CSTNode], int] = {
    cst.Comparison: 1,
    cst.UnaryOperation: 8,
}
BINARY: dict[str, tuple[int, type[cst.BaseBinaryOp]]] = {
    "|": (2, cst.BitOr),
    "^": (3, cst.BitXor),
    "&": (4, cst.BitAnd),
    "<<": (5, cst.LeftShift),
    ">>": (5, cst.RightShift),
    "+": (6, cst.Add),
    "-": (6, cst.Subtract),
    "*": (7, cst.Multiply),
    "/": (7, cst.Divide),
    "//": (7, cst.FloorDivide),
    "%": (7, cst.Modulo),
    "@": (7, cst.MatrixMultiply),
    "**": (9, cst.Power),
}
COMPARE: dict[str, type[cst.BaseCompOp]] = {
    "<": cst.LessThan,
    "<=": cst.LessThanEqual,
    ">": cst.GreaterThan,
    ">=": cst.GreaterThanEqual,
    "==": cst.Equal,
    "!=": cst.NotEqual,
}
UNARY: dict[str, type[cst.Minus] | type[cst.BitInvert]] = {"-": cst.Minus, "~": cst.BitInvert}
ATOM = 10
Expression = TypeVar("Expression", bound=cst.BaseExpression | cst.BaseAssignTargetExpression)


def dotted(path: str) -> cst.BaseExpression:
    """`a.b.c`."""
    first, *rest = path.split(".")
    node: cst.BaseExpression = cst.Name(first)
    for name in rest:
        node = cst.Attribute(node, cst.Name(name))
    return node


def precedence(node: cst.BaseExpression) -> int:
    """How tightly the outermost operation of `node` binds."""
    if node.lpar:
        return ATOM
    if isinstance(node, cst.BinaryOperation):
        return next(level for level, kind in BINARY.values() if isinstance(node.operator, kind))
    return PRECEDENCE.get(type(node), ATOM)


def grouped(node: cst.BaseExpression, level: int) -> cst.BaseExpression:
    """`node`, in parentheses if it binds less tightly than `level`."""
    if precedence(node) >= level:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def call(function: cst.BaseExpression, args: Sequence[cst.BaseExpression], kwargs: Mapping[str, Any]) -> cst.Call:
    """`function(*args, **kwargs)`; the values of `kwargs` are nodes."""
    named = [
        cst.Arg(
            value,
            keyword=cst.Name(key),
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        )
        for key, value in kwargs.items()
    ]
    return cst.Call(grouped(function, ATOM), [*(cst.Arg(arg) for arg in args), *named])


def method(subject: cst.BaseExpression, name: str) -> cst.Attribute:
    """`subject.name`."""
    return cst.Attribute(grouped(subject, ATOM), cst.Name(name))


def binary(operator: str, left: cst.BaseExpression, right: cst.BaseExpression) -> cst.BaseExpression:
    """`left operator right`."""
    if operator in COMPARE:
        target = cst.ComparisonTarget(COMPARE[operator](), grouped(right, 2))
        return cst.Comparison(grouped(left, 2), [target])
    level, kind = BINARY[operator]
    from_the_right = operator == "**"
    return cst.BinaryOperation(
        grouped(left, level + from_the_right), kind(), grouped(right, level + (not from_the_right))
    )


def unary(operator: str, operand: cst.BaseExpression) -> cst.BaseExpression:
    """`operator operand`."""
    return cst.UnaryOperation(UNARY[operator](whitespace_after=cst.SimpleWhitespace("")), grouped(operand, 8))


def subscript(subject: cst.BaseExpression, items: Sequence[Any]) -> cst.Subscript:
    """`subject[items]`; an item is a node or a slice of nodes."""
    elements = [cst.SubscriptElement(item if isinstance(item, cst.Slice) else cst.Index(item)) for item in items]
    return cst.Subscript(grouped(subject, ATOM), elements)


def literal(value: Any) -> cst.BaseExpression:
    """A constant: a number, string, bool, None, or a tuple or list of nodes.

    Raises:
        K2TError: the value has no literal.
    """
    if value is None or isinstance(value, bool):
        return cst.Name(repr(value))
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        return cst.SimpleString(quoted(value))
    raise K2TError(f"the model computes with {str(value)[:200]}, which is no number, text or tensor")


def number(value: int | float) -> cst.BaseExpression:
    """A number; infinities and NaN by name, `1 / 255` as such."""
    if value < 0:
        return unary("-", number(-value))
    if isinstance(value, int):
        return cst.Integer(str(int(value)))
    if not math.isfinite(value):
        return call(cst.Name("float"), [cst.SimpleString(f'"{value}"')], {})
    whole = round(1 / value, 6) if value else 0.0
    if 1 < whole < 1e6 and 1 / whole == value and len(repr(value)) > DIGITS:
        return binary("/", cst.Integer("1"), number(int(whole) if whole.is_integer() else whole))
    return cst.Float(re.sub(r"e-0(?=\d)", "e-", repr(float(value))))


def quoted(text: str) -> str:
    """A string literal in double quotes, ASCII only."""
    body = ascii(text)[1:-1].replace("\\'", "'")
    return '"' + body.replace('"', '\\"') + '"' if '"' not in text else ascii(text)


def tuple_of(items: Sequence[cst.BaseExpression]) -> cst.Tuple:
    """`(items)`."""
    return cst.Tuple([cst.Element(item) for item in items])


def list_of(items: Sequence[cst.BaseExpression]) -> cst.List:
    """`[items]`."""
    return cst.List([cst.Element(item) for item in items])


def assign(target: cst.BaseAssignTargetExpression, value: cst.BaseExpression) -> cst.SimpleStatementLine:
    """`target = value`; several targets without parentheses."""
    return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(bare(target))], value)])


def returns(value: cst.BaseExpression) -> cst.SimpleStatementLine:
    """`return value`; several values without parentheses."""
    return cst.SimpleStatementLine([cst.Return(bare(value))])


def bare(node: Expression) -> Expression:
    """A tuple of several items without its parentheses, any other node as it is."""
    if isinstance(node, cst.Tuple) and len(node.elements) > 1:
        return node.with_changes(lpar=[], rpar=[])
    return node


def expression(value: cst.BaseExpression) -> cst.SimpleStatementLine:
    """`value` as a statement."""
    return cst.SimpleStatementLine([cst.Expr(value)])


def docstring(text: str) -> cst.SimpleStatementLine:
    """A docstring."""
    return expression(cst.SimpleString(docstring_text(text)))


def render(node: cst.CSTNode) -> str:
    """The text of a node."""
    return cst.Module([]).code_for_node(node)
