"""`python -m k2t` is `k2t`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from k2t import cli
from k2t.parent import Parent

CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main(run: Callable[..., int] = cli.main) -> int:
    """Run the command line; on Linux in a child process, since a damaged file can crash the HDF5 library."""
    gc.set_threshold(20_000, 20, 50)  # a command makes much, drops little, and ends soon
    if sys.platform != "linux":
        return run()
    parent = Parent()
    child = os.fork()
    parent.begin(is_child=not child)
    if not child:
        end_with_parent()
        leave(run(submit=parent.submit))

    def forward(received: int, frame: FrameType | None) -> None:
        if received != signal.SIGINT:  # that goes to both already
            os.kill(child, received)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    parent.serve()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if -code in CRASHES:
        name = signal.Signals(-code).name
        print(f"Error: a library crashed on the input ({name}); a file that does so is damaged", file=sys.stderr)
        leave(2)
    leave(code if code >= 0 else 128 - code)


def leave(code: int) -> NoReturn:
    """End the process at once: to take the interpreter apart takes a tenth of the time."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def end_with_parent() -> None:
    """Let the child not outlive a parent that is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
