"""Minimum time of a network on a GPU, from its arithmetic and memory traffic.

A kernel takes at least the time of its arithmetic and of its memory traffic (Williams, Waterman
and Patterson, "Roofline: an insightful visual performance model for multicore architectures", CACM 52(4), 2009), and
TensorRT runs a network's kernels one after another:

    seconds = sum over kernels of max(2 x MACs / (operations per second), bytes / (bytes per second))

A GPU's INT8 tensor cores work on 32 channels at a time (NVIDIA TensorRT documentation, "Tensor Core alignment" and the
format ``kCHW32``): 144 channels take the time of 160. A layer's multiply-accumulates are counted with padded channels;
the images' up to four channels are in ``kCHW4``.

This is the minimum for perfect kernels: without launches or copies to and from the
GPU, with one memory transfer per tensor. A cache can reduce the second term, never the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from onnx import ModelProto, NodeProto

from edgefer.devices.specs import DeviceSpec
from edgefer.errors import InputError
from edgefer.graph.count import macs_by_node
from edgefer.graph.graph import LAYERS, Graph
from edgefer.graph.shapes import tensors

Precision = Literal["fp32", "fp16", "int8"]

_BY_WIDTH: dict[int, Precision] = {1: "int8", 2: "fp16", 4: "fp32"}
_CHANNELS, _FEW_CHANNELS = 32, 4  # that a GPU's INT8 kernels work on at a time; of a picture
# Elementwise, so TensorRT fuses them with the kernel before: NVIDIA TensorRT documentation, "Layer
# Fusion Catalog" (convolution and activation, convolution and sum, pointwise fusion, scale fusions).
_POINTWISE = frozenset(("Add", "BatchNormalization", "Cast", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid"))
_POINTWISE |= {"HardSwish", "LeakyRelu", "Mish", "Mul", "Neg", "PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus"}
_POINTWISE |= {"Sqrt", "Sub", "Tanh"}
# They rename tensors without copying, or let others write in place.
_FREE = frozenset(("Concat", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
# Only their first input is data; the others are limits, scales or a shape.
_ONE_INPUT = frozenset(("Clip", "DequantizeLinear", "QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze", "Dropout"))


@dataclass(frozen=True)
class Kernel:
    """One launch: a layer and what TensorRT fuses with it.

    Attributes:
        nodes: names of its nodes, in execution order.
        precision: of its arithmetic: ``int8`` if activation and weight are quantized.
        macs: multiply-accumulates per image.
        bytes: read and written per image, each tensor once, weights as stored.
        padded_macs: in ``int8``, with channels padded for a GPU's tensor cores; otherwise `macs`.
    """

    nodes: tuple[str, ...]
    precision: Precision
    macs: int
    bytes: int
    padded_macs: int = -1

    def __post_init__(self) -> None:
        if self.padded_macs < 0:
            object.__setattr__(self, "padded_macs", self.macs)


@dataclass(frozen=True)
class Time:
    """The minimum time of a network on a GPU, in seconds.

    Attributes:
        least: sum over the kernels of the larger of arithmetic and traffic.
        arithmetic: compute time of all kernels: a lower bound.
        memory: memory time of all kernels.
    """

    least: float
    arithmetic: float
    memory: float


@dataclass(eq=False)
class _Group:
    """Nodes fused into one kernel, and the groups it depends on, directly or not."""

    nodes: list[NodeProto] = field(default_factory=list)
    after: set[_Group] = field(default_factory=set)


def kernels(model: ModelProto, precision: Literal["fp32", "fp16"] | None = None) -> list[Kernel]:
    """Return TensorRT's kernels of a network at batch 1, by its documented fusions.

    Fused are: bias, activation and a sum of equal shapes with the layer before; quantizers
    with their neighbours; other elementwise arithmetic with the producer of its input, if it has the same shape and
    only elementwise readers. A quantizer of the network's input is a separate kernel.

    Args:
        model: lowered for TensorRT, or in floating point.
        precision: None for the file's types, which TensorRT uses; ``fp16`` or
            ``fp32`` for the same layers in that precision, without quantizers.

    Raises:
        InputError: a shape cannot be inferred.
    """
    graph = Graph(model)
    found = tensors(graph)
    constants = _constants(graph)
    sources: dict[str, tuple[str, ...]] = {}  # aliases: the tensors actually read
    groups: dict[str, _Group] = {}  # by their output tensors
    for node in graph.nodes:
        data = [name for name in _data(node) if name not in constants]
        skipped = precision is not None and node.op_type == "QuantizeLinear"
        if node.output[0] in constants:
            continue
        if skipped or node.op_type in _FREE or node.op_type == "DequantizeLinear":
            sources[node.output[0]] = tuple(source for name in data for source in sources.get(name, (name,)))
            continue
        made_by = [groups[source] for name in data for source in sources.get(name, (name,)) if source in groups]
        group = _joined(graph, found, node, data, sources, groups, made_by) or _Group()
        group.nodes.append(node)
        group.after.update(*({each, *each.after} for each in made_by if each is not group))
        groups.update(dict.fromkeys(filter(None, node.output), group))
    counts = macs_by_node(model)
    if counts is None:
        raise InputError("the shapes of this network's layers are unknown, so no time can be projected")
    reader = _Reader(graph, found, constants, sources, groups, precision)
    return [reader.kernel(group, counts) for group in dict.fromkeys(groups.values())]


def min_time(network: Iterable[Kernel], device: DeviceSpec, threads: int = 1) -> Time | None:
    """Return the minimum time of a network's kernels in sequence, or None if the device has no INT8 figure.

    On a GPU, FP32 counts at the FP16 rate, since no 32-bit arithmetic, including TF32, is faster.
    On a CPU, `threads` cores work on each kernel, as many as it has at most.
    """
    least = arithmetic = memory = 0.0
    for kernel in network:
        rate = device.int8 if kernel.precision == "int8" else device.fp16 or device.fp32
        if rate is None:
            return None
        macs = kernel.macs if device.compute is None else kernel.padded_macs
        computing = 2 * macs / (rate * 1e12 * min(threads, device.cores))
        moving = kernel.bytes / (device.bandwidth * 1e9)
        least += max(computing, moving)
        arithmetic += computing
        memory += moving
    return Time(least, arithmetic, memory)


def _joined(
    graph: Graph,
    found: Mapping[str, tuple[tuple[int, ...], int]],
    node: NodeProto,
    data: Sequence[str],
    sources: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, _Group],
    made_by: Sequence[_Group],
) -> _Group | None:
    """Return a node's group, or None if it starts one; of two, the later one."""
    if node.op_type == "QuantizeLinear":
        before = [groups[source] for source in sources.get(data[0], data) if source in groups]
        return before[0] if len(before) == 1 else None
    if node.op_type not in _POINTWISE:
        return None
    fitting = [
        groups[name]
        for name in data
        if name in groups
        and name not in graph.outputs
        and _shape(found, name) == _shape(found, node.output[0])
        and all(reader.op_type in _POINTWISE for reader in graph.readers(name))
        and not any(groups[name] in other.after for other in made_by)
    ]
    order = list(dict.fromkeys(groups.values()))
    return max(fitting, key=order.index, default=None)


