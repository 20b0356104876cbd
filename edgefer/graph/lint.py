"""Find what a target would refuse or misread, before anything is built from a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from edgefer.errors import InputError
from edgefer.graph.graph import QUANTIZERS, Array, Graph, attribute

# Operators that compute in integers themselves: ONNX Runtime's format, which TensorRT's parser does not have (its
# docs/operators.md). TensorRT reads Q/DQ pairs around ordinary operators.
_INTEGER = (
    "ConvInteger",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearMatMul",
    "QLinearMul",
)


@dataclass(frozen=True)
class Finding:
    """One thing wrong, and where.

    Attributes:
        node: name of the node.
        problem: what is wrong and what the target makes of it.
    """

    node: str
    problem: str


def lint(model: ModelProto, target: str) -> list[Finding]:
    """Return what `target` would refuse or misread in `model`, in the order of its nodes; empty when it is fine."""
    graph = Graph(model)
    findings = []
    for node in graph.nodes:
        problems = [_scale(graph, node)] if node.op_type in QUANTIZERS else []
        if target != "cpu":
            if node.op_type in QUANTIZERS:
                problems.append(_zero_point(graph, node))
            elif node.op_type in _INTEGER:
                problems.append(f"{node.op_type} is not known to TensorRT; export the network with Q/DQ pairs instead")
            else:
                problems.append(_bias(graph, node))
        findings += [Finding(_name(node), problem) for problem in problems if problem]
    return findings


def check(model: ModelProto, target: str) -> None:
    """Refuse a model that `lint` finds fault with.

    Raises:
        InputError: names the first node and says how many more there are.
    """
    findings = lint(model, target)
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise InputError(f"{target}: {findings[0].node}: {findings[0].problem}{more}")


def _name(node: NodeProto) -> str:
    return node.name or f"{node.op_type} that makes {node.output[0]}"


def _scale(graph: Graph, node: NodeProto) -> str:
    scale = graph.constant(node, 1)
    if scale is None:
        return "the scale is computed at run time; it must be a constant"
    if scale.dtype.kind != "f":
        return f"the scale is of type {scale.dtype}; it must be float"
    # Of weights one scale for each output channel is what every target wants.
    weights = _weights(graph, node)
    if scale.shape != () and weights is None:
        return f"the scale of an activation has shape {scale.shape}; it must be one number of shape ()"
    if scale.size > 1 and weights is not None and weights.ndim:
        axis = attribute(node, "axis", 1) % weights.ndim
        for reader in graph.readers(node.output[0]):
            wanted = _output_channels(reader, node.output[0], weights.ndim)
            if wanted is not None and axis != wanted:
                return f"the scales are along axis {axis} of the weights; the output channels are axis {wanted}"
    wrong = scale[~(np.isfinite(scale) & (scale > 0))]
    if wrong.size:
        return f"the scale is {float(wrong.flat[0])}; it must be a positive number"
    return ""


def _weights(graph: Graph, node: NodeProto) -> Array | None:
    """Return the constant that a quantizer works on: stored in 8 bits, or in float32 with a QuantizeLinear behind."""
    stored = graph.constant(node, 0)
    made_by = graph.producer(node.input[0])
    if stored is None and made_by is not None and made_by.op_type == "QuantizeLinear":
        return graph.constant(made_by, 0)
    return stored


def _output_channels(reader: NodeProto, weights: str, rank: int) -> int | None:
    """Return which axis of its weights an operator's output channels are; None for other operators and inputs."""
    if len(reader.input) < 2 or reader.input[1] != weights:
        return None
    if reader.op_type == "Gemm":
        return 0 if attribute(reader, "transB", 0) else 1
    if reader.op_type == "MatMul":
        return rank - 1 if rank > 1 else None
    if reader.op_type == "ConvTranspose":
        return 1 if attribute(reader, "group", 1) == 1 else None  # of groups, both axes have a part in them
    return 0 if reader.op_type == "Conv" else None


def _zero_point(graph: Graph, node: NodeProto) -> str:
    if len(node.input) < 3 or not node.input[2]:
        # Left out, it is 0 of the quantized type, and QuantizeLinear's default type is uint8.
        stored = graph.constant(node, 0)
        made = attribute(node, "output_dtype", 0) or TensorProto.UINT8  # which it can say from opset 21 on
        unsigned = node.op_type == "QuantizeLinear" and made in _UNSIGNED_TYPES
        if unsigned or (stored is not None and stored.dtype == np.uint8):
            return _UNSIGNED
        return ""
    zero_point = graph.constant(node, 2)
    if zero_point is None:
        return "the zero point is computed at run time; it must be the constant 0"
    if zero_point.dtype.kind == "u":
        return _UNSIGNED
    if zero_point.any():
        return f"the zero point is {int(zero_point.flat[np.flatnonzero(zero_point)[0]])}; TensorRT takes 0 alone"
    return ""


_UNSIGNED_TYPES = (TensorProto.UINT4, TensorProto.UINT8, TensorProto.UINT16)
_UNSIGNED = "unsigned: TensorRT keeps the scale in a signed tensor, so the upper half clips in silence"


def _bias(graph: Graph, node: NodeProto) -> str:
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(node.input) < 3:
        return ""
    made_by = graph.producer(node.input[2])
    if made_by is not None and made_by.op_type == "DequantizeLinear":
        return "the bias is quantized (behind a DequantizeLinear); TensorRT refuses that, keep it float32"
    return ""
