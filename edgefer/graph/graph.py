"""A model's graph in a form that is easy to rewrite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, helper, numpy_helper

from edgefer.graph import mirrored

Array = NDArray[Any]

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")

# Attributes of a Constant, and their dtypes; ``value`` is a tensor.
_CONSTANTS: dict[str, Any] = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _constant(attribute: AttributeProto) -> Array:
    kind = _CONSTANTS[attribute.name]
    if kind is None:
        return numpy_helper.to_array(attribute.t)
    return np.asarray(helper.get_attribute_value(attribute), kind)


class Graph:
    """Nodes in topological order, constants as arrays, producers and readers.

    Constant nodes, Identity nodes and `edgefer.graph.mirrored` are resolved on the way in: a constant is an entry of
    `constants`, however the file stores it. Bodies of If and Loop are kept unchanged.

    Attributes:
        nodes: in topological order.
        constants: by name.
        inputs: names of the graph's inputs, without initializers.
        outputs: names of the graph's outputs.
        opsets: of the operators.
    """

    def __init__(self, model: ModelProto) -> None:
        self._frame = ModelProto()
        self._frame.CopyFrom(model)
        graph = self._frame.graph
        self.constants: dict[str, Array] = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self.inputs = [each.name for each in graph.input if each.name not in self.constants]
        self.outputs = [each.name for each in graph.output]
        self.opsets = list(self._frame.opset_import)
        self.nodes: list[NodeProto] = []
        aliases: dict[str, str] = {}
        for each in in_order(list(graph.node)):
            node = NodeProto()
            node.CopyFrom(each)
            for index, name in enumerate(node.input):
                node.input[index] = aliases.get(name, name)
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name in _CONSTANTS:
                self.constants[node.output[0]] = _constant(node.attribute[0])
            elif node.op_type == "Identity" and node.output[0] not in self.outputs:
                aliases[node.output[0]] = node.input[0]
            else:
                self.nodes.append(node)
        readers = Counter(name for node in self.nodes for name in _reads(node))
        self.nodes = mirrored.unpacked(self.nodes, self.constants, readers, self.outputs)
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        self._producers = {name: node for node in self.nodes for name in node.output}

    def producer(self, name: str) -> NodeProto | None:
        """Return the node that produces `name`, or None for an input or a constant."""
        return self._producers.get(name)

    def readers(self, name: str) -> list[NodeProto]:
        """Return the nodes that read `name`."""
        return [node for node in self.nodes if name in node.input]

    def all_readers(self) -> dict[str, list[NodeProto]]:
        """Return the nodes that read each tensor: `readers` of all of them, in one pass over the graph."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    def read_only_by(self, name: str, node: NodeProto) -> bool:
        """Return whether only `node` reads `name`, which is not a graph output."""
        return name not in self.outputs and all(reader is node for reader in self.readers(name))

    def constant(self, node: NodeProto, index: int) -> Array | None:
        """Return input `index` of a node if it is constant, else None."""
        return self.constants.get(node.input[index]) if index < len(node.input) else None

    def set_constant(self, node: NodeProto, index: int, array: Array, name: str) -> None:
        """Make input `index` of `node` a new constant, so that other readers of the old one are unaffected.

        Args:
            node: one of `nodes`.
            index: of the input; missing inputs before it become empty.
            array: the constant.
            name: its name; a number is added if it is taken.
        """
        free, count = name, 1
        while free in self.constants or free in self._producers or free in self.inputs:
            count += 1
            free = f"{name}.{count}"
        self.constants[free] = array
        while len(node.input) <= index:
            node.input.append("")
        node.input[index] = free

    def insert_before(self, node: NodeProto, new: NodeProto) -> None:
        """Insert `new` before `node`."""
        self.nodes.insert(next(index for index, each in enumerate(self.nodes) if each is node), new)
        self._producers.update(dict.fromkeys(new.output, new))

    def absorb(self, node: NodeProto, following: NodeProto) -> None:
        """Remove `following`, and let `node` produce its output. `following` must be the only reader of `node`."""
        self.nodes = [each for each in self.nodes if each is not following]
        del self._producers[node.output[0]]
        node.output[0] = following.output[0]
        self._producers[node.output[0]] = node

    def model(self) -> ModelProto:
        """Return the rewritten model, without unused nodes and constants."""
        needed, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(_reads(node))
        model = ModelProto()
        model.CopyFrom(self._frame)
        model.graph.node.extend(reversed(kept))
        for name, array in self.constants.items():
            if name in needed:
                # ascontiguousarray makes a scalar one-dimensional
                dense = np.ascontiguousarray(array).reshape(array.shape)
                model.graph.initializer.append(numpy_helper.from_array(dense, name))
        return model


def in_order(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """Return nodes in topological order, stable for nodes already in order.

    ONNX requires that order, but not every tool keeps it (ONNX Runtime's float16 converter does not).
    """
    makers = {name: node for node in nodes for name in node.output if name}
    ordered: list[NodeProto] = []
    seen: set[int] = set()
    placed: set[int] = set()
    for last in nodes:
        waiting = [last]
        while waiting:
            node = waiting[-1]
            behind = [makers[name] for name in _reads(node) if name in makers]
            behind = [each for each in behind if id(each) not in seen]
            if id(node) in seen or not behind:
                seen.add(id(node))
                waiting.pop()
                if id(node) not in placed:
                    placed.add(id(node))
                    ordered.append(node)
            else:
                seen.add(id(node))  # a second visit places it, also in a cycle, which no valid file has
                waiting += behind
    return ordered


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value (int, float, list, bytes), or `default` if it is omitted."""
    for each in node.attribute:
        if each.name == name:
            return helper.get_attribute_value(each)
    return default


def _reads(node: NodeProto) -> set[str]:
    """Return the tensors that a node reads, including from inside an If or Loop."""
    names = set(node.input)
    for each in node.attribute:
        if each.type == AttributeProto.GRAPH:
            names.update(*(_reads(inner) for inner in each.g.node))
    return names
