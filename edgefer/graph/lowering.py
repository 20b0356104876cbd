"""Lowers a symmetric QDQ graph to the form that each target runs fast."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edgefer.backends import registry
from edgefer.errors import InputError
from edgefer.graph.graph import Graph
from edgefer.graph.ranges import value_ranges


@dataclass(frozen=True)
class Lowered:
    """A graph for one target, and its possible differences from the symmetric QDQ graph.

    Unoptimized, outputs are bit-identical except for these lists.

    Attributes:
        model: ready for the target.
        unclipped: quantizers (node names) that no longer clip at 127 x scale but at 255 x scale.
        dropped_quantizers: quantizers removed between a convolution and its residual Add.
        refined: quantizers behind a clip, ReLU6 for example, whose steps became half as wide.
    """

    model: ModelProto
    unclipped: tuple[str, ...] = ()
    dropped_quantizers: tuple[str, ...] = ()
    refined: tuple[str, ...] = ()


def lower(model: ModelProto, target: str, keep: Collection[str] = ()) -> Lowered:
    """Return `model` in `target`'s form.

    Args:
        model: every activation quantizer is int8 with zero point 0 and one scale; weights are int8 (`fold_weights`).
        target: name of one of the backends' targets (`edgefer.backends.registry.targets`).
        keep: quantizers (node names) that must clip and round as in the symmetric graph, even if slower.

    Raises:
        InputError: a quantizer is unsigned already, not symmetric, or has more than one scale; or the target is
            unknown.
    """
    known = registry.targets()
    if target not in known:
        raise InputError(f"unknown target {target}; choose from {', '.join(known)}")
    module, _, function = known[target].lowering.partition(":")
    lowering: Callable[[ModelProto, Collection[str]], Lowered] = getattr(importlib.import_module(module), function)
    return lowering(model, keep)


def unsigned(model: ModelProto, keep: Collection[str]) -> Lowered:
    """Make activations uint8: zero point 0 where a tensor cannot be negative, else 128.

    ONNX Runtime drops a ReLU only before a quantizer with the lowest zero point, and a clip only before a quantizer
    that reaches no higher than the clip. Otherwise the convolution before it runs in FP32. So behind a clip, the 255
    steps end where the clip or the 127 steps of the symmetric graph ended. All other scales stay.
    """
    graph = Graph(model)
    return _unsigned(graph, _quantizers(graph), keep)


def fused_adds(model: ModelProto, keep: Collection[str]) -> Lowered:
    """Keep int8 and drop the quantizer between a convolution and its residual Add.

    TensorRT has no unsigned quantizers, and fuses the convolution and the Add.
    """
    graph = Graph(model)
    _quantizers(graph)
    return _fused_adds(graph, keep)


def _quantizers(graph: Graph) -> list[NodeProto]:
    return [_checked(graph, node) for node in graph.nodes if node.op_type == "QuantizeLinear"]


def _checked(graph: Graph, node: NodeProto) -> NodeProto:
    scale, zero_point = graph.constant(node, 1), graph.constant(node, 2)
    if scale is None or scale.size != 1:
        raise InputError(f"{node.name}: an activation quantizer must have a single scale")
    if zero_point is None or zero_point.dtype != np.int8 or zero_point.any():
        raise InputError(f"{node.name}: lowering needs signed quantizers with zero point 0")
    return node


def _unsigned(graph: Graph, quantizers: list[NodeProto], keep: Collection[str]) -> Lowered:
    bounds = value_ranges(graph)
    lowest_is_zero, refined = [], []
    all_readers = graph.all_readers()
    for node in quantizers:
        readers = all_readers.get(node.output[0], [])
        if any(reader.op_type != "DequantizeLinear" for reader in readers) or node.output[0] in graph.outputs:
            raise InputError(f"{node.name}: only DequantizeLinear may read a quantized tensor")
        unsigned = bounds[node.input[0]][0] >= 0 and node.name not in keep
        zero_point = np.array(0 if unsigned else 128, np.uint8)
        finer = _scale_behind_clip(graph, node) if unsigned else None
        if finer is not None:
            refined.append(node.name)
        for each in (node, *readers):
            scale = graph.constant(each, 1) if finer is None else finer
            assert scale is not None
            graph.set_constant(each, 1, scale.reshape(()), f"{node.output[0]}.scale")
            graph.set_constant(each, 2, zero_point, f"{node.output[0]}.zero")
        if unsigned:
            lowest_is_zero.append(node)
    # Check again, since an unclipped quantizer passes larger values to later ones.
    highest = {name: high for name, (_, high) in value_ranges(graph).items()}
    unclipped = tuple(
        node.name
        for node in lowest_is_zero
        if node.name not in refined and highest[node.input[0]] > 127.49 * _scale(graph, node)
    )
    return Lowered(graph.model(), unclipped=unclipped, refined=tuple(refined))


def _scale_behind_clip(graph: Graph, node: NodeProto) -> NDArray[np.float32] | None:
    """Return a uint8 quantizer's scale with which ONNX Runtime drops the clip before it; None if nothing is to do.

    None: there is no such clip, others read it too, or the quantizer reaches no higher as it is.
    """
    clip = graph.producer(node.input[0])
    high = graph.constant(clip, 2) if clip is not None and clip.op_type == "Clip" else None
    if clip is None or high is None or not graph.read_only_by(node.input[0], node):
        return None
    scale, top = _scale(graph, node), float(high)
    if 255 * scale <= top:
        return None
    finer = np.float32(min(127 * scale, top) / 255)
    return np.asarray(np.nextafter(finer, np.float32(0)), np.float32)  # 255 steps must not exceed the clip


def _scale(graph: Graph, node: NodeProto) -> float:
    scale = graph.constant(node, 1)
    assert scale is not None
    return float(scale)


def _fused_adds(graph: Graph, keep: Collection[str]) -> Lowered:
    """Remove the quantizer between a convolution and a residual Add; the Add's other input stays quantized."""
    depth = _depths(graph)
    dropped = []
    for add in [node for node in graph.nodes if node.op_type == "Add"]:
        branches = [found for index in range(2) if (found := _convolution_behind(graph, add, index)) is not None]
        others = [name for name in add.input if name in graph.constants]
        if not branches or others:
            continue
        # If both inputs come from convolutions, the shorter branch is the skip, which stays quantized.
        index, convolution, quantizer = max(branches, key=lambda branch: depth[branch[1].output[0]])
        if quantizer.name in keep:
            continue
        add.input[index] = convolution.output[0]
        dropped.append(quantizer.name)
    return Lowered(graph.model(), dropped_quantizers=tuple(dropped))


def _convolution_behind(graph: Graph, add: NodeProto, index: int) -> tuple[int, NodeProto, NodeProto] | None:
    """Return (index, convolution, quantizer) if the Add's input is convolution -> Q -> DQ that nothing else reads."""
    chain = [add]
    name = add.input[index]
    for kind in (("DequantizeLinear",), ("QuantizeLinear",), ("Conv", "ConvTranspose")):
        node = graph.producer(name)
        if node is None or node.op_type not in kind or not graph.read_only_by(name, chain[-1]):
            return None
        chain.append(node)
        name = node.input[0]
    return index, chain[3], chain[2]


def _depths(graph: Graph) -> dict[str, int]:
    """Return the number of nodes on the longest way from an input or a constant to each tensor."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        longest = 1 + max((depth.get(name, 0) for name in node.input), default=0)
        depth.update(dict.fromkeys(node.output, longest))
    return depth