@dataclass(frozen=True)
class _Reader:
    """Counts bytes read and written by groups of nodes."""

    graph: Graph
    found: Mapping[str, tuple[tuple[int, ...], int]]
    constants: Mapping[str, int]
    sources: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, _Group]
    precision: Literal["fp32", "fp16"] | None

    def kernel(self, group: _Group, counts: Mapping[str, int]) -> Kernel:
        read: dict[str, int] = {}
        for node in group.nodes:
            for name in _data(node):
                if name in self.constants:
                    read[name] = self._constant(name)
                for source in () if name in self.constants else self.sources.get(name, (name,)):
                    if self.groups.get(source) is not group:
                        read[source] = self._bytes(source)
        made = [name for node in group.nodes for name in node.output if name]
        written = sum(self._bytes(name) for name in made if self._leaves(name, group))
        precision = self._precision(group)
        macs = {node.output[0]: counts.get(node.output[0], 0) for node in group.nodes}
        padding = [self._padding(node) if precision == "int8" else 1 for node in group.nodes]
        return Kernel(
            nodes=tuple(node.name or node.output[0] for node in group.nodes),
            precision=precision,
            macs=sum(macs.values()),
            bytes=sum(read.values()) + written,
            padded_macs=round(sum(count * factor for count, factor in zip(macs.values(), padding, strict=True))),
        )

    def _padding(self, node: NodeProto) -> float:
        """Return the factor of a layer's padded computation; grouped convolutions do not use tensor cores."""
        shape = _shape(self.found, node.input[1]) if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul") else ()
        groups = next((each.i for each in node.attribute if each.name == "group"), 1)
        if len(shape) < 2 or groups > 1:
            return 1.0
        return math.prod(_padded(channels) / channels for channels in shape[:2])

    def _leaves(self, name: str, group: _Group) -> bool:
        """Return whether something outside the group reads a tensor, under any alias."""
        if name in self.graph.outputs:
            return True
        for reader in self.graph.readers(name):
            for output in reader.output:
                inside = self.groups.get(output) is group
                renamed = output in self.sources
                if (renamed and self._leaves(output, group)) or not (inside or renamed):
                    return True
        return False

    def _precision(self, group: _Group) -> Precision:
        layers = [node for node in group.nodes if node.op_type in LAYERS]
        widths = {self._width(name) for node in layers for name in node.input[:2]}
        if not layers:
            widths = {self._width(name) for node in group.nodes for name in _data(node)}
        return _BY_WIDTH.get(max(widths, default=4), "fp32")

    def _width(self, name: str) -> int:
        """Return the stored bytes of one value."""
        if name in self.constants:
            return self._floating(self.constants[name])
        return max(self._floating(_of(self.found, source)[1]) for source in self.sources.get(name, (name,)))

    def _floating(self, width: int) -> int:
        return {"fp32": 4, "fp16": 2}.get(self.precision or "", width)

    def _bytes(self, name: str) -> int:
        shape, width = _of(self.found, name)
        return math.prod(shape) * self._floating(width)

    def _constant(self, name: str) -> int:
        size = math.prod(_of(self.found, name)[0])
        return size * self._floating(self.constants[name]) if size > 1 else 0  # a scalar is passed with the launch


