"""Recovers the syntax tree of a function from its instructions, by following what they do to the stack.

Straight code, conditional expressions and early returns; loops and exceptions are refused.
"""

from __future__ import annotations

import ast
from typing import Any

from k2t.errors import ReadError
from k2t.read.bytecode.calls import NULL, Calls, Imported, literal, take
from k2t.read.bytecode.instructions import Instruction, instructions
from k2t.read.bytecode.marshalled import CodeRecord
from k2t.read.bytecode.opcodes import RELEASES, Release

# Branches are followed one by one: this many instructions in all.
MAX_STEPS = 5000

BINARY: dict[str, type[ast.operator]] = {
    "POWER": ast.Pow,
    "MULTIPLY": ast.Mult,
    "MATRIX_MULTIPLY": ast.MatMult,
    "DIVIDE": ast.Div,
    "MODULO": ast.Mod,
    "ADD": ast.Add,
    "SUBTRACT": ast.Sub,
    "FLOOR_DIVIDE": ast.FloorDiv,
    "TRUE_DIVIDE": ast.Div,
    "AND": ast.BitAnd,
    "OR": ast.BitOr,
    "XOR": ast.BitXor,
}
# The argument of BINARY_OP, from 3.11; the in-place variants follow 13 later.
NUMBERED = """ADD AND FLOOR_DIVIDE LSHIFT MATRIX_MULTIPLY MULTIPLY MODULO OR POWER RSHIFT SUBTRACT
TRUE_DIVIDE XOR"""
UNARY: dict[str, type[ast.unaryop]] = {
    "UNARY_POSITIVE": ast.UAdd,
    "UNARY_NEGATIVE": ast.USub,
    "UNARY_NOT": ast.Not,
    "UNARY_INVERT": ast.Invert,
}
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
IGNORED = frozenset({"RESUME", "PRECALL", "NOP", "CACHE", "MAKE_CELL", "COPY_FREE_VARS", "TO_BOOL", "EXTENDED_ARG"})


def decompile(candidates: list[CodeRecord]) -> tuple[ast.FunctionDef, CodeRecord]:
    """The function, under the layout and release by which most of its instructions are reached.

    Raises:
        ReadError: none makes sense of it; holds the reason and the disassembly under the likeliest.
    """
    found: list[tuple[float, ast.FunctionDef, CodeRecord]] = []
    reasons = []
    for code in candidates:
        for release in RELEASES[code.layout]:
            try:
                follower = Follower(code, release)
                node = definition(code, follower.follow(0, []), [])
                found.append((follower.coverage(), node, code))
            except (ReadError, IndexError, RecursionError) as error:
                reasons.append(f"{error}{disassembly(code, release)}")
    if not found:
        raise ReadError(max(reasons, key=len))
    _, node, code = max(found, key=lambda item: item[0])
    return node, code


def disassembly(code: CodeRecord, release: Release) -> str:
    """The instructions as text, or nothing where the bytes are of another release."""
    try:
        lines = [f"    {item}" for item in instructions(code, release).values()]
    except ReadError:
        return ""
    version = ".".join(map(str, release.version))
    return "\n".join([f"; instructions (Python {version}):", *lines[:60]])


def definition(code: CodeRecord, body: list[ast.stmt], defaults: list[ast.expr]) -> ast.FunctionDef:
    """The definition with this body."""
    names = [ast.arg(name) for name in code.fast[: code.argcount + code.kwonly]]
    arguments = ast.arguments(
        posonlyargs=[],
        args=names[: code.argcount],
        kwonlyargs=names[code.argcount :],
        kw_defaults=[None] * code.kwonly,
        defaults=defaults,
    )
    name = code.name if code.name.isidentifier() else "function"
    return ast.fix_missing_locations(ast.FunctionDef(name, arguments, body, []))


