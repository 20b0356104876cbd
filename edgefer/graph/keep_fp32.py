"""Keeps single tensors or whole layers of an INT8 network in FP32."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto, NodeProto

from edgefer.errors import InputError
from edgefer.graph.graph import QUANTIZERS, Array, Graph
from edgefer.graph.ranges import SELECTING

Kind = Literal["layer", "weight", "activation"]


@dataclass(frozen=True)
class QuantizedPart:
    """A part that can be kept in FP32 separately.

    Attributes:
        kind: ``weight`` and ``activation`` are one quantized tensor; ``layer`` is an operator with all it reads.
        name: of the layer, of the weights' layer, or of the node that produces the activation.
        tensors: the quantized tensors in it: names of DequantizeLinear nodes.
    """

    kind: Kind
    name: str
    tensors: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its title in a list of all kinds."""
        return self.name if self.kind == "layer" else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Read:
    """An operator's quantized input.

    Attributes:
        operator: the reader.
        index: of the operator's input.
        between: nodes in between that only move numbers (`SELECTING`), from the operator back to the tensor.
        dequantizer: the tensor's DequantizeLinear.
    """

    operator: NodeProto
    index: int
    between: tuple[NodeProto, ...]
    dequantizer: NodeProto


def reads(graph: Graph) -> list[Read]:
    """Return the quantized inputs of operators, in node order."""
    found = []
    for operator in graph.nodes:
        if operator.op_type in (*QUANTIZERS, *SELECTING, "Shape"):
            continue
        for index, name in enumerate(operator.input):
            between = []
            made_by = graph.producer(name)
            while made_by is not None and made_by.op_type in SELECTING:
                between.append(made_by)
                made_by = graph.producer(made_by.input[0])
            if made_by is not None and made_by.op_type == "DequantizeLinear":
                found.append(Read(operator, index, tuple(between), made_by))
    return found


def weight(floats: Graph, read: Read) -> Array | None:
    """Return a weight before quantization, as read by its operator, or None if `floats` has it elsewhere.

    Args:
        floats: see `with_fp32`.
        read: of the symmetric QDQ graph.
    """
    operator = next((node for node in floats.nodes if node.name == read.operator.name), None)
    return None if operator is None else floats.constant(operator, read.index)


def parts(qdq: ModelProto, floats: ModelProto) -> list[QuantizedPart]:
    """Return the parts that can be kept in FP32: quantized tensors, then the layers that read them.

    Args:
        qdq: int8 weights, each with a DequantizeLinear, activations between QuantizeLinear and DequantizeLinear.
        floats: see `with_fp32`.
    """
    graph, originals = Graph(qdq), Graph(floats)
    tensors: dict[str, QuantizedPart] = {}
    layers: dict[str, list[str]] = {}
    for read in reads(graph):
        name = read.dequantizer.name
        if read.dequantizer.input[0] not in graph.constants:
            tensors.setdefault(name, QuantizedPart("activation", name.removesuffix(".DQ"), (name,)))
        elif weight(originals, read) is not None:
            tensors.setdefault(name, QuantizedPart("weight", read.operator.name, (name,)))
        else:
            continue
        layers.setdefault(read.operator.name, []).append(name)
    return [*tensors.values(), *(QuantizedPart("layer", name, tuple(inputs)) for name, inputs in layers.items())]


def with_fp32(qdq: ModelProto, floats: ModelProto, left: Iterable[QuantizedPart]) -> ModelProto:
    """Return `qdq` with some of its parts in FP32.

    A layer's inputs are FP32 only for that layer: other readers still get the quantized tensor.

    Args:
        qdq: see `parts`.
        floats: the same network before it was quantized, from the same export: layers have the same names as in `qdq`,
            weights are float32.
        left: some of `parts`.

    Raises:
        InputError: a part is not in the network.
    """
    graph, originals = Graph(qdq), Graph(floats)
    found = reads(graph)
    done: set[tuple[str, int]] = set()  # parts may overlap
    for part in left:
        of_part = [
            read
            for read in found
            if read.dequantizer.name in part.tensors and (part.kind != "layer" or read.operator.name == part.name)
        ]
        if not of_part:
            raise InputError(f"the network has no {part.kind} {part.name}")
        for read in of_part:
            if (read.operator.name, read.index) not in done:
                done.add((read.operator.name, read.index))
                _unquantized(graph, originals, read)
    return graph.model()


def _unquantized(graph: Graph, originals: Graph, read: Read) -> None:
    """Let an operator read the unquantized tensor."""
    quantizer = graph.producer(read.dequantizer.input[0])
    if quantizer is None:
        before = weight(originals, read)
        if before is None:
            raise InputError(f"the weights of {read.operator.name} are elsewhere in the FP32 network")
        graph.set_constant(read.operator, read.index, before, f"{read.dequantizer.name}.float")
        return
    name = quantizer.input[0]
    for node in reversed(read.between):
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.name = f"{read.operator.name}.{node.name}"
        copied.input[0], copied.output[0] = name, f"{copied.name}.float"
        graph.insert_before(read.operator, copied)
        name = copied.output[0]
    read.operator.input[read.index] = name
