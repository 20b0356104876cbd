"""Folds BatchNorm into the convolution or linear layer before it, quantized or not."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper

from edgefer.graph.graph import Array, Graph, attribute
from edgefer.graph.weights import along


def fold_batchnorm(model: ModelProto) -> ModelProto:
    """Return `model` without the BatchNormalization nodes that follow a Conv or a Gemm.

    With f = gamma / sqrt(var + eps) for each output channel: weights * f, bias = (bias - mean) f + beta. On int8
    weights the scale takes |f| and the rows where f < 0 change sign, so no weight is rounded again:
    the result differs only by float32 rounding. Shared weights are copied first.

    A BatchNorm is kept if its input has other readers, or if a row contains
    -128, which cannot be negated in int8 (NNCF's weights stop at -127).
    """
    graph = Graph(model)
    for norm in [node for node in graph.nodes if node.op_type == "BatchNormalization"]:
        layer = graph.producer(norm.input[0])
        parameters = [graph.constant(norm, index) for index in range(1, 5)]
        if (
            layer is not None
            and _has_rows(layer)
            and graph.read_only_by(layer.output[0], norm)
            and not attribute(norm, "training_mode", 0)
        ):
            gamma, beta, mean, variance = (None if each is None else each.astype(np.float64) for each in parameters)
            if gamma is None or beta is None or mean is None or variance is None:
                continue
            factor = gamma / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
            bias = _bias(graph, layer)
            if bias is not None and _scale_rows(graph, layer, factor):
                folded = ((bias - mean) * factor + beta).astype(np.float32)
                graph.set_constant(layer, 2, folded, f"{norm.output[0]}.bias")
                graph.absorb(layer, norm)
    return graph.model()


def _has_rows(layer: NodeProto) -> bool:
    """Return whether axis 0 of the layer's weights is its output channel."""
    if layer.op_type == "Gemm":
        return bool(
            attribute(layer, "transB", 0)
            and attribute(layer, "alpha", 1.0) == 1.0
            and attribute(layer, "beta", 1.0) == 1.0
        )
    return layer.op_type == "Conv"


def _bias(graph: Graph, layer: NodeProto) -> Array | float | None:
    if len(layer.input) < 3 or not layer.input[2]:
        return 0.0
    bias = graph.constant(layer, 2)
    return None if bias is None else bias.astype(np.float64)


def _scale_rows(graph: Graph, layer: NodeProto, factor: Array) -> bool:
    """Multiply each row of the layer's weights by its factor; return False if impossible."""
    weight = graph.constant(layer, 1)
    if weight is not None:
        scaled = (weight * along(factor, 0, weight.ndim)).astype(np.float32)
        graph.set_constant(layer, 1, scaled, f"{layer.input[1]}.folded")
        return True
    dequantize = graph.producer(layer.input[1])
    if dequantize is None or dequantize.op_type != "DequantizeLinear":
        return False
    stored, scale, zero_point = (graph.constant(dequantize, index) for index in range(3))
    if stored is None or scale is None or stored.dtype != np.int8 or (zero_point is not None and zero_point.any()):
        return False
    if scale.ndim and attribute(dequantize, "axis", 1) != 0:
        return False
    rows = stored * along(np.where(factor < 0, -1, 1), 0, stored.ndim)
    if rows.max(initial=0) > 127:
        return False
    # A channel with gamma 0 keeps its old scale: 0 is not a valid scale.
    rows[factor == 0] = 0
    scales = np.broadcast_to(scale, factor.shape) * np.where(factor == 0, 1, np.abs(factor))

    own = helper.make_node("DequantizeLinear", [], [f"{layer.output[0]}.weight"], name=f"{layer.name}.weight", axis=0)
    graph.insert_before(layer, own)
    graph.set_constant(own, 0, rows.astype(np.int8), f"{layer.output[0]}.int8")
    graph.set_constant(own, 1, scales.astype(np.float32), f"{layer.output[0]}.scale")
    graph.set_constant(own, 2, np.zeros(len(factor), np.int8), f"{layer.output[0]}.zero")
    layer.input[1] = own.output[0]
    return True
