"""A network in FP16: what TensorRT under strong typing runs in half precision."""

from __future__ import annotations

import warnings

from onnx import ModelProto

from edgefer.graph.graph import in_order


def to_fp16(model: ModelProto) -> ModelProto:
    """Return a copy whose weights and arithmetic are float16; input and output stay float32.

    Under strong typing TensorRT computes in the types that the file has, so FP16 takes a file of its own. Weights that
    float16 has no number for become its largest or its smallest one.

    Args:
        model: float32.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = ModelProto()
    copy.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names each weight that is too small for float16
        converted: ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    ordered = ModelProto()
    ordered.CopyFrom(converted)
    del ordered.graph.node[:]
    ordered.graph.node.extend(in_order(list(converted.graph.node)))  # its casts stand behind what reads them
    return ordered
