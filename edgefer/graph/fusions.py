"""Which nodes of an INT8 network ONNX Runtime runs in INT8, and why others stay in FP32.

Read from ONNX Runtime's optimized graph, in which fused nodes have other operators (a
convolution between quantizers is QLinearConv). Remaining Conv nodes run in FP32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx
import onnxruntime
from onnx import ModelProto, NodeProto

from edgefer import paths
from edgefer.graph.count import macs_by_node
from edgefer.graph.graph import LAYERS, QUANTIZERS, Graph, attribute
from edgefer.graph.ranges import SELECTING

_ACTIVATIONS = frozenset(("Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Mish", "QuickGelu", "Sigmoid"))
_ACTIVATIONS |= {"LeakyRelu", "PRelu", "Selu", "Softplus", "Tanh"}
_POOLS = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean")
_INTEGER = (
    "QLinear",
    "QGemm",
    "QAttention",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantize",
)  # prefix of their names
# Their cost is negligible in any type.
_FREE = SELECTING | {"Cast", "Concat", "Constant", "Pad", "Shape"}
_REPLACE = "compress with --activation relu, which replaces it by ReLU and fine-tunes"


@dataclass(frozen=True)
class Slow:
    """One reason why an INT8 network is slower than it could be.

    Attributes:
        reason: cause and effect in ONNX Runtime.
        remedy: what would help.
        nodes: affected layers, by their names in the file.
        macs: their share of the network's multiply-accumulates, 0 to 1; None: unknown.
    """

    reason: str
    remedy: str
    nodes: tuple[str, ...]
    macs: float | None


def optimized(model: ModelProto) -> ModelProto:
    """Return the graph optimized by ONNX Runtime's CPU provider (without hardware-specific layouts)."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    with paths.temporary_folder() as folder:
        file = folder / "optimized.onnx"
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(file)


@dataclass(frozen=True)
class InFloat:
    """The parts of an INT8 network that ONNX Runtime computes in FP32.

    Attributes:
        integer: share of the network's multiply-accumulates in 8-bit kernels, 0 to 1; if these are unknown, share of
            its layers.
        reasons: why other layers have none, costliest first.
    """

    integer: float
    reasons: tuple[Slow, ...]


def in_float(model: ModelProto) -> InFloat:
    """Return which parts of a model stay in FP32, and why.

    Args:
        model: lowered for CPUs, its nodes named.
    """
    graph = Graph(model)
    layers = [node for node in graph.nodes if node.op_type in LAYERS]
    integer = _integer(optimized(model).graph.node)
    costs = macs_by_node(model)
    weights = dict.fromkeys((node.output[0] for node in layers), 1) if costs is None else costs
    whole = sum(weights.values())
    fast = sum(weights[node.output[0]] for node in layers if node.name in integer)
    return InFloat(fast / whole if whole else 1.0, tuple(_reasons(_layers_in_fp32(graph, integer), costs)))


def slow(model: ModelProto, fast_int8: bool) -> list[Slow]:
    """Return why `model` is not faster in INT8, costliest reason first.

    Args:
        model: lowered for CPUs, its nodes named.
        fast_int8: whether the CPU has VNNI or, on ARM, dot products.
    """
    graph = Graph(model)
    run = optimized(model).graph.node
    integer, ran = _integer(run), {node.name for node in run if not node.op_type.startswith(_INTEGER)}
    found = _layers_in_fp32(graph, integer)
    gates = _gates(graph)
    explained = {id(node) for nodes in found.values() for node in nodes}
    for node in graph.nodes:
        kept = node.name in ran and node.op_type not in (*_FREE, *QUANTIZERS, *_ACTIVATIONS)
        if kept and id(node) not in explained and not _belongs_to(graph, node):
            found.setdefault(_kept(node, gates), []).append(node)
    depthwise = [node for node in graph.nodes if node.op_type == "Conv" and _depthwise(graph, node)]
    depthwise = [node for node in depthwise if id(node) not in explained]
    if depthwise:
        found[_DEPTHWISE] = depthwise
    if not fast_int8:
        found[_NO_VNNI] = [node for node in graph.nodes if node.op_type in LAYERS and id(node) not in explained]
    reasons = _reasons(found, macs_by_node(model))
    if set(found) <= {_NO_OUTPUT}:
        reasons.append(Slow(*_TOO_SMALL, (), 0.0))
    return reasons


