"""The order of the statements: branch after branch, where Keras lists its layers level by level."""

from __future__ import annotations

from k2t.program import Block, Op, values


def schedule(block: Block) -> None:
    """Put the operations in the order in which a person computes the outputs: each branch to its end."""
    maker = {value: op for op in block.ops for value in values(op.outputs)}
    done: dict[Op, None] = {}
    ends = [maker[value] for value in values(block.outputs) if value in maker]
    for end in (*ends, *block.ops):
        stack = [end]
        while stack:
            read = values((stack[-1].args, stack[-1].kwargs))
            missing = next((maker[v] for v in read if v in maker and maker[v] not in done), None)
            if missing is None:
                done[stack.pop()] = None
            else:
                stack.append(missing)
    block.ops = list(done)
