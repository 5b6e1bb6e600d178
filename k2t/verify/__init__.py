"""Verification: the emitted module and its reference on the same inputs, per output and per layer.

The reference is the Keras that the file was made for, run in-process: Keras 3 for files of Keras 3, tf-keras for
older ones. Nothing of k2t's rules, layout or emitter is used here, so that none of their mistakes is shared.
Importing this module imports neither torch nor TensorFlow.
"""

from k2t.verify.api import record, verify
from k2t.verify.parity import Parity, Row
from k2t.verify.report import report, table

__all__ = ["Parity", "Row", "record", "report", "table", "verify"]
