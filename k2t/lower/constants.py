"""Constants as a person writes them: `torch.arange(16)`."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 64  # values that are written one by one


def expression(array: np.ndarray[Any, Any]) -> str:
    """What makes a tensor of these values; "" where that would be too long."""
    kind = str(array.dtype)
    dtype = "" if "float" in kind else f", dtype=torch.{kind}"
    if not array.size:
        return ""
    if (array == array.flat[0]).all() and array.ndim:
        return filled(array, dtype)
    if array.dtype.kind in "iu" and (found := arange(array, "" if kind == "int64" else dtype)):
        return found
    if triangle := triangular(array):
        return f"torch.ones({', '.join(map(str, array.shape))}{dtype}).{triangle}()"
    if array.size > MOST or not np.isfinite(array.astype(np.float64)).all():
        return ""
    inferred = kind in ("int64", "bool")
    return f"torch.tensor({nested(array)}{'' if inferred else dtype})"


def filled(array: np.ndarray[Any, Any], dtype: str) -> str:
    """The same value everywhere."""
    value = array.flat[0].item()
    sizes = ", ".join(map(str, array.shape))
    plain = {0: f"torch.zeros({sizes}{dtype})", 1: f"torch.ones({sizes}{dtype})"}
    one = f"({sizes},)" if array.ndim == 1 else f"({sizes})"
    return plain.get(value) or f"torch.full({one}, {nested(np.asarray(value))}{dtype})"


def arange(array: np.ndarray[Any, Any], dtype: str) -> str:
    """Integers at equal distances along one axis."""
    values = array.ravel().tolist()
    step = values[1] - values[0] if len(values) > 1 else 0
    if max(array.shape, default=0) != len(values) or not step:
        return ""
    stop = values[-1] + step
    if values != list(range(values[0], stop, step)):
        return ""
    bounds = [values[0], stop, step] if step != 1 else [values[0], stop] if values[0] else [stop]
    made = f"torch.arange({', '.join(map(str, bounds))}{dtype})"
    return made if array.ndim == 1 else f"{made}.reshape({', '.join(map(str, array.shape))})"


def triangular(array: np.ndarray[Any, Any]) -> str:
    """`tril` or `triu` for ones on one side of the diagonal."""
    ones = np.ones_like(array)
    if array.ndim < 2:
        return ""
    return next((name for name in ("tril", "triu") if np.array_equal(array, getattr(np, name)(ones))), "")


def nested(array: np.ndarray[Any, Any]) -> str:
    """The values in brackets."""
    if array.ndim:
        return f"[{', '.join(nested(item) for item in array)}]"
    return repr(array.item())
