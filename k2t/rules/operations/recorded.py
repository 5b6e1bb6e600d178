"""Calls of TensorFlow that files of tf.keras keep as layers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from k2t.errors import UntranslatableError
from k2t.rules.builder import Builder
from k2t.rules.operations.base import Options, applied
from k2t.rules.operations.dialects import call_dialect

Arguments = tuple[Any, ...]
# What a layer says that has no meaning for the call.
SILENT = ("training", "mask")


def call_recorded(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """Apply the function that a layer of tf.keras holds.

    Raises:
        UntranslatableError: the function has no translation.
    """
    calls = {key: item for key, item in calls.items() if key not in SILENT}
    return applied(b, b.layer.kind, KINDS[b.layer.kind], (inputs, calls), {})


def option(b: Builder, key: str) -> str:
    """A name in the configuration.

    Raises:
        UntranslatableError: there is none.
    """
    found = b.layer.options.get(key)
    if not isinstance(found, str):
        raise UntranslatableError(f"the configuration names no {key}")
    return found


def function(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """`tf.<function>(*inputs, **calls)`."""
    return call_dialect(b, f"tf.{option(b, 'function')}", inputs, calls)


def class_method(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """`tf.<class>.<method>(*inputs, **calls)`."""
    return call_dialect(b, f"tf.{option(b, 'cls_symbol')}.{option(b, 'method_name')}", inputs, calls)


def method(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """`tensor.<method>(*inputs, **calls)`."""
    name = b.layer.options.get("method_name") or option(b, "attr_name")
    return call_dialect(b, f"tensor.{name}", inputs, calls)


def attribute(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """`tensor.<attribute>`."""
    name = option(b, "attr_name")
    if name not in ("shape", "ndim", "dtype"):
        raise UntranslatableError(f"the attribute {name} of a tensor")
    return call_dialect(b, f"keras.ops.{name}", inputs, {})


# Operations of a TensorFlow graph -> the function, for those whose inputs are its first arguments.
GRAPH_OPERATIONS = {
    "AddV2": "add",
    "Add": "add",
    "BiasAdd": "nn.bias_add",
    "BroadcastTo": "broadcast_to",
    "Cumsum": "cumsum",
    "ExpandDims": "expand_dims",
    "Fill": "fill",
    "FloorDiv": "floordiv",
    "FloorMod": "floormod",
    "GatherNd": "gather_nd",
    "GatherV2": "gather",
    "GreaterEqual": "greater_equal",
    "L2Normalize": "nn.l2_normalize",
    "LessEqual": "less_equal",
    "LogicalAnd": "logical_and",
    "LogicalNot": "logical_not",
    "LogicalOr": "logical_or",
    "MirrorPad": "pad",
    "Mul": "multiply",
    "Neg": "negative",
    "NotEqual": "not_equal",
    "OneHot": "one_hot",
    "Pad": "pad",
    "PadV2": "pad",
    "RealDiv": "divide",
    "ReverseV2": "reverse",
    "Select": "where",
    "SelectV2": "where",
    "SquaredDifference": "squared_difference",
    "StopGradient": "stop_gradient",
    "Sub": "subtract",
    "ZerosLike": "zeros_like",
    "OnesLike": "ones_like",
    "ClipByValue": "clip_by_value",
    "Relu6": "nn.relu6",
    "Selu": "nn.selu",
    "Elu": "nn.elu",
    "LeakyRelu": "nn.leaky_relu",
    "Rsqrt": "rsqrt",
    "Shape": "shape",
    "Size": "size",
    "Rank": "rank",
}
SAME_NAME = (
    "Abs Ceil Cos Equal Erf Exp Floor Greater Identity Less Log Log1p Maximum Minimum Pow Relu Reshape Round Sigmoid "
    "Sign Sin Slice Softmax Softplus Softsign Sqrt Square Tanh Tile Transpose"
)
REDUCTIONS = {"Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Prod": "prod", "All": "all", "Any": "any"}
# Attributes of operations that are arguments: (operation, attribute) -> argument.
ATTRIBUTES = {
    ("LeakyRelu", "alpha"): "alpha",
    ("MirrorPad", "mode"): "mode",
    ("GatherV2", "batch_dims"): "batch_dims",
    ("OneHot", "axis"): "axis",
    ("Squeeze", "squeeze_dims"): "axis",
    ("Pack", "axis"): "axis",
    ("Cast", "DstT"): "dtype",
    ("ResizeBilinear", "align_corners"): "align_corners",
    ("ResizeBilinear", "half_pixel_centers"): "half_pixel_centers",
    ("ResizeNearestNeighbor", "align_corners"): "align_corners",
    ("ResizeNearestNeighbor", "half_pixel_centers"): "half_pixel_centers",
    ("DepthToSpace", "block_size"): "block_size",
    ("SpaceToDepth", "block_size"): "block_size",
    ("Unpack", "num"): "num",
    ("Unpack", "axis"): "axis",
    **{("StridedSlice", key): key for key in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask")},
    ("StridedSlice", "shrink_axis_mask"): "shrink_axis_mask",
}
OTHERS = {
    "Cast": "cast",
    "DepthToSpace": "nn.depth_to_space",
    "Pack": "stack",
    "ResizeBilinear": "image.resize_bilinear",
    "ResizeNearestNeighbor": "image.resize_nearest_neighbor",
    "SpaceToDepth": "nn.space_to_depth",
    "Squeeze": "squeeze",
    "StridedSlice": "strided_slice",
    "Unpack": "unstack",
}
FUNCTIONS = GRAPH_OPERATIONS | OTHERS | {name: name.lower() for name in SAME_NAME.split()}


def graph_operation(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """An operation of a TensorFlow graph, as tf.keras of 2.0 to 2.3 kept it: a NodeDef, and constants by place."""
    node = b.layer.options.get("node_def")
    node = json.loads(node) if isinstance(node, str) and node.lstrip().startswith("{") else node
    if not isinstance(node, dict) or not isinstance(node.get("op"), str):
        raise UntranslatableError("the configuration holds no operation")
    name, attributes = node["op"], node.get("attr") or {}
    given = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], list | tuple) else list(inputs)
    for place, item in sorted((b.layer.options.get("constants") or {}).items(), key=lambda pair: int(pair[0])):
        given.insert(int(place), item)
    if name in REDUCTIONS:
        keep = bool(plain(attributes.get("keep_dims")))
        return call_dialect(b, f"tf.reduce_{REDUCTIONS[name]}", given, {"keepdims": keep})
    if name == "ConcatV2":
        return call_dialect(b, "tf.concat", [given[:-1], given[-1]], {})
    if name in ("MatMul", "BatchMatMul", "BatchMatMulV2"):
        flags = {"transpose_a": ("transpose_a", "adj_x"), "transpose_b": ("transpose_b", "adj_y")}
        found = {key: any(plain(attributes.get(item)) for item in items) for key, items in flags.items()}
        return call_dialect(b, "tf.matmul", given, found)
    if name not in FUNCTIONS:
        raise UntranslatableError(f"no translation of TensorFlow's operation {name}")
    arguments = {
        ours: plain(attributes[key]) for (own, key), ours in ATTRIBUTES.items() if own == name and key in attributes
    }
    if name == "Pack":
        given = [given]
    return call_dialect(b, f"tf.{FUNCTIONS[name]}", given, arguments)


TYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_INT32": "int32", "DT_INT64": "int64", "DT_BOOL": "bool"}


def plain(value: Any) -> Any:
    """The value of an attribute of a NodeDef in JSON."""
    if not isinstance(value, dict) or not value:
        return value
    ((kind, item),) = value.items()
    if kind == "s":
        return base64.b64decode(item).decode("ascii", "replace")
    if kind == "list":
        return [int(number) for number in item.get("i", [])] or None
    return int(item) if kind == "i" else TYPES.get(item, item) if kind == "type" else item


def named(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """A function of any library, as code calls it: `K.sum(*inputs, **calls)`."""
    return call_dialect(b, option(b, "function"), inputs, calls)


def item(b: Builder, inputs: Arguments, calls: Options) -> Any:
    """One of the sizes that a function has returned."""
    return inputs[0][b.layer.options["index"]]


KINDS: dict[str, Callable[[Builder, Arguments, Options], Any]] = {
    "Function": named,
    "Item": item,
    "TFOpLambda": function,
    "SlicingOpLambda": function,
    "ClassMethod": class_method,
    "InstanceMethod": method,
    "InstanceProperty": attribute,
    "TensorFlowOpLayer": graph_operation,
}
