"""Stores quantized weights as int8."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from edgefer.graph.graph import Array, Graph, attribute


def fold_weights(model: ModelProto) -> ModelProto:
    """Return `model` with each constant -> QuantizeLinear -> DequantizeLinear as int8 constant -> DequantizeLinear.

    Exact: the int8 values are those of QuantizeLinear. Otherwise the file would have float32
    weights and exceed the FP32 network's.
    """
    graph = Graph(model)
    for node in graph.nodes:
        if node.op_type != "QuantizeLinear":
            continue
        weight, scale, zero_point = (graph.constant(node, index) for index in range(3))
        if weight is None or scale is None or zero_point is None:
            continue
        stored = quantize(weight, scale, zero_point, attribute(node, "axis", 1))
        for reader in graph.readers(node.output[0]):
            reader_index = list(reader.input).index(node.output[0])
            graph.set_constant(reader, reader_index, stored, f"{node.input[0]}.{stored.dtype}")
    return graph.model()


def limit_weights(model: ModelProto, largest: int) -> ModelProto:
    """Return `model` with every int8 weight clipped to -largest to largest.

    For CPUs without VNNI, which add two u8 x s8 products in 16 bits: 2 x 255 x 64 still fits, 2 x 255 x 65 does not.
    NNCF's half range starts within that bound, but fine-tuning may exceed it by a step.
    """
    graph = Graph(model)
    for node in graph.nodes:
        stored = graph.constant(node, 0)
        if node.op_type == "DequantizeLinear" and stored is not None and stored.dtype == np.int8:
            graph.set_constant(node, 0, np.clip(stored, -largest, largest), node.input[0])
    return graph.model()


def quantize(values: Array, scale: Array, zero_point: Array, axis: int = 0) -> Array:
    """Return saturate(round(values / scale) + zero_point), ONNX's QuantizeLinear, halves rounded to even.

    Args:
        values: float32, any shape.
        scale: float32, one number or one for each index of `axis`.
        zero_point: int8 or uint8, as many as `scale`; gives the result's type.
        axis: ignored where `scale` is one number.
    """
    limits = np.iinfo(zero_point.dtype)
    levels = np.rint(values / along(scale, axis, values.ndim)) + along(zero_point, axis, values.ndim).astype(np.float32)
    return np.asarray(np.clip(levels, limits.min, limits.max).astype(zero_point.dtype))


def along(values: Array, axis: int, dimensions: int) -> Array:
    """Return `values` shaped so that they broadcast over `axis` of an array with that many dimensions."""
    if values.ndim == 0:
        return values
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)
