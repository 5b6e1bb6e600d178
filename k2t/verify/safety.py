"""What a configuration may make tf-keras or Keras do: their safe modes do not reach all of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from k2t.errors import K2TError
from k2t.verify.config import objects

# Layers that hold code, or fetch it from somewhere.
CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}

# Modules of which a configuration may name classes and functions; tf-keras imports any other, which runs it.
MODULES = re.compile(
    r"builtins|((tensorflow\.python\.|tensorflow\.)?keras|tf_keras)(\.src|\.api|\._tf_keras(\.keras)?)*"
    r"(\.(layers|models|ops|initializers|regularizers|constraints|activations|dtype_policies|mixed_precision|engine"
    r"|optimizers|losses|metrics|quantizers|random|applications)(\.\w+)*)?"
)

# TensorFlow functions that only compute; `io.write_file` is one that does more.
FUNCTIONS = re.compile(
    r"((compat\.v1\.)?(math|nn|linalg|signal|image|__operators__)\.[\w.]+)|(compat\.v1\.)?("
    r"abs|acos|add|add_n|argmax|argmin|argsort|asin|atan|atan2|boolean_mask|broadcast_to|cast|clip_by_norm|clip_by_value"
    r"|concat|constant|convert_to_tensor|cos|cosh|cumsum|divide|einsum|equal|exp|expand_dims|eye|fill|floor|gather"
    r"|gather_nd|greater|greater_equal|identity|keras\.backend\.\w+|less|less_equal|linspace|logical_and|logical_not"
    r"|logical_or|matmul|maximum|minimum|multiply|negative|norm|not_equal|one_hot|ones|ones_like|pad|pow|range|rank"
    r"|realdiv|reduce_\w+|repeat|reshape|reverse|roll|round|searchsorted|shape|sigmoid|sign|sin|sinh|size|slice|sort"
    r"|space_to_batch|split|sqrt|square|squeeze|stack|stop_gradient|strided_slice|subtract|tan|tanh|tensordot|tile"
    r"|transpose|truediv|unique|unstack|where|zeros|zeros_like)"
)
OPERATION = re.compile(r'\bop: *"(\w+)"')
EFFECTS = re.compile(
    r"(Write|Read|Save|Restore|Print|File|Py|Eager|Load|Merge|Move|Remote|Call|Send|Recv|Matching|Delete|Import)"
)


def refuse_code(config: Any, path: str, registered: Callable[[str], bool]) -> None:
    """Refuse a configuration by which code from the file, or a function with effects, would run.

    Args:
        registered: whether the caller has registered a class of that name, which is then its own code.

    Raises:
        K2TError: names every such layer.
    """
    found = [f"{_name(item)} ({reason})" for item in objects(config) if (reason := _reason(item, registered))]
    if found:
        raise K2TError(
            f"{path}: the reference cannot be run safely: {', '.join(found)}. "
            "If you trust the file, allow it with --run-source."
        )


def _reason(item: dict[str, Any], registered: Callable[[str], bool]) -> str:
    kind, options, module = item.get("class_name"), item.get("config"), item.get("module")
    if kind in CODE:
        return f"{kind} holds code"
    if isinstance(kind, str) and isinstance(module, str) and not MODULES.fullmatch(module):
        known = registered(str(item.get("registered_name"))) or registered(kind)
        return "" if known else f"{module}.{kind} is none of Keras's own and would be imported"
    if kind == "TFOpLambda" and not FUNCTIONS.fullmatch(str((options or {}).get("function"))):
        return f"calls tf.{(options or {}).get('function')}"
    if kind == "TensorFlowOpLayer":
        operations = OPERATION.findall(str((options or {}).get("node_def")))
        if len(operations) != 1 or EFFECTS.search(operations[0]):
            return "runs an operation that may have effects"
    return ""


def _name(item: dict[str, Any]) -> str:
    options = item.get("config")
    return str(
        (options.get("name") if isinstance(options, dict) else None) or item.get("name") or "a part of the model"
    )
