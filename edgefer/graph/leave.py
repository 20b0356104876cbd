"""Leave single tensors or whole layers of an INT8 network in FP32."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto, NodeProto

from edgefer.errors import InputError
from edgefer.graph.graph import Graph
from edgefer.graph.ranges import SELECTING

Kind = Literal["layer", "weight", "activation"]
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Part:
    """What can be left in FP32 on its own.

    Attributes:
        kind: ``weight`` and ``activation`` are one quantized tensor; ``layer`` is an operator with all it reads.
        name: of the layer, of the layer whose weights they are, or of the node that makes the activation.
        tensors: the quantized tensors in it: names of DequantizeLinear nodes.
    """

    kind: Kind
    name: str
    tensors: tuple[str, ...]


def parts(signed: ModelProto) -> list[Part]:
    """Return the quantized tensors of a slim signed graph, then the layers that read some of them.

    Args:
        signed: int8 weights behind a DequantizeLinear each, activations between QuantizeLinear and DequantizeLinear.
    """
    graph = Graph(signed)
    dequantizers = {node.output[0]: node for node in graph.nodes if node.op_type == "DequantizeLinear"}
    tensors = [
        Part("weight", node.name.removesuffix(".weight"), (node.name,))
        if node.input[0] in graph.constants
        else Part("activation", node.name.removesuffix(".DQ"), (node.name,))
        for node in dequantizers.values()
    ]
    layers = [
        Part("layer", node.name, read)
        for node in graph.nodes
        if node.op_type not in (*_QUANTIZERS, *SELECTING)
        and (read := tuple(dequantizers[name].name for name in node.input if name in dequantizers))
    ]
    return tensors + layers


def leave(signed: ModelProto, floats: ModelProto, left: Collection[Part]) -> ModelProto:
    """Return `signed` with some of its parts in FP32.

    A layer's inputs are left for that layer alone: who else reads them goes on reading the quantized tensor.

    Args:
        signed: see `parts`.
        floats: the same network before it was quantized, from the same export: layers have the names they have in
            `signed`, weights are float32.
        left: some of `parts(signed)`.

    Raises:
        InputError: a part is none of the network's.
    """
    graph = Graph(signed)
    weights = Graph(floats)
    by_name = {node.name: node for node in graph.nodes}
    originals = {node.name: node for node in weights.nodes}
    for part in left:
        if any(name not in by_name for name in part.tensors) or (part.kind == "layer" and part.name not in by_name):
            raise InputError(f"the network has no {part.kind} {part.name}")
        for tensor in part.tensors:
            dequantizer = by_name[tensor]
            readers = [by_name[part.name]] if part.kind == "layer" else graph.readers(dequantizer.output[0])
            _unquantized(graph, dequantizer, readers, weights, originals)
    return graph.model()


def _unquantized(
    graph: Graph, dequantizer: NodeProto, readers: Sequence[NodeProto], weights: Graph, originals: dict[str, NodeProto]
) -> None:
    """Let `readers` read what a DequantizeLinear stands for as it was before it was quantized."""
    made_by = graph.producer(dequantizer.input[0])
    for reader in readers:
        for index, name in enumerate(reader.input):
            if name != dequantizer.output[0]:
                continue
            if made_by is not None:
                reader.input[index] = made_by.input[0]
                continue
            weight = weights.constant(originals[reader.name], index)
            assert weight is not None  # the exports differ by quantizers alone
            graph.set_constant(reader, index, weight, f"{dequantizer.name}.float")
