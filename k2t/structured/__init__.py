"""Structured translation of Keras source: functions become classes, loops stay loops, arguments stay arguments.

The code is followed on numbers that know their expression (`recorder`). What each place of the code did in all of its
executions is one template (`templates`); `__init__` and `forward` are two projections of the code's own syntax tree
(`constructor`, `forward`).
"""
