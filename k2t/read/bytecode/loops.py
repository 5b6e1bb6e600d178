"""Follows loops, comprehensions and generators: a list that grows becomes a variable."""

from __future__ import annotations

import ast
from typing import Any

from k2t.errors import ReadError
from k2t.read.bytecode.calls import NULL, Calls, Imported
from k2t.read.bytecode.instructions import Instruction


class Cleared(ast.Constant):
    """On the stack while a comprehension inside has a variable of the same name (from 3.12)."""


def mentions(node: Any, name: str) -> bool:
    """Whether an expression reads a variable."""
    return isinstance(node, ast.AST) and any(isinstance(item, ast.Name) and item.id == name for item in ast.walk(node))


def builds(node: ast.AST) -> bool:
    """Whether an expression calls something, or makes a list that may grow."""
    return any(isinstance(item, ast.Call | ast.List | ast.Dict) for item in ast.walk(node))


class Loops(Calls):
    """Loops and what they collect.

    Attributes:
        out: the statements so far.
        taken: how many variables were made that the code does not have.
        aliases: index of a local variable -> its name inside a comprehension.
    """

    out: list[ast.stmt]
    taken: int
    aliases: dict[int, str]

    def follow(self, offset: int, stack: list[Any], loop: int = -1) -> list[ast.stmt]:
        """Statements from `offset` to the return, or back to the start of the loop."""
        raise NotImplementedError

    def fast(self, index: int) -> str:
        """The name of a local variable."""
        return self.aliases.get(index) or self.code.fast[index]

    def temporary(self, value: ast.expr) -> ast.Name:
        """A new variable with this value."""
        self.taken += 1
        name = f"_{self.taken}"
        self.out.append(ast.Assign([ast.Name(name, ast.Store())], value))
        return ast.Name(name, ast.Load())

    def spill(self, stack: list[Any], keep: tuple[str, ...] | None = None) -> None:
        """What waits on the stack is computed before what follows changes it: all, or what reads `keep`."""
        local = {*self.code.fast, *self.code.deref}
        for place, item in enumerate(stack):
            if not isinstance(item, ast.expr) or item is NULL or isinstance(item, ast.Constant | Imported):
                continue
            if any(mentions(item, name) for name in keep or local) or (keep is None and builds(item)):
                stack[place] = self.temporary(item)

    def loop(self, item: Instruction, stack: list[Any]) -> int:
        """`for`: its body is followed once; returns where the code goes on."""
        items = stack.pop()
        self.spill(stack)
        self.taken += 1
        name = f"_{self.taken}"
        body = self.follow(item.after, [*stack, NULL, ast.Name(name, ast.Load())], item.offset)
        first = body[0] if body else None
        if isinstance(first, ast.Assign) and isinstance(first.value, ast.Name) and first.value.id == name:
            target, body = first.targets[0], body[1:]
        else:
            target = ast.Name(name, ast.Store())
        self.out.append(ast.For(target, items, body or [ast.Pass()], []))
        if self.release.version >= (3, 13):
            stack.append(NULL)
        return item.target

    def do_list_append(self, argument: int, stack: list[Any]) -> None:
        """An item of a comprehension."""
        value = stack.pop()
        self.append(stack[-argument], value)

    def append(self, items: Any, value: ast.expr) -> None:
        """`items.append(value)`."""
        if not isinstance(items, ast.Name):
            raise ReadError("a list is built in an unknown way")
        self.out.append(ast.Expr(ast.Call(ast.Attribute(items, "append", ast.Load()), [value], [])))

    def do_yield_value(self, argument: int, stack: list[Any]) -> None:
        """An item of a generator, which is followed as a list."""
        self.append(ast.Name("_items", ast.Load()), stack.pop())
        stack.append(NULL)

    def do_return_generator(self, argument: int, stack: list[Any]) -> None:
        """The generator itself, which its caller takes."""
        stack.append(NULL)

    def do_load_fast_and_clear(self, argument: int, stack: list[Any]) -> None:
        """A variable of a comprehension, which hides one of the function."""
        stack.append(Cleared(argument))
        self.taken += 1
        self.aliases[argument] = f"_{self.taken}"

    def do_unpack_sequence(self, argument: int, stack: list[Any]) -> None:
        """`a, b = value`."""
        value = stack.pop()
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == argument:
            stack += reversed(value.elts)
            return
        whole = value if isinstance(value, ast.Name) else self.temporary(value)
        stack += [ast.Subscript(whole, ast.Constant(index), ast.Load()) for index in reversed(range(argument))]

    def do_store_subscr(self, argument: int, stack: list[Any]) -> None:
        """`container[key] = value`."""
        key, container, value = stack.pop(), stack.pop(), stack.pop()
        self.out.append(ast.Assign([ast.Subscript(container, key, ast.Store())], value))
