"""Counts a network's multiply-accumulates from its graph."""

from __future__ import annotations

import math

from onnx import ModelProto, NodeProto

from edgefer.graph.graph import Graph, attribute
from edgefer.graph.shapes import tensors


def macs(model: ModelProto) -> int | None:
    """Return the multiply-accumulates of Conv, ConvTranspose, Gemm and MatMul for one image, padding included.

    None if a shape is unknown.
    """
    found = macs_by_node(model)
    return None if found is None else sum(found.values())


def macs_by_node(model: ModelProto) -> dict[str, int] | None:
    """Return the same for each node, by the name of its output."""
    graph = Graph(model)
    shapes = {name: shape for name, (shape, _) in tensors(graph).items()}
    counted = [node for node in graph.nodes if node.op_type in _COUNT]
    if any(name not in shapes for node in counted for name in (*node.input[:2], node.output[0])):
        return None
    return {node.output[0]: _COUNT[node.op_type](shapes, node) for node in counted}


Shapes = dict[str, tuple[int, ...]]


def _conv(shapes: Shapes, node: NodeProto) -> int:
    # (outputs, inputs / group, *kernel): each output pixel takes one multiplication with each weight of its row
    weight = shapes[node.input[1]]
    return math.prod(shapes[node.output[0]]) * math.prod(weight[1:])


def _conv_transpose(shapes: Shapes, node: NodeProto) -> int:
    # (inputs, outputs / group, *kernel): each input pixel takes one multiplication with each weight of its row
    weight = shapes[node.input[1]]
    return math.prod(shapes[node.input[0]]) * math.prod(weight[1:])


def _gemm(shapes: Shapes, node: NodeProto) -> int:
    left = shapes[node.input[0]]
    inner = left[0] if attribute(node, "transA", 0) else left[1]
    return math.prod(shapes[node.output[0]]) * inner


def _matmul(shapes: Shapes, node: NodeProto) -> int:
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


_COUNT = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul}