def _integer(nodes: Iterable[NodeProto]) -> set[str]:
    """Return the names of nodes with an 8-bit kernel: ONNX Runtime keeps the name of the replaced layer."""
    return {node.name for node in nodes if node.op_type.startswith(_INTEGER)}


_Found = dict[tuple[str, str], list[NodeProto]]  # nodes by (reason, remedy)


def _layers_in_fp32(graph: Graph, integer: set[str]) -> _Found:
    gates = _gates(graph)
    found: _Found = {}
    for node in graph.nodes:
        if node.op_type in LAYERS and node.name not in integer:
            found.setdefault(_why(graph, node, gates), []).append(node)
    return found


def _reasons(found: _Found, costs: dict[str, int] | None) -> list[Slow]:
    """Return the reasons, costliest first; if costs are unknown, by number of nodes."""
    whole = sum((costs or {}).values()) or 1
    reasons = [
        Slow(
            reason,
            remedy,
            tuple(node.name for node in nodes),
            None if costs is None else sum(costs.get(node.output[0], 0) for node in nodes) / whole,
        )
        for (reason, remedy), nodes in found.items()
    ]
    return sorted(reasons, key=lambda each: -(len(each.nodes) if each.macs is None else each.macs))


_DEPTHWISE = (
    "depthwise convolutions, which gain little from INT8: they are limited by memory, not arithmetic",
    "a network with dense convolutions, e.g. ResNet or RepVGG",
)
_NO_VNNI = (
    "this CPU has no instruction that multiplies and adds 8-bit numbers (VNNI; on ARM: dot product)",
    "a CPU that has one; on x86 `edgefer compress --cpu no-vnni`; or the FP32 file",
)
_TOO_SMALL = (
    "every large layer runs in INT8: the network is too small to gain, or this machine was busy",
    "measure longer: edgefer bench --seconds 10",
)
_GATE = (
    "squeeze-excite: its layers work on one pixel and stay FP32, so the tensor it scales is converted twice",
    "a network without squeeze-excite",
)
_PER_CHANNEL = (
    "an activation with per-channel scales, which ONNX Runtime does not fuse",
    "quantize activations per tensor, as edgefer does",
)
_COMPUTED = (
    "weights computed in each call cannot be stored in INT8",
    "a network with constant weights",
)
_NO_INPUT = (
    "an input or weight that is not quantized",
    "quantize it; NNCF skips unknown operators",
)
_NO_OUTPUT = (
    "an unquantized output (a classifier's logits stay FP32 by design)",
    "nothing for the last layer; others need a quantizer after them",
)


def _why(graph: Graph, layer: NodeProto, gates: set[int]) -> tuple[str, str]:
    """Return (reason, remedy) for a layer that stayed FP32."""
    if id(layer) in gates:
        return _GATE
    sources = [graph.producer(name) for name in layer.input[:2]]
    if any(each is not None and each.op_type == "DequantizeLinear" and _per_channel(graph, each) for each in sources):
        return _PER_CHANNEL
    if layer.op_type != "MatMul" and sources[1] is not None and sources[1].op_type not in (*QUANTIZERS, *_FREE):
        return _COMPUTED
    blocking = _activation_behind(graph, layer)
    if blocking in _NORMS.values():
        return (
            _not_fused(blocking),
            f"a network with BatchNorm instead of {blocking}, which is folded into the layer",
        )
    if blocking:
        replaced = blocking in ("SiLU", "HardSwish")
        return _not_fused(blocking), _REPLACE if replaced else f"a network with ReLU instead of {blocking}"
    if any(each is None or each.op_type not in (*QUANTIZERS, *_FREE) for each in sources):
        return _NO_INPUT
    behind = _operators_behind(graph, layer.output[0])
    return (_not_fused(behind[0]), f"a network without this {behind[0]}") if behind else _NO_OUTPUT


def _not_fused(kind: str) -> str:
    return (
        f"{kind}: ONNX Runtime fuses only ReLU and clip, so the layer before it runs in "
        "FP32 with conversions on both sides"
    )


