"""Follows the instructions of calls, which every release of Python has its own of."""

from __future__ import annotations

import ast
from typing import Any

from k2t.errors import ReadError
from k2t.read.bytecode.marshalled import CodeRecord
from k2t.read.bytecode.opcodes import Release

NULL = ast.Constant("<null>")


class Imported(ast.Constant):
    """A module on the stack, until a name is given to it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def attribute(self, name: str) -> Imported:
        """`path.name`."""
        return Imported(f"{self.path}.{name}")

    def statement(self, name: str) -> ast.stmt:
        """`import path as name`."""
        return ast.Import([ast.alias(self.path, name)])


def take(stack: list[Any], count: int) -> list[Any]:
    """The upmost values, the lowest first."""
    if not 0 <= count <= len(stack):
        raise ReadError("an instruction takes more than there is")
    taken = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return taken


def strings(node: Any) -> tuple[str, ...]:
    """A tuple of names on the stack."""
    items = node.elts if isinstance(node, ast.Tuple) else ()
    return tuple(str(item.value) for item in items if isinstance(item, ast.Constant))


def called(callee: Any, args: list[Any], names: tuple[str, ...]) -> ast.Call:
    """`callee(*args)`, the last ones by name."""
    if not isinstance(callee, ast.expr) or len(names) > len(args):
        raise ReadError("a call without a function")
    count = len(args) - len(names)
    keywords = [ast.keyword(name, value) for name, value in zip(names, args[count:], strict=True)]
    return ast.Call(callee, args[:count], keywords)


def literal(value: Any) -> ast.expr:
    """A constant as an expression."""
    if isinstance(value, tuple | frozenset):
        return ast.Tuple([literal(item) for item in value], ast.Load())
    if isinstance(value, slice):
        return ast.Slice(*(literal(part) for part in (value.start, value.stop, value.step)))
    if isinstance(value, CodeRecord):
        raise ReadError("it holds a function that is not made")
    return ast.Constant(value)


class Calls:
    """The instructions of calls and of functions inside."""

    code: CodeRecord
    release: Release
    keywords: tuple[str, ...]
    out: list[ast.stmt]
    taken: int

    def inner(self, code: CodeRecord, defaults: list[ast.expr]) -> ast.FunctionDef:
        """A function inside, followed on its own."""
        raise NotImplementedError

    def do_kw_names(self, argument: int, stack: list[Any]) -> None:
        """Names of the keyword arguments of the next call."""
        self.keywords = self.code.consts[argument]

    def do_call(self, argument: int, stack: list[Any]) -> None:
        """A call, from 3.11."""
        names, self.keywords = self.keywords, ()
        args = take(stack, argument)
        callee, *first = [item for item in take(stack, 2) if item is not NULL] or [None]
        stack.append(called(callee, [*first, *args], names))

    def do_call_kw(self, argument: int, stack: list[Any]) -> None:
        """A call with keyword arguments, from 3.13."""
        self.keywords = strings(stack.pop())
        self.do_call(argument, stack)

    def do_call_function(self, argument: int, stack: list[Any]) -> None:
        """A call; before 3.6 the keyword arguments are pairs on the stack."""
        names: tuple[str, ...] = ()
        keywords: list[ast.expr] = []
        if self.release.version < (3, 6):
            pairs = take(stack, 2 * (argument >> 8))
            names = tuple(str(item.value) for item in pairs[::2] if isinstance(item, ast.Constant))
            keywords = pairs[1::2]
            argument &= 255
        args = take(stack, argument)
        stack.append(called(stack.pop(), [*args, *keywords], names))

    def do_call_function_var(self, argument: int, stack: list[Any]) -> None:
        """A call with `*args` (Python 2)."""
        more = stack.pop()
        self.do_call_function(argument, stack)
        stack[-1].args.append(ast.Starred(more, ast.Load()))

    def do_call_function_kw(self, argument: int, stack: list[Any]) -> None:
        """A call with keyword arguments, 3.6 to 3.10."""
        if self.release.version < (3, 6):
            raise ReadError("instruction CALL_FUNCTION_KW is not followed")
        names = strings(stack.pop())
        args = take(stack, argument)
        stack.append(called(stack.pop(), args, names))

    def do_call_method(self, argument: int, stack: list[Any]) -> None:
        """A call of a method, 3.7 to 3.10."""
        args = take(stack, argument)
        stack.pop()
        stack.append(called(stack.pop(), args, ()))

    def do_call_function_ex(self, argument: int, stack: list[Any]) -> None:
        """`function(*args, **kwargs)`, from 3.6."""
        if self.release.version < (3, 6):
            raise ReadError("instruction CALL_FUNCTION_EX is not followed")
        keywords = [ast.keyword(None, stack.pop())] if argument & 1 else []
        args = stack.pop()
        callee = stack.pop()
        if self.release.version >= (3, 11):
            other = stack.pop()
            callee = other if callee is NULL else callee
        if not isinstance(callee, ast.expr):
            raise ReadError("a call without a function")
        spread: list[ast.expr] = [ast.Starred(args, ast.Load())]
        stack.append(ast.Call(callee, spread, keywords))

    def do_call_intrinsic_1(self, argument: int, stack: list[Any]) -> None:
        """A unary plus, or a list as a tuple, from 3.12."""
        if argument == 5:
            stack.append(ast.UnaryOp(ast.UAdd(), stack.pop()))
        elif argument != 6:
            raise ReadError(f"intrinsic function {argument} is not followed")

    def do_make_function(self, argument: int, stack: list[Any]) -> None:
        """A function inside; below its code lie closure, annotations and defaults, as the argument says."""
        version = self.release.version
        if (3, 0) < version < (3, 11):
            stack.pop()
        code = stack.pop()
        if version < (3, 6):
            defaults = take(stack, argument)
        else:
            given = {flag: stack.pop() for flag in (8, 4, 2, 1) if version < (3, 13) and argument & flag}
            if 2 in given:
                raise ReadError("a function inside it has defaults by keyword")
            defaults = list(given[1].elts) if 1 in given else []
        if not isinstance(code, CodeRecord):
            raise ReadError("a function inside it is made of no code")
        inner = self.inner(code, defaults)
        if len(inner.body) == 1 and isinstance(inner.body[0], ast.Return) and inner.body[0].value is not None:
            stack.append(ast.Lambda(inner.args, inner.body[0].value))
        else:
            self.taken += 1
            inner.name = f"_{self.taken}"
            self.out.append(inner)
            stack.append(ast.Name(inner.name, ast.Load()))

    def do_set_function_attribute(self, argument: int, stack: list[Any]) -> None:
        """Defaults, annotations or closure of a function, from 3.13."""
        made, value = stack.pop(), stack.pop()
        if argument == 2:
            raise ReadError("a function inside it has defaults by keyword")
        if argument == 1:
            function: Any = made if isinstance(made, ast.Lambda) else self.out[-1]
            function.args.defaults = list(value.elts)
        stack.append(made)
