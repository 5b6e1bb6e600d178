"""Both files in the making: the weights are written in a thread of their own while the code is emitted."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from k2t.emit.weights import Entry, header

TICK = 0.1  # seconds between two reports of progress


class Background:
    """A function that runs in a thread: reading, copying and hashing leave the interpreter to others."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:
            self._error = error

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether it is done."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Wait for the end; what the function raised is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error


class Draft:
    """The two files before they have their names.

    The header of a safetensors file comes first and is known last, so the tensors go behind room for it: the
    format lets spaces follow the header.

    Args:
        path: what the code will be called; the weights lie beside it.
        tensors: the state dict.
        room: bytes to leave for the header.
    """

    def __init__(self, path: Path, tensors: list[Entry], room: int) -> None:
        self.path = path
        self.tensors = tensors
        self.room = room
        self.written = 0
        self._folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=".k2t-")
        self._data = Path(self._folder.name) / "data"
        self._writing = Background(self._write)

    def _write(self) -> None:
        with self._data.open("wb") as file:
            file.seek(self.room)
            for tensor in self.tensors:
                file.write(tensor.load().data)
                self.written += tensor.size

    def finish(
        self, source: str, tensors: Iterable[Entry], metadata: Mapping[str, str], advance: Callable[[int], object]
    ) -> Path:
        """Put both files in their places, or neither; returns the path of the weights.

        Args:
            tensors: the same as before, perhaps by other names.
        """
        code, weights = Path(self._folder.name) / "code", self.path.with_suffix(".safetensors")
        with self._folder:
            code.write_text(source, "utf-8")
            head = header(tensors, metadata, self.room)
            reported = 0
            while not self._writing.wait(TICK):
                advance(self.written - reported)
                reported = self.written
            self._writing.finish()
            advance(self.written - reported)
            if len(head) > self.room:
                self.room = len(head)
                self._write()
            with self._data.open("r+b") as file:
                file.write(head)
            os.replace(self._data, weights)
            os.replace(code, self.path)
        return weights
