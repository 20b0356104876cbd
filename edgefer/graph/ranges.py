"""Value ranges of tensors, from the operators before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from onnx import NodeProto

from edgefer.graph.graph import Graph, attribute

Range = tuple[float, float]

ANY: Range = (-math.inf, math.inf)

# They pass on some of their input values.
SELECTING = frozenset(
    [
        "DepthToSpace",
        "Dropout",
        "Expand",
        "Flatten",
        "Gather",
        "GlobalMaxPool",
        "Identity",
        "MaxPool",
        "ReduceMax",
        "ReduceMin",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ]
)
_AVERAGING = frozenset(("GlobalAveragePool", "ReduceMean"))


def value_ranges(graph: Graph) -> dict[str, Range]:
    """Return the lowest and highest value of each tensor, as far as the operators determine it; otherwise infinite.

    Quantized tensors mean their dequantized values. Rounding of float32 sums is ignored: a
    bound may be off by some parts in a million.
    """
    known: dict[str, Range] = dict.fromkeys(graph.inputs, ANY)
    known |= {
        name: (float(array.min()), float(array.max()))
        for name, array in graph.constants.items()
        if array.size and array.dtype == np.float32
    }
    for node in graph.nodes:
        inputs = [known.get(name, ANY) for name in node.input]
        for name in node.output:
            known[name] = _of(graph, node, inputs)
    return known


def _of(graph: Graph, node: NodeProto, inputs: Sequence[Range]) -> Range:
    kind = node.op_type
    if kind in SELECTING or kind in _AVERAGING:
        return inputs[0]
    if kind == "QuantizeLinear":
        return _clip(inputs[0], *_levels(graph, node))
    if kind == "DequantizeLinear":
        return inputs[0] if graph.constant(node, 0) is None else _stored(graph, node)
    if kind == "Clip":
        low, high = (graph.constant(node, index) for index in (1, 2))
        return _clip(inputs[0], -math.inf if low is None else float(low), math.inf if high is None else float(high))
    if kind == "AveragePool":
        padded = attribute(node, "count_include_pad", 0) and any(attribute(node, "pads", []))
        return _union([inputs[0], (0.0, 0.0)]) if padded else inputs[0]
    if kind == "Pad":
        return _union([inputs[0], (0.0, 0.0)]) if len(node.input) < 3 else _union([inputs[0], inputs[2]])
    if kind == "Resize" and attribute(node, "mode", b"nearest") != b"cubic":
        return inputs[0]
    if kind == "Concat":
        return _union(inputs)
    rule = _RULES.get(kind)
    return rule(*inputs) if rule is not None else ANY


def _levels(graph: Graph, node: NodeProto) -> Range:
    """Return the lowest and highest value that a QuantizeLinear node can represent."""
    scale, zero_point = graph.constant(node, 1), graph.constant(node, 2)
    if scale is None or zero_point is None or scale.size != 1:
        return ANY
    limits = np.iinfo(zero_point.dtype)
    zero = int(zero_point)
    return (limits.min - zero) * float(scale), (limits.max - zero) * float(scale)


def _stored(graph: Graph, node: NodeProto) -> Range:
    stored, scale = graph.constant(node, 0), graph.constant(node, 1)
    if stored is None or scale is None:
        return ANY
    reach = float(np.abs(stored.astype(np.int32)).max(initial=0)) * float(np.abs(scale).max(initial=0))
    return -reach, reach


def _clip(values: Range, low: float, high: float) -> Range:
    return min(max(values[0], low), high), min(max(values[1], low), high)


def _union(all_of: Sequence[Range]) -> Range:
    return min(low for low, _ in all_of), max(high for _, high in all_of)


def _add(a: Range, b: Range) -> Range:
    return a[0] + b[0], a[1] + b[1]


def _multiply(a: Range, b: Range) -> Range:
    ends = [0.0 if x == 0 or y == 0 else x * y for x in a for y in b]
    return min(ends), max(ends)


_RULES: dict[str, Callable[..., Range]] = {
    "Abs": lambda x: (0.0, max(-x[0], x[1])),
    "Add": _add,
    "Exp": lambda x: (0.0, math.inf),
    "HardSigmoid": lambda x: (0.0, 1.0),
    "Mul": _multiply,
    "Relu": lambda x: (max(x[0], 0.0), max(x[1], 0.0)),
    "Sigmoid": lambda x: (0.0, 1.0),
    "Softmax": lambda x: (0.0, 1.0),
    "Sqrt": lambda x: (0.0, math.inf),
}
