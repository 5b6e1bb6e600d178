"""Functions that a file holds as the bytes of compiled Python: read as data, never executed."""
