"""Follows Python code symbolically: what a Lambda or a layer's `call` does to tensors becomes operations.

The code is a syntax tree and is never run. Numbers are computed, tensors are traced, functions of
Keras, TensorFlow and numpy are looked up by name; anything else is refused with its line.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from k2t.rules.tracing.calls import Calls
from k2t.rules.tracing.names import Closure, Library, LoopExit, RaisedError, Returned, library_path


class Interpreter(Calls):
    """Follows whole functions."""

    def execute(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order."""
        for statement in body:
            self.step(statement)
            handler = getattr(self, f"do_{type(statement).__name__.lower()}", None)
            if handler is None:
                raise self.refusal(statement, f"the statement {type(statement).__name__.lower()}")
            handler(statement)

    def do_return(self, node: ast.Return) -> None:
        """`return value`."""
        raise Returned(None if node.value is None else self.evaluate(node.value))

    def do_assign(self, node: ast.Assign) -> None:
        """`a = b = value`."""
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value)

    def do_annassign(self, node: ast.AnnAssign) -> None:
        """`a: type = value`."""
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))

    def do_augassign(self, node: ast.AugAssign) -> None:
        """`a += value`."""
        left = self.evaluate(loaded(node.target))
        right = self.evaluate(node.value)
        if isinstance(left, list) and isinstance(node.op, ast.Add) and isinstance(right, list | tuple):
            left.extend(right)  # in place: other names of the list see it
        else:
            self.assign(node.target, self.binary(node, type(node.op), left, right))

    def do_expr(self, node: ast.Expr) -> None:
        """A docstring, or a call for its effect on a list."""
        if not isinstance(node.value, ast.Constant):
            self.evaluate(node.value)

    def do_pass(self, node: ast.Pass) -> None:
        """Nothing."""

    def do_import(self, node: ast.Import) -> None:
        """`import tensorflow as tf`."""
        for item in node.names:
            path = item.name.split(".")
            name = item.asname or path[0]
            self.names[name] = Library(library_path(item.name if item.asname else path[0]))

    def do_importfrom(self, node: ast.ImportFrom) -> None:
        """`from keras import backend as K`."""
        for item in node.names:
            self.names[item.asname or item.name] = Library(library_path(f"{node.module}.{item.name}"))

    def do_if(self, node: ast.If) -> None:
        """The branch that a constant condition chooses."""
        self.execute(node.body if self.truth(node.test) else node.orelse)

    def do_for(self, node: ast.For) -> None:
        """A loop over something of known length, unrolled."""
        for item in self.items(node.iter):
            self.assign(node.target, item)
            if self.leaves_loop(node.body):
                return
        self.execute(node.orelse)

    def do_while(self, node: ast.While) -> None:
        """A loop on a condition that is known now, unrolled."""
        while self.truth(node.test):
            self.step(node)
            if self.leaves_loop(node.body):
                return
        self.execute(node.orelse)

    def leaves_loop(self, body: Sequence[ast.stmt]) -> bool:
        """One round of a loop; whether it ends with `break`."""
        try:
            self.execute(body)
        except LoopExit as found:
            return found.whole
        return False

    def do_break(self, node: ast.Break) -> None:
        """The end of the loop."""
        raise LoopExit(whole=True)

    def do_continue(self, node: ast.Continue) -> None:
        """The end of the round."""
        raise LoopExit(whole=False)

    def do_global(self, node: ast.Global) -> None:
        """These names are the module's."""
        self.names.elsewhere |= dict.fromkeys(node.names, self.names.maps[-1])

    def do_nonlocal(self, node: ast.Nonlocal) -> None:
        """These names are those of a function around."""
        for name in node.names:
            self.names.elsewhere[name] = next(found for found in self.names.maps[1:] if name in found)

    def do_delete(self, node: ast.Delete) -> None:
        """Names and items go."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.names.maps[0].pop(target.id, None)
            elif isinstance(target, ast.Subscript):
                container, key = self.evaluate(target.value), self.evaluate(target.slice)
                if not isinstance(container, list | dict):
                    raise self.refusal(target, "this deletion")
                del container[key]

    def do_with(self, node: ast.With) -> None:
        """`with tf.name_scope(name):`; other contexts might compute something."""
        for item in node.items:
            called = item.context_expr.func if isinstance(item.context_expr, ast.Call) else item.context_expr
            if not ast.unparse(called).endswith(("name_scope", "variable_scope", "device")):
                raise self.refusal(item.context_expr, "this context")
        self.execute(node.body)

    def do_try(self, node: ast.Try) -> None:
        """What is done if nothing fails."""
        self.execute([*node.body, *node.orelse, *node.finalbody])

    def do_assert(self, node: ast.Assert) -> None:
        """Nothing: it checks."""

    def do_raise(self, node: ast.Raise) -> None:
        """The code refuses its arguments."""
        made = node.exc if isinstance(node.exc, ast.Call) else None
        kind = ast.unparse(made.func if made else node.exc) if node.exc else "an error"
        said = ""
        if made and made.args:
            said = f": {self.evaluate(made.args[0])}"
        error = RaisedError(str(self.located(node, f"the code raises {kind}{said}")))
        error.kind = kind
        raise error

    def do_functiondef(self, node: ast.FunctionDef) -> None:
        """A local function."""
        self.names[node.name] = Closure(node, self.names, self.defaults(node))


def loaded(target: ast.expr) -> ast.expr:
    """The target of an assignment as an expression."""
    expression = ast.parse(ast.unparse(target), mode="eval").body
    return ast.copy_location(expression, target)
