"""Source of the helpers that emitted files carry. Never imported by k2t: it is read as text."""
