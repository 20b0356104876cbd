"""Folds zero padding before a convolution into the convolution, quantized or not."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgefer.graph.graph import QUANTIZERS, Array, Graph, attribute


def fold_padding(model: ModelProto) -> ModelProto:
    """Return `model` without Pad nodes before convolutions.

    torch pads convolutions symmetrically, so networks from TensorFlow use separate padding, exported
    as a chain of nodes. ONNX convolutions have separate padding per side. Quantizers preserve 0, so one in between
    changes nothing.

    A Pad is kept if its size is unknown, if it adds anything but zeros to height
    and width, or if other operators read it. Before a MaxPool its zeros become 1e-30: ONNX Runtime (1.31.1) treats
    zeros there as MaxPool's own padding, which never is the maximum, and gives wrong results.
    """
    graph = Graph(model)
    for pad in [node for node in graph.nodes if node.op_type == "Pad"]:
        edges, convs = _edges(graph, pad), _convs(graph, pad)
        if edges is None or not convs:
            continue
        for conv in convs:
            old = attribute(conv, "pads", [0, 0, 0, 0])
            kept = [each for each in conv.attribute if each.name != "pads"]
            del conv.attribute[:]
            conv.attribute.extend(
                [*kept, helper.make_attribute("pads", [a + b for a, b in zip(old, edges, strict=True)])]
            )
        for reader in graph.readers(pad.output[0]):
            for index, name in enumerate(reader.input):
                if name == pad.output[0]:
                    reader.input[index] = pad.input[0]
    for pad in [node for node in graph.nodes if node.op_type == "Pad"]:
        if any(reader.op_type == "MaxPool" for reader in graph.readers(pad.output[0])) and _adds_zeros(graph, pad):
            graph.set_constant(pad, 2, np.array(_ALMOST_ZERO, np.float32), f"{pad.output[0]}.value")
    return graph.model()


def _adds_zeros(graph: Graph, pad: NodeProto) -> bool:
    if attribute(pad, "mode", b"constant") != b"constant":
        return False
    value = graph.constant(pad, 2)
    return len(pad.input) < 3 or not pad.input[2] or (value is not None and not value.any())


_ALMOST_ZERO = 1e-30


def _edges(graph: Graph, pad: NodeProto) -> list[int] | None:
    """Return a Pad's top, left, bottom, right; None if it does anything else."""
    if len(pad.input) > 3 or not _adds_zeros(graph, pad):
        return None
    edges = _value(graph, pad.input[1])
    if edges is None or edges.shape != (8,) or edges.min() < 0 or edges[[0, 1, 4, 5]].any():
        return None
    return [int(edge) for edge in edges[[2, 3, 6, 7]]]


def _convs(graph: Graph, pad: NodeProto) -> list[NodeProto]:
    """Return the convolutions that read a Pad, also through quantizers; empty if anything else does."""
    found, waiting = [], [pad]
    while waiting:
        name = waiting.pop().output[0]
        if name in graph.outputs:
            return []
        for reader in graph.readers(name):
            if reader.op_type in QUANTIZERS:
                waiting.append(reader)
            elif reader.op_type == "Conv" and attribute(reader, "auto_pad", b"NOTSET") == b"NOTSET":
                found.append(reader)
            else:
                return []
    return found


def _value(graph: Graph, name: str) -> Array | None:
    """Return a tensor computed only from constants, else None."""
    needed: list[NodeProto] = []
    waiting = [name]
    while waiting:
        each = waiting.pop()
        maker = graph.producer(each)
        if maker is not None:
            if maker not in needed:
                needed.append(maker)
                waiting += [given for given in maker.input if given]
        elif each not in graph.constants:
            return None
    if not needed:
        return graph.constants[name]
    nodes = [node for node in graph.nodes if node in needed]
    read = {each for node in nodes for each in node.input if each in graph.constants}
    held = [numpy_helper.from_array(graph.constants[each], each) for each in sorted(read)]
    made = [helper.make_tensor_value_info(name, TensorProto.INT64, None)]
    chain = helper.make_model(helper.make_graph(nodes, "edges", [], made, held), opset_imports=graph.opsets)
    outputs = ReferenceEvaluator(chain).run([name], {})
    assert isinstance(outputs, list)  # a dict only with intermediate results, which are not requested
    return np.asarray(outputs[0])
