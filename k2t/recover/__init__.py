"""Recovery: from one class with all operations back to the architecture: repeated parts become classes.

The flat block stays what the weights belong to: its modules get dotted names, their places below the new classes.
"""

from __future__ import annotations

from k2t.recover.recovery import Recovery, Seat, as_they_are, recover

__all__ = ["Recovery", "Seat", "as_they_are", "recover"]
