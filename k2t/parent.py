"""Calls that the process which waits for this one makes meanwhile, as on a second core."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

UNSENDABLE = (pickle.PicklingError, AttributeError, TypeError, RecursionError)


class Parent:
    """The two ends of the line: made before the fork, `submit` is for the child and `serve` for the parent."""

    def __init__(self) -> None:
        self._calls = os.pipe()
        self._results = os.pipe()
        self._known: list[tuple[bool, Any]] = []
        self._sent = 0

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], Any]:
        """Begin a call; returns a function that waits for its result. What fails there is called here again."""
        call = partial(function, *args, **kwargs)
        try:
            data = pickle.dumps(call)
        except UNSENDABLE:
            return call
        self._writer.write(data)
        self._writer.flush()
        self._sent += 1
        return partial(self._result, self._sent - 1, call)

    def _result(self, number: int, call: Callable[[], Any]) -> Any:
        while len(self._known) <= number:
            self._known.append(pickle.load(self._reader))
        done, result = self._known[number]
        return result if done else call()

    def begin(self, is_child: bool) -> None:
        """Keep the ends of one side, after the fork."""
        own, other = (self._results, self._calls) if is_child else (self._calls, self._results)
        os.close(own[1])
        os.close(other[0])
        self._reader: BinaryIO = open(own[0], "rb")  # noqa: SIM115 open until the process ends
        self._writer: BinaryIO = open(other[1], "wb")  # noqa: SIM115

    def serve(self) -> None:
        """Make the calls of the child until it ends, perhaps in the middle of one."""
        with suppress(EOFError, pickle.UnpicklingError, BrokenPipeError), self._reader, self._writer:
            while True:
                call = pickle.load(self._reader)
                try:
                    answer = pickle.dumps((True, call()))
                except Exception:
                    answer = pickle.dumps((False, None))
                self._writer.write(answer)
                self._writer.flush()
