"""Count a network's multiply-accumulates from its graph, and tell its tensors' shapes."""

from __future__ import annotations

import math

from onnx import ModelProto, NodeProto, helper, shape_inference

from edgefer.errors import InputError
from edgefer.graph.graph import Graph, attribute


def macs(model: ModelProto) -> int:
    """Return the multiply-accumulates of Conv, ConvTranspose, Gemm and MatMul for one image, padding included.

    Raises:
        InputError: a shape cannot be inferred.
    """
    return sum(macs_by_node(model).values())


def macs_by_node(model: ModelProto) -> dict[str, int]:
    """Return the same for each of these nodes, by the name of what it makes.

    Raises:
        InputError: a shape cannot be inferred.
    """
    graph = Graph(model)
    shapes = _shapes(graph)
    return {node.output[0]: _COUNT[node.op_type](shapes, node) for node in graph.nodes if node.op_type in _COUNT}


def tensors(graph: Graph) -> dict[str, tuple[tuple[int, ...], int]]:
    """Return (shape for one image, bytes of one number) of every tensor whose shape can be inferred."""
    model = graph.model()
    for value in (*model.graph.input, *model.graph.output):
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            if index == 0 or not dimension.HasField("dim_value"):
                dimension.dim_value = 1
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    found = {
        value.name: (
            tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim),
            int(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).itemsize),
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
        and all(dimension.dim_value > 0 for dimension in value.type.tensor_type.shape.dim)
    }
    return found | {name: (array.shape, array.itemsize) for name, array in graph.constants.items()}


Shapes = dict[str, tuple[int, ...]]


def _shapes(graph: Graph) -> Shapes:
    return {name: shape for name, (shape, _) in tensors(graph).items()}


def _shape(shapes: Shapes, name: str, node: NodeProto) -> tuple[int, ...]:
    if name not in shapes:
        raise InputError(f"{node.name}: the shape of {name} cannot be inferred, so MACs cannot be counted")
    return shapes[name]


def _conv(shapes: Shapes, node: NodeProto) -> int:
    # (outputs, inputs / group, *kernel): each output pixel takes one multiplication with each weight of its row
    weight = _shape(shapes, node.input[1], node)
    return math.prod(_shape(shapes, node.output[0], node)) * math.prod(weight[1:])


def _conv_transpose(shapes: Shapes, node: NodeProto) -> int:
    # (inputs, outputs / group, *kernel): each input pixel takes one multiplication with each weight of its row
    weight = _shape(shapes, node.input[1], node)
    return math.prod(_shape(shapes, node.input[0], node)) * math.prod(weight[1:])


def _gemm(shapes: Shapes, node: NodeProto) -> int:
    left = _shape(shapes, node.input[0], node)
    inner = left[0] if attribute(node, "transA", 0) else left[1]
    return math.prod(_shape(shapes, node.output[0], node)) * inner


def _matmul(shapes: Shapes, node: NodeProto) -> int:
    return math.prod(_shape(shapes, node.output[0], node)) * _shape(shapes, node.input[0], node)[-1]


_COUNT = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul}
