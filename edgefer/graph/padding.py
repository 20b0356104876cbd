"""Fold zeros around a convolution's input into the convolution's own padding, quantized or not."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgefer.graph.graph import QUANTIZERS, Array, Graph, attribute


def fold_padding(model: ModelProto) -> ModelProto:
    """Return `model` without the Pad nodes in front of convolutions.

    torch pads a convolution alike at both ends, so networks from TensorFlow pad on their own, and the exporter works
    the edges out in a chain of nodes that stays in the file. A convolution in ONNX has an edge for each end. 0 is a
    value that every quantizer keeps, so one that stands between the two changes nothing.

    A Pad stays where its edges are not known, where it adds other than zeros to height and width, or where something
    else than a convolution reads it. In front of a MaxPool its zeros become 1e-30: ONNX Runtime (1.31.1) takes zeros
    there for MaxPool's own padding, which never is the largest number, and gives other answers than the file says.
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
    """Return what a Pad adds: top, left, bottom, right; None where that is not what it does."""
    if len(pad.input) > 3 or not _adds_zeros(graph, pad):
        return None
    edges = _value(graph, pad.input[1])
    if edges is None or edges.shape != (8,) or edges.min() < 0 or edges[[0, 1, 4, 5]].any():
        return None
    return [int(edge) for edge in edges[[2, 3, 6, 7]]]


def _convs(graph: Graph, pad: NodeProto) -> list[NodeProto]:
    """Return the convolutions that read a Pad, through quantizers too; none if anything else does."""
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
    """Return a tensor that follows from constants alone, else None."""
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
    assert isinstance(outputs, list)  # a dict only with intermediate results, which are not asked for
    return np.asarray(outputs[0])
