"""Converts the floating-point parts of an INT8 graph for TensorRT to FP16.

TensorRT runs layers without quantizers, and unfused arithmetic, in the file's type. FP32 takes twice
the time and traffic of FP16. From opset 19 on a quantizer's scale may be float16 (ONNX,
Operators.md, QuantizeLinear-19), and its dequantized output is then float16.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from edgefer.graph.fp16 import to_fp16
from edgefer.graph.graph import LAYERS, Graph

_OPSET, _IR = 19, 9
# They need no kernel: TensorRT fuses them with the convolution before them, in 8 bits, or moves no data.
_WITH_A_LAYER = frozenset(("Add", "BatchNormalization", "Cast", "Clip", "Concat", "Dropout", "Flatten", "Identity"))
_WITH_A_LAYER |= {"AveragePool", "GlobalAveragePool", "MaxPool", "Relu", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_WITH_A_LAYER |= {"QuantizeLinear", "DequantizeLinear", "Shape", "Gather", "Slice", "ReduceMean"}
_RENAMES = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_SMALLEST = float(np.finfo(np.float16).tiny)  # a scale below it loses bits


def float_nodes(model: ModelProto) -> list[str]:
    """Return the names of the nodes that run in separate floating-point kernels."""
    graph = Graph(model)
    return [node.name or node.output[0] for node in graph.nodes if _is_left(graph, node)]


def in_half(model: ModelProto) -> ModelProto:
    """Return the graph with its floating-point parts in FP16; input and output stay float32.

    Unchanged without such nodes, or if float16 cannot represent a scale well enough: below
    6e-5 it loses bits, which would move the clipping.

    Args:
        model: lowered for TensorRT (`edgefer.graph.lowering`).
    """
    if not float_nodes(model) or not _scales_fit(Graph(model)):
        return model
    newer = model
    if max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")) < _OPSET:
        newer = onnx.version_converter.convert_version(model, _OPSET)
    found = to_fp16(newer)
    found.ir_version = max(found.ir_version, _IR)
    return found


def _is_left(graph: Graph, node: NodeProto) -> bool:
    data = [name for name in node.input if name and name not in graph.constants]
    if not data or all(_is_constant(graph, name) for name in data):
        return False
    if node.op_type in LAYERS:
        return not all(_is_dequantized(graph, name) for name in node.input[:2])
    return node.op_type not in _WITH_A_LAYER


def _is_dequantized(graph: Graph, name: str) -> bool:
    made_by = graph.producer(name)
    while made_by is not None and made_by.op_type in _RENAMES:
        made_by = graph.producer(made_by.input[0])
    return made_by is not None and made_by.op_type == "DequantizeLinear"


def _is_constant(graph: Graph, name: str) -> bool:
    """Return whether a tensor is a dequantized weight."""
    made_by = graph.producer(name)
    return made_by is not None and all(each in graph.constants for each in made_by.input if each)


def _scales_fit(graph: Graph) -> bool:
    scales = [graph.constant(node, 1) for node in graph.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    return all(scale is not None and float(np.min(scale)) >= _SMALLEST for scale in scales)