class Follower(Calls):
    """Follows the instructions of one function."""

    def __init__(self, code: CodeRecord, release: Release) -> None:
        self.code = code
        self.release = release
        self.instructions = instructions(code, release)
        self.steps = 0
        self.reached: set[int] = set()
        self.keywords: tuple[str, ...] = ()

    def coverage(self) -> float:
        """The share of the instructions that were followed."""
        return len(self.reached) / len(self.instructions)

    def inner(self, code: CodeRecord, defaults: list[ast.expr]) -> ast.FunctionDef:
        """A function inside, followed on its own."""
        return definition(code, Follower(code, self.release).follow(0, []), defaults)

    def follow(self, offset: int, stack: list[Any]) -> list[ast.stmt]:
        """Statements from `offset` to the return."""
        statements: list[ast.stmt] = []
        while True:
            self.steps += 1
            if self.steps > MAX_STEPS or offset not in self.instructions:
                raise ReadError("it is too long or does not end")
            item = self.instructions[offset]
            self.reached.add(offset)
            offset = item.after
            if item.name in ("RETURN_VALUE", "RETURN_CONST"):
                value = stack.pop() if item.name == "RETURN_VALUE" else self.constant(item.argument)
                return [*statements, ast.Return(value)]
            if item.target >= 0:
                if item.target <= item.offset:
                    raise ReadError("it holds a loop")
                if item.name in ("JUMP_FORWARD", "JUMP_ABSOLUTE"):
                    offset = item.target
                    continue
                return [*statements, self.branch(item, stack)]
            statement = self.step(item, stack)
            if statement is not None:
                statements.append(statement)

    def branch(self, item: Instruction, stack: list[Any]) -> ast.stmt:
        """A conditional jump: both ways to the end."""
        test = stack.pop()
        jumped = [*stack, test] if item.name.endswith("OR_POP") else list(stack)
        jumps_if = "IF_TRUE" in item.name
        there, here = self.follow(item.target, jumped), self.follow(item.after, list(stack))
        return ast.If(test, there, here) if jumps_if else ast.If(test, here, there)

    def constant(self, index: int) -> ast.expr:
        """A constant of the code as an expression."""
        return literal(self.code.consts[index])

    def step(self, item: Instruction, stack: list[Any]) -> ast.stmt | None:
        """One instruction without a jump; a statement if it ends one."""
        name, argument = item.name, item.argument
        if name in IGNORED:
            return None
        if name in UNARY:
            stack.append(ast.UnaryOp(UNARY[name](), stack.pop()))
        elif name.startswith(("BINARY_", "INPLACE_")) and name.partition("_")[2] in BINARY:
            self.binary(BINARY[name.partition("_")[2]], stack)
        elif name.startswith("STORE_FAST") or name == "STORE_DEREF":
            return self.store(name, argument, stack)
        elif name == "POP_TOP":
            value = stack.pop()
            return ast.Expr(value) if isinstance(value, ast.Call) else None
        elif name.startswith("SLICE+"):
            self.old_slice(int(name[-1]), stack)
        else:
            handler = getattr(self, f"do_{name.lower()}", None)
            if handler is None:
                raise ReadError(f"instruction {name} is not followed")
            return handler(argument, stack)  # type: ignore[no-any-return]
        return None

    def binary(self, kind: type[ast.operator], stack: list[Any]) -> None:
        """Two values joined by an operator."""
        right, left = stack.pop(), stack.pop()
        stack.append(ast.BinOp(left, kind(), right))

    def store(self, name: str, argument: int, stack: list[Any]) -> ast.stmt:
        """A local variable is set; two at once in some releases."""
        if name == "STORE_FAST_LOAD_FAST":
            statement = self.assigned(self.code.fast[argument >> 4], stack.pop())
            stack.append(ast.Name(self.code.fast[argument & 15], ast.Load()))
            return statement
        if name == "STORE_FAST_STORE_FAST":
            first, second = stack.pop(), stack.pop()
            pair = (self.code.fast[argument >> 4], self.code.fast[argument & 15])
            targets = [ast.Name(one, ast.Store()) for one in pair]
            return ast.Assign([ast.Tuple(list[ast.expr](targets), ast.Store())], ast.Tuple([first, second], ast.Load()))
        names = self.code.fast if name == "STORE_FAST" else self.code.deref
        return self.assigned(names[argument], stack.pop())

    def assigned(self, name: str, value: ast.expr) -> ast.stmt:
        """`name = value`, or an import."""
        if isinstance(value, Imported):
            return value.statement(name)
        return ast.Assign([ast.Name(name, ast.Store())], value)

    def do_load_const(self, argument: int, stack: list[Any]) -> None:
        """A constant, or the code of a function."""
        value = self.code.consts[argument]
        stack.append(value if isinstance(value, CodeRecord) else literal(value))

    def do_load_fast(self, argument: int, stack: list[Any]) -> None:
        """A local variable."""
        stack.append(ast.Name(self.code.fast[argument], ast.Load()))

    do_load_fast_check = do_load_fast

    def do_load_fast_load_fast(self, argument: int, stack: list[Any]) -> None:
        """Two local variables."""
        self.do_load_fast(argument >> 4, stack)
        self.do_load_fast(argument & 15, stack)

    def do_load_deref(self, argument: int, stack: list[Any]) -> None:
        """A variable of the function around."""
        stack.append(ast.Name(self.code.deref[argument], ast.Load()))

    do_load_closure = do_load_deref

    def do_load_global(self, argument: int, stack: list[Any]) -> None:
        """A global name."""
        pushes_null = self.release.version >= (3, 11) and argument & 1
        name = self.code.names[argument >> 1 if self.release.version >= (3, 11) else argument]
        items: list[Any] = [ast.Name(name, ast.Load())]
        stack += [*items, NULL] if pushes_null and self.release.version >= (3, 13) else items
        if pushes_null and self.release.version < (3, 13):
            stack.insert(-1, NULL)

    def do_push_null(self, argument: int, stack: list[Any]) -> None:
        """The place of `self` in a call of a plain function."""
        stack.append(NULL)

    def do_load_attr(self, argument: int, stack: list[Any]) -> None:
        """`value.name`, with the place of `self` where it is to be called."""
        shifted = self.release.version >= (3, 12)
        name = self.code.names[argument >> 1 if shifted else argument]
        value = stack.pop()
        if isinstance(value, Imported):
            stack.append(value.attribute(name))
            return
        stack.append(ast.Attribute(value, name, ast.Load()))
        if shifted and argument & 1:
            stack.append(NULL)

    def do_load_method(self, argument: int, stack: list[Any]) -> None:
        """`value.name` that is called next."""
        stack.append(ast.Attribute(stack.pop(), self.code.names[argument], ast.Load()))
        stack.append(NULL)

    def do_binary_op(self, argument: int, stack: list[Any]) -> None:
        """An operator by number."""
        name = NUMBERED.split()[argument % 13] if argument < 26 else ""
        if name not in BINARY:
            raise ReadError(f"operator {argument} is not followed")
        self.binary(BINARY[name], stack)

    def do_binary_subscr(self, argument: int, stack: list[Any]) -> None:
        """`value[key]`."""
        key, value = stack.pop(), stack.pop()
        stack.append(ast.Subscript(value, key, ast.Load()))

    def do_binary_slice(self, argument: int, stack: list[Any]) -> None:
        """`value[a:b]`."""
        stop, start, value = stack.pop(), stack.pop(), stack.pop()
        stack.append(ast.Subscript(value, ast.Slice(start, stop), ast.Load()))

    def old_slice(self, bounds: int, stack: list[Any]) -> None:
        """`value[a:b]` of Python 2."""
        stop = stack.pop() if bounds & 2 else None
        start = stack.pop() if bounds & 1 else None
        stack.append(ast.Subscript(stack.pop(), ast.Slice(start, stop), ast.Load()))

    def do_build_slice(self, argument: int, stack: list[Any]) -> None:
        """`a:b:c`."""
        parts = take(stack, argument)
        stack.append(ast.Slice(*parts))

    def do_build_tuple(self, argument: int, stack: list[Any]) -> None:
        """`(a, b)`."""
        stack.append(ast.Tuple(take(stack, argument), ast.Load()))

    def do_build_list(self, argument: int, stack: list[Any]) -> None:
        """`[a, b]`."""
        stack.append(ast.List(take(stack, argument), ast.Load()))

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

    def do_import_name(self, argument: int, stack: list[Any]) -> None:
        """`import name`."""
        names, _ = stack.pop(), stack.pop()
        stack.append(Imported(self.code.names[argument], isinstance(names, ast.Tuple)))

    def do_import_from(self, argument: int, stack: list[Any]) -> None:
        """`from module import name`; the module stays."""
        stack.append(stack[-1].attribute(self.code.names[argument]))

    def do_copy(self, argument: int, stack: list[Any]) -> None:
        """A value again, from 3.11."""
        stack.append(stack[-argument])

    def do_swap(self, argument: int, stack: list[Any]) -> None:
        """Two values exchanged, from 3.11."""
        stack[-1], stack[-argument] = stack[-argument], stack[-1]

    def do_dup_top(self, argument: int, stack: list[Any]) -> None:
        """A value again."""
        stack.append(stack[-1])

    def do_rot_two(self, argument: int, stack: list[Any]) -> None:
        """Two values exchanged."""
        stack[-1], stack[-2] = stack[-2], stack[-1]

    def do_rot_three(self, argument: int, stack: list[Any]) -> None:
        """The upmost value goes below two others."""
        stack.insert(-2, stack.pop())
