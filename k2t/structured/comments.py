"""The comments of the code, each with the statement that it stands above."""

from __future__ import annotations

import ast
import io
import tokenize


class Comments:
    """The comments of a file."""

    def __init__(self, source: str) -> None:
        self.lines: dict[int, str] = {}
        self.behind: dict[int, str] = {}
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                alone = not token.line[: token.start[1]].strip()
                (self.lines if alone else self.behind)[token.start[0]] = token.string

    def above(self, node: ast.stmt) -> list[str]:
        """The comments directly above a statement, and those behind it."""
        found: list[str] = []
        line = node.lineno - 1
        while line in self.lines:
            found.insert(0, self.lines[line])
            line -= 1
        last = node.body[0].lineno - 1 if isinstance(node, ast.For | ast.If) else (node.end_lineno or node.lineno)
        found += [self.behind[line] for line in range(node.lineno, last + 1) if line in self.behind]
        return found