def _padded(channels: int) -> int:
    return _FEW_CHANNELS if channels <= _FEW_CHANNELS else -(-channels // _CHANNELS) * _CHANNELS


def _constants(graph: Graph) -> dict[str, int]:
    """Return what is known statically: name, and stored bytes per value.

    Dequantized weights are stored in 8 bits.
    """
    known = {name: int(array.itemsize) for name, array in graph.constants.items()}
    for node in graph.nodes:
        if node.op_type == "Shape" or (node.input and all(name in known for name in node.input if name)):
            width = 8 if node.op_type == "Shape" else known[node.input[0]]
            known.update(dict.fromkeys(node.output, 1 if node.op_type == "QuantizeLinear" else width))
    return known


def _data(node: NodeProto) -> list[str]:
    """Return the data inputs of a node."""
    return [name for name in (node.input[:1] if node.op_type in _ONE_INPUT else node.input) if name]


def _of(found: Mapping[str, tuple[tuple[int, ...], int]], name: str) -> tuple[tuple[int, ...], int]:
    if name not in found:
        raise InputError(f"the shape of {name} cannot be inferred, so its bytes cannot be counted")
    return found[name]


def _shape(found: Mapping[str, tuple[tuple[int, ...], int]], name: str) -> tuple[int, ...]:
    return _of(found, name)[0]
