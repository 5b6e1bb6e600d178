"""What an expression or a branch is when its conditions are constants."""

from __future__ import annotations

import ast

# Arguments of PyTorch that say what it does anyway.
DEFAULTS = {"attn_mask": "None", "bias": "True", "dropout_p": "0.0", "is_causal": "False"}


def fold(statement: ast.stmt) -> ast.stmt:
    """A class or function without the branches that cannot be taken."""
    folded: ast.stmt = Folder().visit(statement)
    return folded


def is_constant(node: ast.expr) -> bool:
    """Whether this is a literal, or a function of a library: `torch.tanh`."""
    match node:
        case ast.Constant(value):
            return value is not ...
        case ast.UnaryOp(ast.USub(), ast.Constant()):
            return True
        case ast.Attribute(ast.Name("torch" | "F"), _):
            return True
        case ast.Call(ast.Name("slice"), [ast.Constant(None)]):
            return True
    return False


def truth(node: ast.expr) -> bool | None:
    """Whether an expression is true, if that is certain."""
    match node:
        case ast.Constant(value):
            return bool(value)
        case ast.UnaryOp(ast.Not(), operand):
            found = truth(operand)
            return None if found is None else not found
        case ast.BoolOp(operator, parts):
            ends = isinstance(operator, ast.Or)  # the value of a part that decides
            found_parts = [truth(part) for part in parts]
            return ends if ends in found_parts else None if None in found_parts else not ends
        case ast.Compare(left, [ast.Is() | ast.IsNot() as operator], [ast.Constant(None)]) if is_constant(left):
            return (ast.unparse(left) == "None") == isinstance(operator, ast.Is)
    return None


class Folder(ast.NodeTransformer):
    """Takes what is certain, from the inside out."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """`a if True else b` is `a`."""
        self.generic_visit(node)
        certain = truth(node.test)
        if ast.unparse(node.body) == ast.unparse(node.orelse):
            return node.body
        return node if certain is None else node.body if certain else node.orelse

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """`a or b` is its first part that is true, `a and b` the first that is not; else the last."""
        self.generic_visit(node)
        ends = isinstance(node.op, ast.Or)
        left: list[ast.expr] = []
        for part in node.values:
            if truth(part) is ends:
                left.append(part)
                break
            if truth(part) is None or part is node.values[-1]:
                left.append(part)
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """The branch that is taken."""
        self.generic_visit(node)
        certain = truth(node.test)
        if certain is None:
            return node if node.body else ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, [])
        return node.body if certain else node.orelse

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """`a[slice(None)]` is `a`, `{"a": b}["a"]` is `b`."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Dict):
            named = {
                ast.unparse(key): value for key, value in zip(node.value.keys, node.value.values, strict=True) if key
            }
            return named.get(ast.unparse(node.slice), node)
        return node.value if ast.unparse(node.slice) == "slice(None)" else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Without the arguments that say nothing."""
        self.generic_visit(node)
        node.keywords = [item for item in node.keywords if DEFAULTS.get(item.arg or "") != ast.unparse(item.value)]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """What follows a return is never reached."""
        self.generic_visit(node)
        ends = [index for index, item in enumerate(node.body) if isinstance(item, ast.Return | ast.Raise)]
        node.body = node.body[: ends[0] + 1] if ends else node.body
        return node
