"""Recovers the syntax tree of a function from its instructions, by following what they do to the stack.

Straight code, conditions, early returns and loops over items; other loops and exceptions are refused.
"""

from __future__ import annotations

import ast
from typing import Any

from k2t.errors import ReadError
from k2t.read.bytecode.building import Building
from k2t.read.bytecode.calls import NULL, Imported, literal
from k2t.read.bytecode.instructions import UNKNOWN, Instruction, instructions, listing
from k2t.read.bytecode.loops import Cleared, Loops
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
# What makes no difference to what is computed: markers, and loops whose start and end the jumps show.
IGNORED = frozenset(
    """RESUME PRECALL NOP CACHE MAKE_CELL COPY_FREE_VARS TO_BOOL EXTENDED_ARG GET_ITER END_FOR SETUP_LOOP POP_BLOCK
    GEN_START LIST_TO_TUPLE""".split()  # noqa: SIM905
)
# Names that are constants today (Python 2).
SINGLETONS = {name: ast.Constant(value) for name, value in (("True", True), ("False", False), ("None", None))}
GENERATOR, VARARGS, VARKEYWORDS = 0x20, 0x04, 0x08


def decompile(candidates: list[CodeRecord]) -> tuple[ast.FunctionDef, CodeRecord]:
    """The function, under the layout and release by which most of its instructions are reached.

    Raises:
        ReadError: none makes sense of it; holds the reason and the disassembly under the likeliest.
    """
    found: list[tuple[float, ast.FunctionDef, CodeRecord]] = []
    reasons: list[tuple[int, str]] = []
    for code in candidates:
        for release in RELEASES[code.layout]:
            try:
                follower = Follower(code, release)
                node = definition(code, follower.body(), [])
                ast.unparse(node)  # fails where the bytes are no function's
                found.append((follower.coverage(), node, code))
            except (ReadError, LookupError, RecursionError, AttributeError, TypeError, ValueError) as error:
                unknown, text = disassembly(code, release)
                reasons.append((unknown, f"{error}{text}"))
    if not found:
        raise ReadError(min(reasons)[1])
    _, node, code = max(found, key=lambda item: item[0])
    return node, code


def disassembly(code: CodeRecord, release: Release) -> tuple[int, str]:
    """The instructions as text, and how many of them this release does not have, or not in an expression."""
    listed = list(listing(code, release))
    version = ".".join(map(str, release.version))
    lines = [f"; instructions, if it is of Python {version}:"]
    lines += [f"    {item.offset:4} {item.name} {operand(item, code, release)}" for item in listed[:60]]
    return sum(item.name == UNKNOWN for item in listed), "\n".join(lines)


def operand(item: Instruction, code: CodeRecord, release: Release) -> str:
    """The argument of an instruction as people read it: a name or a constant."""
    shifted = {"LOAD_GLOBAL": (3, 11), "LOAD_ATTR": (3, 12)}.get(item.name, (9, 9)) <= release.version
    index = item.argument >> 1 if shifted else item.argument
    tables: dict[str, tuple[Any, ...]] = {"CONST": code.consts, "FAST": code.fast, "DEREF": code.deref}
    tables |= dict.fromkeys(("GLOBAL", "ATTR", "METHOD", "IMPORT_NAME", "IMPORT_FROM"), code.names)
    table = next((table for name, table in tables.items() if item.name.endswith(name)), ())
    if index >= len(table):
        return str(item.argument)
    return table[index].name if isinstance(table[index], CodeRecord) else repr(table[index])[:60]


def definition(code: CodeRecord, body: list[ast.stmt], defaults: list[ast.expr]) -> ast.FunctionDef:
    """The definition with this body."""
    count = code.argcount + code.kwonly
    names = [ast.arg(name) for name in code.fast]
    rest = names[count:]
    arguments = ast.arguments(
        posonlyargs=[],
        args=names[: code.argcount],
        vararg=rest.pop(0) if code.flags & VARARGS else None,
        kwonlyargs=names[code.argcount : count],
        kw_defaults=[None] * code.kwonly,
        kwarg=rest.pop(0) if code.flags & VARKEYWORDS else None,
        defaults=defaults,
    )
    name = code.name if code.name.isidentifier() else "function"
    return ast.fix_missing_locations(ast.FunctionDef(name, arguments, body, []))


