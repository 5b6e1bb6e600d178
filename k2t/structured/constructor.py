"""`__init__`: the code with each tensor replaced by the number of its channels, and each layer by its constructor."""

from __future__ import annotations

import ast
import re
from typing import Any

from k2t.program import Value
from k2t.structured.frames import NotStructured, SizeNeeded
from k2t.structured.plan import PLACE
from k2t.structured.projection import Projection, argument_code, parsed, statement
from k2t.structured.sizes import OPAQUE
from k2t.structured.templates import Key
from k2t.symbols import code_of, normal

# Stands behind the name of a tensor for the number of its channels.
SHADOW = "__channels"


class Constructor(Projection):
    """Writes the statements of `__init__`."""

    def write(self) -> list[ast.stmt]:
        """The statements, those for nothing included."""
        body: list[ast.stmt] = []
        for frame in self.plan.frames[:1]:
            for name, value in frame.tensors.items():
                if not isinstance(value, Value):
                    continue  # of a collection, nobody knows the channels
                body.append(statement(f"{name}{SHADOW} = {code_of(value.shape[-1])}"))
        body += self.statements(self.plan.node.body)
        return body

    def statements(self, nodes: list[ast.stmt]) -> list[ast.stmt]:
        """Statements in order."""
        made: list[ast.stmt] = []
        for place, node in enumerate(nodes):
            if isinstance(node, ast.If) and self.chosen(node) is None and leaves(node.body):
                rest = [*node.orelse, *nodes[place + 1 :]]
                made += self.condition(ast.If(node.test, node.body, rest), node)
                break
            written = self.statement(node)
            for item in written[:1]:
                item.origins = [node]  # type: ignore[attr-defined]
            made += written
            if isinstance(node, ast.Return):
                break
        return made

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """What one statement of the code becomes."""
        if isinstance(node, ast.For):
            return self.loop(node)
        if isinstance(node, ast.If):
            return self.condition(node)
        if isinstance(node, ast.With):
            return self.statements(node.body)
        if isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom | ast.Pass | ast.Assert | ast.Raise):
            return []
        made = [self.create(key) for key in self.plan.within(node) if not self.is_hoisted(key, node)]
        if isinstance(node, ast.Assign):
            for target in node.targets:
                made += self.assign(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            made += self.assign(node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            made += self.augmented(node)
        elif isinstance(node, ast.Expr):
            made += self.effect(node.value)
        elif isinstance(node, ast.Return) and self.plan.out_channels and node.value is not None:
            made.append(statement(f"self.out_channels = {self.channels(node.value)}"))
        return made

    def is_hoisted(self, key: Key, node: ast.stmt) -> bool:
        """Whether a module is constructed before the loop around its place."""
        parent: Any = node
        around = []
        while parent is not None:
            around += [parent] if isinstance(parent, ast.For) else []
            parent = self.plan.parents.get(parent)
        return len(self.plan.modules[key].loops) < len(around)

    def loop(self, node: ast.For) -> list[ast.stmt]:
        """A loop, with the lists that it fills."""
        keys = list(self.plan.within(node))
        before, after = [], []
        for key in keys:
            loops, name = self.plan.modules[key].loops, self.plan.names[key]
            if node not in loops:
                before.append(self.create(key))
            elif loops[0] is node:
                before.append(statement(f"self.{name} = nn.ModuleList()"))
            else:
                inner = self.inner(key, loops.index(node))
                before.append(statement(f"{inner} = nn.ModuleList()"))
                after.append(statement(f"{self.container(key, loops.index(node))}.append({inner})"))
        before = [item for key, item in zip(keys, before, strict=True) if not self.created_outside(key, node)]
        target = self.shadow_target(node.target) if self.is_tensor(node.iter) else node.target
        items = parsed(self.channels(node.iter)) if self.is_tensor(node.iter) else self.optional(node.iter)
        if items is None:
            return before
        body = self.statements(node.body)
        if not body:
            return [*before, *after]
        made = ast.For(target, items, body, [], lineno=0)
        return [*before, made, *after]

    def created_outside(self, key: Key, node: ast.For) -> bool:
        """Whether a module without a loop of its own is constructed by an outer loop already."""
        parent = self.plan.parents.get(node)
        while parent is not None and not isinstance(parent, ast.For):
            parent = self.plan.parents.get(parent)
        loops = self.plan.modules[key].loops
        return node not in loops and parent is not None and parent not in loops

    def container(self, key: Key, depth: int) -> str:
        """The list that modules are appended to: that of the loop `depth`, outermost first."""
        return f"self.{self.plan.names[key]}" if depth <= 1 else self.inner(key, depth - 1)

    def inner(self, key: Key, depth: int) -> str:
        """A list inside the list of an attribute."""
        return self.plan.names[key] if depth == 1 else f"{self.plan.names[key]}_{depth}"

    def condition(self, node: ast.If, origin: ast.If | None = None) -> list[ast.stmt]:
        """A condition on the configuration; `origin` where what is behind a return was put into it."""
        chosen = self.chosen(origin or node)
        if chosen is not None:
            return self.statements(chosen)
        body, orelse = self.statements(node.body), self.statements(node.orelse)
        if not body and not orelse and not self.flag(node):
            return []
        test = self.config(node.test)
        if not (flag := self.flag(node)):
            return [ast.If(test, body or [ast.Pass()], orelse)]
        kept = statement(f"self.{flag} = {ast.unparse(test)}")
        return [kept, ast.If(parsed(f"self.{flag}"), body, orelse)] if body else [kept]

    def create(self, key: Key) -> ast.stmt:
        """The construction of a module."""
        module, name = self.plan.modules[key], self.plan.names[key]
        node = self.plan.owner[key]
        call = module.call if isinstance(module.call, str) else self.plan.callees[module.call].class_name
        args = [self.resolved(argument_code(arg), node) for arg in module.args]
        if isinstance(module.call, ast.FunctionDef):
            args, kwargs = self.call_arguments(key, node)
        else:
            kwargs = {name: self.resolved(argument_code(arg), node) for name, arg in module.kwargs.items()}
        made = f"{call}({', '.join([*args, *(f'{name}={value}' for name, value in kwargs.items())])})"
        if not module.loops:
            return statement(f"self.{name} = {made}")
        return statement(f"{self.container(key, len(module.loops))}.append({made})")

    def call_arguments(self, key: Key, node: ast.AST) -> tuple[list[str], dict[str, str]]:
        """The arguments for the class of a function, by position as far as the call has them so."""
        module, site = self.plan.modules[key], key[0]
        if not isinstance(module.call, ast.FunctionDef) or not isinstance(site, ast.Call):
            raise NotStructured("a call that the code does not spell", node)
        named = {item.arg for item in site.keywords}
        args: list[str] = []
        kwargs: dict[str, str] = {}
        in_order = True
        for parameter in self.plan.callees[module.call].parameters:
            given = parameter.name in module.kwargs
            in_order = in_order and given and (parameter.name not in named or bool(parameter.tensor))
            if given and in_order:
                args.append(self.resolved(argument_code(module.kwargs[parameter.name]), node))
            elif given:
                kwargs[parameter.name] = self.resolved(argument_code(module.kwargs[parameter.name]), node)
        return args, kwargs

    def resolved(self, code: str, node: ast.AST) -> str:
        """An expression of a template in terms of the constructor's variables."""
        sizes, leaves, operands = self.plan.sizes[node], self.plan.leaves[node], self.plan.operands[node]

        def size(match: re.Match[str]) -> str:
            direct = sizes.get(match[0])
            if direct is not None:
                return f"({direct})"
            if match[2]:
                raise SizeNeeded(node)
            operand, path = leaves[int(match[1])]
            return f"({self.channels(operands[operand], path)})"

        written = PLACE.sub(size, code)
        if OPAQUE in written:
            raise SizeNeeded(node)
        return normal(written)[0]

    def channels(self, node: ast.expr, path: tuple[Any, ...] = ()) -> str:
        """The number of channels of a tensor, or a collection of them."""
        if node in self.plan.templates:
            return self.made(node, path)
        steps = "".join(f"[{step!r}]" for step in path)
        if isinstance(node, ast.Name):
            return f"{node.id}{SHADOW}{steps}"
        if isinstance(node, ast.List | ast.Tuple):
            if path:
                return self.channels(node.elts[path[0]], path[1:])
            items = ", ".join(self.either(item) for item in node.elts)
            return f"[{items}]" if isinstance(node, ast.List) else f"({items},)"
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            return (
                f"{{{', '.join(f'{ast.unparse(self.config(key))}: {self.either(one)}' for key, one in pairs if key)}}}"
            )
        if isinstance(node, ast.Subscript):
            return f"{self.channels(node.value)}[{ast.unparse(self.config_slice(node.slice))}]{steps}"
        if isinstance(node, ast.IfExp):
            test = ast.unparse(self.config(node.test))
            return f"({self.channels(node.body, path)} if {test} else {self.channels(node.orelse, path)})"
        if isinstance(node, ast.Call):
            return self.called(node) + steps
        if isinstance(node, ast.BinOp):
            return (
                ast.unparse(ast.BinOp(parsed(self.either(node.left)), node.op, parsed(self.either(node.right)))) + steps
            )
        raise NotStructured(f"a tensor from {type(node).__name__.lower()}", node)

    def called(self, node: ast.Call) -> str:
        """A call that gives tensors and makes none: of an input, an iterator, a method of a list."""
        value = self.seen(node)
        if isinstance(value, Value) and any(node in frame.inputs for frame in self.plan.frames):
            return code_of(value.shape[-1])
        arguments = ", ".join(self.either(item) for item in node.args)
        if isinstance(node.func, ast.Name):
            return f"{node.func.id}({arguments})"
        if isinstance(node.func, ast.Attribute):
            return f"{self.channels(node.func.value)}.{node.func.attr}({arguments})"
        raise NotStructured("a call that gives tensors", node)

    def either(self, node: ast.expr) -> str:
        """An argument of such a call."""
        return self.channels(node) if self.is_tensor(node) else ast.unparse(self.config(node))

    def config_slice(self, node: ast.expr) -> ast.expr:
        """An index, or a slice."""
        return self.mapped(node, self.config) if isinstance(node, ast.Slice) else self.config(node)

    def made(self, node: ast.AST, path: tuple[Any, ...]) -> str:
        """The channels of what a place makes."""
        made = self.plan.made[node]
        if len(made) > 1 and not path:
            return f"({', '.join(self.resolved(code_of(size), node) for size in made)},)"
        code = code_of(made[path[0] if path else 0])
        if (collection := self.plan.collection(node)) and code == " + ".join(self.plan.sizes[node]):
            return f"sum({self.channels(collection)})"
        if OPAQUE in code and isinstance(node, ast.Call):
            for key, module in self.plan.modules.items():
                if self.plan.owner[key] is node and isinstance(module.call, ast.FunctionDef):
                    return f"self.{self.plan.names[key]}{'[-1]' * len(module.loops)}.out_channels"
        return self.resolved(code, node)

    def assign(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        """`target = value`: of tensors by their channels, of numbers as it is."""
        if self.is_tensor(target) or self.is_tensor(value):
            if any(isinstance(item, ast.Starred) for item in ast.walk(target)):
                raise NotStructured("a starred target", target)
            if isinstance(target, ast.Attribute):
                return []
            made = ast.Assign([self.shadow_target(target)], parsed(self.optional_channels(value)), lineno=0)
            return [made]
        names = [item for item in ast.walk(target) if isinstance(item, ast.Name)]
        written = self.optional(value)
        if written is None or not names or isinstance(target, ast.Attribute):
            return []
        return [ast.Assign([target], written, lineno=0)]

    def optional_channels(self, value: ast.expr) -> str:
        """Channels, or a name that fails where it is needed."""
        try:
            return self.channels(value)
        except NotStructured:
            return OPAQUE

    def optional(self, value: ast.expr) -> ast.expr | None:
        """A number's expression, or None where the class cannot compute it."""
        try:
            return self.config(value)
        except NotStructured:
            return None

    def shadow_target(self, target: ast.expr) -> ast.expr:
        """The variables for the channels."""
        if isinstance(target, ast.Name):
            return ast.Name(f"{target.id}{SHADOW}", ast.Store()) if target.id in self.plan.tensors else target
        if isinstance(target, ast.Tuple | ast.List):
            return ast.Tuple([self.shadow_target(item) for item in target.elts], ast.Store())
        if isinstance(target, ast.Subscript):
            return parsed(f"{self.channels(target.value)}[{ast.unparse(self.config_slice(target.slice))}]")
        raise NotStructured("an assignment of tensors", target)

    def augmented(self, node: ast.AugAssign) -> list[ast.stmt]:
        """`target += value`."""
        if node in self.plan.templates:
            return [statement(f"{ast.unparse(self.shadow_target(node.target))} = {self.made(node, ())}")]
        if self.is_tensor(node.target):
            return [statement(f"{ast.unparse(self.shadow_target(node.target))} += {self.channels(node.value)}")]
        value = self.optional(node.value)
        return [ast.AugAssign(node.target, node.op, value)] if value is not None else []

    def effect(self, node: ast.expr) -> list[ast.stmt]:
        """A call for its effect on a list."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node in self.plan.templates:
            return []
        subject = node.func.value
        if self.is_tensor(subject) and not isinstance(self.seen(subject), Value):
            return [ast.Expr(parsed(self.called(node)))]
        if isinstance(subject, ast.Name) and subject.id in self.plan.local:
            found = [self.optional(item) for item in node.args]
            arguments = [item for item in found if item is not None]
            if len(arguments) == len(found):
                return [ast.Expr(ast.Call(node.func, arguments, []))]
        return []

    def name(self, node: ast.Name) -> ast.expr:
        """A variable of the constructor."""
        return ast.Name(node.id, ast.Load())

    def size(self, subject: ast.expr, axis: int, node: ast.expr) -> ast.expr:
        """One size of a tensor: its channels, or a constant."""
        tensor = self.seen(subject)
        if axis == tensor.rank - 1:
            return parsed(self.channels(subject))
        found = self.constant(node)
        if found is None:
            raise NotStructured("depends on the size of an image", node)
        return found


def leaves(body: list[ast.stmt]) -> bool:
    """Whether statements end the function."""
    return bool(body) and isinstance(body[-1], ast.Return)
