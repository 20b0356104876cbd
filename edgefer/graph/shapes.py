"""The shape of every tensor of a network, for one image."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper, shape_inference

from edgefer.backends import onnxruntime
from edgefer.graph.graph import Graph

Tensors = dict[str, tuple[tuple[int, ...], int]]


def tensors(graph: Graph) -> Tensors:
    """Return (shape for one image, bytes of one number) of every tensor, as far as they can be known.

    ONNX infers most shapes. It knows none behind a shape that the graph computes, as `torch.chunk` and the windows of
    Swin do: there the network runs once, on zeros, and ONNX Runtime says what came out.
    """
    model = graph.model()
    for value in (*model.graph.input, *model.graph.output):
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            if index == 0 or not dimension.HasField("dim_value"):
                dimension.dim_value = 1
    found = _inferred(model) | {name: (array.shape, array.itemsize) for name, array in graph.constants.items()}
    unknown = [name for node in model.graph.node for name in node.output if name and name not in found]
    if unknown:
        with suppress(Exception):  # ONNX Runtime's errors share no base class; unknown if it cannot run
            found |= _run(model, unknown)
    return found


def _inferred(model: ModelProto) -> Tensors:
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: (
            tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim),
            int(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).itemsize),
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
        and all(dimension.dim_value > 0 for dimension in value.type.tensor_type.shape.dim)
    }


def _run(model: ModelProto, names: list[str]) -> Tensors:
    """Return these tensors' shapes from a run, without optimization so that each exists."""
    shown = ModelProto()
    shown.CopyFrom(model)
    own = {value.name for value in shown.graph.output}
    shown.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in own)
    session = onnxruntime.open_session(shown.SerializeToString(), onnxruntime.options(optimize=False, exact=False))
    zeros = {
        value.name: np.zeros(
            [dimension.dim_value for dimension in value.type.tensor_type.shape.dim],
            helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in shown.graph.input
    }
    arrays = zip(names, session.run(names, zeros), strict=True)
    return {name: (array.shape, array.itemsize) for name, array in arrays}