class Follower(Loops, Building):
    """Follows the instructions of one function."""

    def __init__(self, code: CodeRecord, release: Release) -> None:
        self.code = code
        self.release = release
        self.instructions = instructions(code, release)
        self.steps = 0
        self.reached: set[int] = set()
        self.keywords: tuple[str, ...] = ()
        self.out: list[ast.stmt] = []
        self.taken = 0
        self.aliases: dict[int, str] = {}

    def coverage(self) -> float:
        """The share of the instructions that were followed."""
        return len(self.reached) / len(self.instructions)

    def inner(self, code: CodeRecord, defaults: list[ast.expr]) -> ast.FunctionDef:
        """A function inside, followed on its own."""
        return definition(code, Follower(code, self.release).body(), defaults)

    def body(self) -> list[ast.stmt]:
        """All statements; what a generator yields is returned as a list."""
        statements = self.follow(0, [])
        if self.code.flags & GENERATOR:
            start: ast.stmt = ast.Assign([ast.Name("_items", ast.Store())], ast.List([], ast.Load()))
            return [start, *statements[:-1], ast.Return(ast.Name("_items", ast.Load()))]
        return statements

    def follow(self, offset: int, stack: list[Any], loop: int = -1) -> list[ast.stmt]:
        """Statements from `offset` to the return, or back to the start of the loop."""
        outer, self.out = self.out, []
        try:
            self.proceed(offset, stack, loop)
            return self.out
        finally:
            self.out = outer

    def proceed(self, offset: int, stack: list[Any], loop: int) -> None:
        """Add the statements."""
        while offset != loop:
            self.steps += 1
            if self.steps > MAX_STEPS or offset not in self.instructions:
                raise ReadError("it is too long or does not end")
            item = self.instructions[offset]
            self.reached.add(offset)
            offset = item.after
            if item.name in ("RETURN_VALUE", "RETURN_CONST"):
                value = stack.pop() if item.name == "RETURN_VALUE" else self.constant(item.argument)
                self.out.append(ast.Return(value))
                return
            if item.name == "FOR_ITER":
                offset = self.loop(item, stack)
            elif item.target < 0:
                self.step(item, stack)
            elif item.target <= item.offset and item.target != loop:
                raise ReadError("it holds a loop that is not over items")
            elif item.name.startswith(("JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD")):
                offset = item.target
            else:
                self.branch(item, stack, loop)
                return

    def branch(self, item: Instruction, stack: list[Any], loop: int) -> None:
        """A conditional jump: both ways to the end."""
        test = stack.pop()
        jumped = [*stack, test] if item.name.endswith("OR_POP") else list(stack)
        if item.name.endswith("NONE"):
            test = ast.Compare(test, [ast.IsNot() if "NOT_NONE" in item.name else ast.Is()], [ast.Constant(None)])
        aliases = dict(self.aliases)
        there = self.follow(item.target, jumped, loop) or [ast.Pass()]
        self.aliases = aliases
        here = self.follow(item.after, list(stack), loop) or [ast.Pass()]
        self.out.append(ast.If(test, here, there) if "IF_FALSE" in item.name else ast.If(test, there, here))

    def constant(self, index: int) -> ast.expr:
        """A constant of the code as an expression."""
        return literal(self.code.consts[index])

    def step(self, item: Instruction, stack: list[Any]) -> None:
        """One instruction without a jump."""
        name, argument = item.name, item.argument
        if name in UNARY:
            stack.append(ast.UnaryOp(UNARY[name](), stack.pop()))
        elif name.startswith(("BINARY_", "INPLACE_")) and name.partition("_")[2] in BINARY:
            self.binary(BINARY[name.partition("_")[2]], stack)
        elif name.startswith("STORE_FAST") or name == "STORE_DEREF":
            self.store(name, argument, stack)
        elif name == "POP_TOP":
            value = stack.pop()
            if isinstance(value, ast.Call):
                self.out.append(ast.Expr(value))
        elif name.startswith("SLICE+"):
            self.old_slice(int(name[-1]), stack)
        elif name not in IGNORED:
            handler = getattr(self, f"do_{name.lower()}", None)
            if handler is None:
                raise ReadError(f"instruction {name} is not followed")
            handler(argument, stack)

    def binary(self, kind: type[ast.operator], stack: list[Any]) -> None:
        """Two values joined by an operator."""
        right, left = stack.pop(), stack.pop()
        stack.append(ast.BinOp(left, kind(), right))

    def store(self, name: str, argument: int, stack: list[Any]) -> None:
        """A local variable is set; two at once in some releases."""
        if name == "STORE_FAST_STORE_FAST":
            self.set_fast(argument >> 4, stack)
            self.set_fast(argument & 15, stack)
        elif name == "STORE_FAST_LOAD_FAST":
            self.set_fast(argument >> 4, stack)
            self.do_load_fast(argument & 15, stack)
        elif name == "STORE_FAST":
            self.set_fast(argument, stack)
        else:
            self.assign(self.code.deref[argument], stack)

    def set_fast(self, index: int, stack: list[Any]) -> None:
        """A local variable is set, or has its value from before a comprehension again."""
        if isinstance(stack[-1], Cleared):
            stack.pop()
            self.aliases.pop(index, None)
        else:
            self.assign(self.fast(index), stack)

    def assign(self, name: str, stack: list[Any]) -> None:
        """`name = value`, or an import; what waits for the old value is computed first."""
        value = stack.pop()
        self.spill(stack, (name,))
        if isinstance(value, Imported):
            self.out.append(value.statement(name))
        else:
            self.out.append(ast.Assign([ast.Name(name, ast.Store())], value))

    def do_load_const(self, argument: int, stack: list[Any]) -> None:
        """A constant, or the code of a function."""
        value = self.code.consts[argument]
        stack.append(value if isinstance(value, CodeRecord) else literal(value))

    def do_load_fast(self, argument: int, stack: list[Any]) -> None:
        """A local variable."""
        stack.append(ast.Name(self.fast(argument), ast.Load()))

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
        items: list[Any] = [SINGLETONS[name] if name in SINGLETONS else ast.Name(name, ast.Load())]
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

    def do_import_name(self, argument: int, stack: list[Any]) -> None:
        """`import name`."""
        names, _ = stack.pop(), stack.pop()
        path = self.code.names[argument]
        stack.append(Imported(path if isinstance(names, ast.Tuple) else path.split(".")[0]))

    def do_import_from(self, argument: int, stack: list[Any]) -> None:
        """`from module import name`; the module stays."""
        stack.append(stack[-1].attribute(self.code.names[argument]))

    def do_copy(self, argument: int, stack: list[Any]) -> None:
        """A value again, from 3.11; a call is made once."""
        if isinstance(stack[-argument], ast.Call):
            stack[-argument] = self.temporary(stack[-argument])
        stack.append(stack[-argument])

    def do_swap(self, argument: int, stack: list[Any]) -> None:
        """Two values exchanged, from 3.11."""
        stack[-1], stack[-argument] = stack[-argument], stack[-1]

    def do_dup_top(self, argument: int, stack: list[Any]) -> None:
        """A value again."""
        self.do_copy(1, stack)

    def do_rot_two(self, argument: int, stack: list[Any]) -> None:
        """Two values exchanged."""
        stack[-1], stack[-2] = stack[-2], stack[-1]

    def do_rot_three(self, argument: int, stack: list[Any]) -> None:
        """The upmost value goes below two others."""
        stack.insert(-2, stack.pop())
