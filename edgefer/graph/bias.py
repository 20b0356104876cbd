"""Keeps every bias within ONNX Runtime's int32."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto

from edgefer.graph.graph import Graph, attribute
from edgefer.graph.ranges import SELECTING
from edgefer.graph.weights import along

# ONNX Runtime stores a bias as round(bias / (input scale x weight scale)) in int32 and saturates silently.
_LARGEST = 2.0**30
_SMALLEST_SCALE = 1e-20  # so that the product of two scales stays above float32's smallest normal number


def hold_bias(model: ModelProto) -> ModelProto:
    """Return `model` with a larger weight scale in each row with a bias that would overflow int32.

    Such a row comes from a channel that died in training (gamma near 0): its output is almost only
    its bias, which ONNX Runtime would lose. Rounding these weights to the larger scale changes
    the channel by no more than 6e-8 of its bias for each weight in the row. Other rows are unchanged.
    """
    graph = Graph(model)
    for layer in graph.nodes:
        if layer.op_type not in ("Conv", "Gemm"):
            continue
        bias, reads, weights = graph.constant(layer, 2), _dequantize(graph, layer, 0), _dequantize(graph, layer, 1)
        if bias is None or reads is None or weights is None or attribute(weights, "axis", 1) != 0:
            continue
        input_scale = graph.constant(reads, 1)
        stored, scale = graph.constant(weights, 0), graph.constant(weights, 1)
        if stored is None or scale is None or input_scale is None or scale.ndim != 1 or input_scale.size != 1:
            continue
        smallest = np.maximum(np.abs(bias) / (_LARGEST * input_scale.astype(np.float64)), _SMALLEST_SCALE)
        if (scale >= smallest).all() or not graph.read_only_by(weights.output[0], layer):
            continue
        raised = np.maximum(scale, smallest)
        rows = np.rint(stored * along(scale / raised, 0, stored.ndim)).astype(stored.dtype)
        graph.set_constant(weights, 0, rows, f"{layer.output[0]}.int8")
        graph.set_constant(weights, 1, raised.astype(np.float32), f"{layer.output[0]}.scale")
    return graph.model()


def _dequantize(graph: Graph, layer: NodeProto, index: int) -> NodeProto | None:
    """Return the DequantizeLinear of the layer's input, through operators that only move numbers."""
    node = graph.producer(layer.input[index])
    while node is not None and node.op_type in SELECTING:
        node = graph.producer(node.input[0])
    return node if node is not None and node.op_type == "DequantizeLinear" else None
