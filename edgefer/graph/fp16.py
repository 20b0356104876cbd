"""Converts a network to FP16, for TensorRT with strong typing, and back to FP32."""

from __future__ import annotations

import warnings

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from edgefer.graph.graph import in_order


def to_fp16(model: ModelProto) -> ModelProto:
    """Return a copy whose weights and arithmetic are float16; input and output stay float32.

    With strong typing TensorRT computes in the file's types, so FP16 needs its own
    file. Weights out of float16's range are clipped.

    Args:
        model: float32.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = ModelProto()
    copy.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it prints each weight that is too small for float16
        converted: ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    ordered = ModelProto()
    ordered.CopyFrom(converted)
    del ordered.graph.node[:]
    ordered.graph.node.extend(in_order(list(converted.graph.node)))  # its casts come after their readers
    return ordered


def to_fp32(model: ModelProto) -> ModelProto:
    """Return a copy of an FP16 network that computes in float32; its weights keep their values."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for value in (*copy.graph.input, *copy.graph.output, *copy.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in copy.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    return copy
