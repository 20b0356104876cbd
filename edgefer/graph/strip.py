"""Makes a model's file small and its names readable."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto

from edgefer.graph.graph import Graph

_QUANTIZERS = {"QuantizeLinear": "Q", "DequantizeLinear": "DQ"}
_ROLES = ("input", "weight", "bias")
_PARTS = ("int8", "scale", "zero")


def stripped(model: ModelProto) -> ModelProto:
    """Return `model` without documentation, stale shapes and equal constants, and with short names.

    Weights and their zero points stay separate constants: if ONNX Runtime makes weights unsigned, as
    on some CPUs (`backends.onnxruntime`), it renames both per layer, and a second time is an error.

    Exported names repeat a module's path up to four times, a fifth of a
    small network's file. A node gets its module's path and its operator (``stages.0.conv1.0.Conv``), a quantizer the
    name of what it quantizes (``stages.0.relu1.Relu.Q``). Inputs and outputs keep their names.
    Stripping again changes nothing.
    """
    graph = Graph(model)
    own = _of_weights(graph)
    _share_constants(graph, own)
    _rename(graph)
    stripped = graph.model()
    stripped.doc_string = ""
    del stripped.metadata_props[:], stripped.functions[:]
    _undocument(stripped.graph)
    return stripped


def _undocument(graph: GraphProto) -> None:
    """Drop documentation from a graph and those inside it: exporters store stack traces with local paths there."""
    graph.doc_string = ""
    del graph.metadata_props[:]
    for each in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        each.doc_string = ""
        del each.metadata_props[:]
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = ""
            for inside in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _undocument(inside)


def _of_weights(graph: Graph) -> set[str]:
    """Give each quantized weight its own zero point; return the names of both."""
    own: set[str] = set()
    for node in graph.nodes:
        zero_point = graph.constant(node, 2)
        if node.op_type == "DequantizeLinear" and node.input[0] in graph.constants and zero_point is not None:
            graph.set_constant(node, 2, zero_point, node.input[2])
            own.update((node.input[0], node.input[2]))
    return own


def _share_constants(graph: Graph, but: Collection[str]) -> None:
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    same = {
        name: first.setdefault((array.dtype.str, array.shape, array.tobytes()), name)
        for name, array in graph.constants.items()
        if array.dtype != np.object_ and name not in but
    }
    for node in graph.nodes:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)


def _rename(graph: Graph) -> None:
    taken = {"", *graph.inputs, *graph.outputs}

    def free(name: str) -> str:
        count, found = 1, name
        while found in taken:
            count += 1
            found = f"{name}_{count}"
        taken.add(found)
        return found

    names: dict[str, str] = {}  # of tensors, old to new
    nodes = {id(node): free(_node_name(node)) for node in graph.nodes if node.op_type not in _QUANTIZERS}
    for node in graph.nodes:
        if node.op_type in _QUANTIZERS:
            nodes[id(node)] = free(_quantizer_name(graph, node, names, nodes))
        name = node.name = nodes[id(node)]
        for index, old in enumerate(node.input):
            if old in graph.constants and old not in names:
                roles = _PARTS if node.op_type in _QUANTIZERS else _ROLES
                names[old] = free(f"{name}.{roles[index] if index < len(roles) else index}")
        for index, old in enumerate(node.output):
            if old and old not in graph.outputs:
                # A tensor may have its node's name: context distinguishes them.
                names[old] = name if index == 0 else free(f"{name}.{index}")
    for node in graph.nodes:
        for index, old in enumerate(node.input):
            node.input[index] = names.get(old, old)
        for index, old in enumerate(node.output):
            node.output[index] = names.get(old, old)
    graph.constants = {names.get(old, old): array for old, array in graph.constants.items()}


def _node_name(node: NodeProto) -> str:
    """Return ``stages.0.conv1.0.Conv`` for the exporter's ``/stages/stages.0/conv1/conv1.0/Conv``."""
    parts: list[str] = []
    for part in (node.name or node.op_type).strip("/").split("/"):
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def _quantizer_name(graph: Graph, node: NodeProto, names: dict[str, str], nodes: dict[int, str]) -> str:
    if node.op_type == "DequantizeLinear" and node.input[0] in graph.constants:
        reader = next(iter(graph.readers(node.output[0])), None)
        if reader is None or id(reader) not in nodes:
            return "weight"
        index = list(reader.input).index(node.output[0])
        return f"{nodes[id(reader)]}.{_ROLES[index] if index < len(_ROLES) else index}"
    read = names.get(node.input[0], node.input[0]).removesuffix(".Q")
    return f"{read}.{_QUANTIZERS[node.op_type]}"