def _operators_behind(graph: Graph, name: str) -> list[str]:
    """Return the non-quantizer readers of a tensor, through ReLU, clip and operators that only move numbers."""
    found = []
    for reader in graph.readers(name):
        if reader.op_type in ("Clip", "Relu", *SELECTING):
            found += _operators_behind(graph, reader.output[0])
        elif reader.op_type != "QuantizeLinear":
            found.append(reader.op_type)
    return found


def _kept(node: NodeProto, gates: set[int]) -> tuple[str, str]:
    """Return (reason, remedy) for another operator that stayed FP32."""
    if id(node) in gates:
        return _GATE
    if node.op_type == "BatchNormalization":
        return "BatchNorm that is not folded into a convolution", "fold it: no other layer may read its input"
    return (
        f"{node.op_type} that stayed FP32: it is outside quantizers, or ONNX Runtime has no 8-bit kernel for it",
        f"a network without this {node.op_type}",
    )


_NORMS = {
    "BatchNormalization": "BatchNorm",
    "GroupNormalization": "GroupNorm",
    "InstanceNormalization": "InstanceNorm or GroupNorm",
    "LayerNormalization": "LayerNorm",
}


def _activation_behind(graph: Graph, layer: NodeProto) -> str:
    """Return the name of the first unfused activation or norm after a layer, or ''."""
    for reader in graph.readers(layer.output[0]):
        behind = reader
        while behind.op_type in ("Reshape", "Transpose") and (after := graph.readers(behind.output[0])):
            behind = after[0]
        if behind.op_type in _NORMS:
            return _NORMS[behind.op_type]
        if reader.op_type in _ACTIVATIONS:
            return _name(graph, reader)
        if reader.op_type in ("Mul", "Div") and any(
            (made := graph.producer(name)) is not None and made.op_type in _ACTIVATIONS for name in reader.input
        ):
            return "SiLU"
        if reader.op_type in ("Mul", "Div", "Add"):  # a GELU in exported form: x / sqrt(2) -> Erf
            for after in graph.readers(reader.output[0]):
                if after.op_type in ("Erf", "Tanh"):
                    return "GELU"
    return ""


def _name(graph: Graph, node: NodeProto) -> str:
    if node.op_type in ("Erf", "Gelu", "QuickGelu"):
        return "GELU"
    if node.op_type in ("Sigmoid", "HardSigmoid"):
        for reader in graph.readers(node.output[0]):
            if reader.op_type == "Mul" and node.input[0] in reader.input:
                return "SiLU" if node.op_type == "Sigmoid" else "HardSwish"
    return node.op_type


def _belongs_to(graph: Graph, node: NodeProto) -> bool:
    """Return whether a node is part of a decomposed activation: the Mul of a SiLU, the Div of a GELU."""
    around = [graph.producer(name) for name in node.input]
    around += graph.readers(node.output[0])
    return node.op_type in ("Add", "Div", "Mul") and any(
        each is not None and each.op_type in _ACTIVATIONS for each in around
    )


def _gates(graph: Graph) -> set[int]:
    """Return the nodes (by `id`) between the pool of a squeeze-excite and the Mul that applies it, without the Mul."""
    found: set[int] = set()
    for mul in graph.nodes:
        if mul.op_type != "Mul":
            continue
        for name in mul.input:
            path = list(_back_to_pool(graph, name))
            if path and path[-1].op_type in _POOLS and any(node.op_type in LAYERS for node in path):
                found.update(id(node) for node in path)
    return found


def _back_to_pool(graph: Graph, name: str) -> Iterator[NodeProto]:
    """Follow first inputs back from a tensor and end with a pool or with the graph's input."""
    node = graph.producer(name)
    while node is not None:
        yield node
        if node.op_type in _POOLS or not node.input:
            return
        # One input of a SiLU's Mul is the Sigmoid of the other: both lead back.
        node = graph.producer(node.input[0])


def _per_channel(graph: Graph, node: NodeProto) -> bool:
    scale = graph.constant(node, 1)
    return graph.constant(node, 0) is None and scale is not None and scale.size > 1


def _depthwise(graph: Graph, node: NodeProto) -> bool:
    made_by = graph.producer(node.input[1])
    weight = graph.constant(made_by if made_by is not None else node, 0 if made_by is not None else 1)
    return attribute(node, "group", 1) > 1 and weight is not None and weight.shape[1] == 1
