"""Adds quantizers after operators that join or split quantized tensors."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper

from edgefer.graph.graph import Graph, attribute
from edgefer.graph.ranges import SELECTING

# ONNX Runtime moves a DequantizeLinear past the other operators that only move numbers, but not past these.
_STOPPING = ("Concat", "Gather", "Pad", "Split")
_NOTHING = 1e-20  # far below any step


def requantize(model: ModelProto) -> ModelProto:
    """Return `model` with a QuantizeLinear and a DequantizeLinear after each Concat, Split, Gather and Pad.

    NNCF quantizes a Concat's inputs with one scale, but not its output. The next convolution then has no
    DequantizeLinear input, so ONNX Runtime would run it in FP32.

    Exact: the pair has the input's scale and zero point, so all values are representable.
    Nothing is inserted if inputs differ or one is not quantized.

    Args:
        model: activations with per-tensor scales.
    """
    graph = Graph(model)
    steps: dict[str, NodeProto] = {}  # the DequantizeLinear with a tensor's scale
    for node in list(graph.nodes):
        if node.op_type == "DequantizeLinear":
            scale = graph.constant(node, 1)
            if scale is not None and scale.size == 1 and graph.constant(node, 2) is not None:
                steps[node.output[0]] = node
        elif node.op_type in SELECTING or node.op_type == "Concat" or _pads_with_zeros(graph, node):
            read = [steps.get(name) for name in (node.input if node.op_type == "Concat" else node.input[:1])]
            first = read[0]
            if first is None or not all(each is not None and _equal(graph, first, each) for each in read):
                continue
            for index in range(len(node.output)):
                steps[node.output[index]] = first
                if node.op_type in _STOPPING and not _read_by_quantizers(graph, node.output[index]):
                    steps[_insert(graph, node, index, first)] = first
    return graph.model()


def _pads_with_zeros(graph: Graph, node: NodeProto) -> bool:
    """Return whether a node is a Pad that adds zeros, or values from its input."""
    if node.op_type != "Pad":
        return False
    value = graph.constant(node, 2)
    given = len(node.input) > 2 and node.input[2]
    zeros = not given or (value is not None and bool((np.abs(value) < _NOTHING).all()))
    return zeros or attribute(node, "mode", b"constant") != b"constant"


def _equal(graph: Graph, one: NodeProto, other: NodeProto) -> bool:
    return all(np.array_equal(graph.constants[one.input[i]], graph.constants[other.input[i]]) for i in (1, 2))


def _read_by_quantizers(graph: Graph, name: str) -> bool:
    return name in graph.outputs or all(reader.op_type == "QuantizeLinear" for reader in graph.readers(name))


def _insert(graph: Graph, node: NodeProto, index: int, like: NodeProto) -> str:
    """Insert a pair of quantizers between an output and its readers; return the new tensor."""
    name: str = node.output[index]
    readers = graph.readers(name)
    parameters = list(like.input[1:3])
    stored, requantized = f"{name}.quantized", f"{name}.dequantized"
    quantize = helper.make_node("QuantizeLinear", [name, *parameters], [stored], name=f"{name}.Q")
    dequantize = helper.make_node("DequantizeLinear", [stored, *parameters], [requantized], name=f"{name}.DQ")
    for reader in readers:
        for position, each in enumerate(reader.input):
            if each == name:
                reader.input[position] = requantized
    graph.insert_before(readers[0], quantize)
    graph.insert_before(readers[0], dequantize)
    return requantized
