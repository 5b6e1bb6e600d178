"""Copied helpers keep what a file uses of them."""

from __future__ import annotations

import pytest

from k2t.emit.copied import copied
from k2t.emit.trim import trimmed

NET = """
class Net(nn.Module):
    def __init__(self):
        self.part = {made}

    def forward(self, x, y):
        return self.part({given})
"""
LOOP = "LoopLSTM(3, 4)"
ATTENTION = "MultiHeadAttention((3, 3, 3), 2, (4, 4), 3)"


def helpers(made: str, given: str) -> str:
    """The text of the helpers of a net that makes and calls one of them."""
    name = made.partition("(")[0]
    return "\n\n".join(trimmed(copied({name}), NET.format(made=made, given=given)))


@pytest.mark.parametrize(
    ("made", "given", "gone", "kept"),
    [
        (LOOP, "x", ("mask", "dropout", "kept", "initial", "self.activation"), ("states", "torch.tanh(g)")),
        (LOOP, "x, mask=y", ("dropout", "kept", "initial"), ("torch.where(valid",)),
        (LOOP, "x, y", ("dropout", "mask"), ("if initial is None else initial",)),
        ("LoopLSTM(3, 4, recurrent_dropout=0.2)", "x", ("mask",), ("F.dropout", "kept is None")),
        ("LoopLSTM(3, 4, activation=F.relu)", "x", (), ("self.activation(g)",)),
        (ATTENTION, "x, x, x", ("mask", "gate", "kv_heads", "dropout", "causal"), ("attention(q, k, v)",)),
        (ATTENTION, "x, x, x, y", ("gate", "causal"), ("attn_mask=seen",)),
        (ATTENTION, "*x", ("gate",), ("mask", "causal")),
        ("ConvLSTM(nn.Conv2d, 1, 2, 3)", "x", ("def keep", "dropout", "time_dim"), ("frames = x.unbind(2)",)),
    ],
)
def test_options_that_nobody_uses_are_gone(made: str, given: str, gone: tuple[str, ...], kept: tuple[str, ...]) -> None:
    text = helpers(made, given)
    assert [name for name in gone if name in text] == []
    assert [name for name in kept if name not in text] == []


def test_who_may_call_a_part_keeps_what_it_may_give() -> None:
    net = NET.format(made=LOOP, given="x") + "\n\ndef run(net, x, y):\n    return net.part(x, mask=y)"
    assert "mask" in "".join(trimmed(copied({"LoopLSTM"}), net))
    assert "recurrent_dropout" in "".join(trimmed(copied({"LoopLSTM"}), "PARTS = {'a': LoopLSTM}"))


def test_helpers_that_are_used_as_they_are_stay_as_they_are() -> None:
    whole = copied({"Conv2dSame"})
    assert trimmed(whole, NET.format(made="Conv2dSame(1, 2, 3)", given="x")) == whole
