"""Stores half of the weights of a network that answers an image and its mirror image alike.

In such a layer (`edgefer.models.mirroring.pair_halves`) the second half of the output channels reads, mirrored, what
the first half reads: the input channels' halves change places, and rows run backwards. Of each convolution with even
numbers of channels a file holds the first half, and three operators that make the whole. ONNX Runtime and OpenVINO
compute them once, when they load the file, and then run the same operators on the same weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

_READS, _COLUMNS = 1, 3  # axes of a convolution's weights (outputs, inputs, height, width)
_Array = NDArray[Any]


def packed(model: ModelProto) -> ModelProto:
    """Return a model whose mirror-symmetric int8 weights are stored as their first half; others stay.

    Args:
        model: with weights that a DequantizeLinear reads.
    """
    found = ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    quantized = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    quantized -= {each.name for each in graph.input}
    weights = {
        each.name: numpy_helper.to_array(each)
        for each in graph.initializer
        if each.name in quantized and each.data_type == each.INT8
    }
    halves = {name: weight[: len(weight) // 2] for name, weight in weights.items() if is_mirrored(weight)}
    kept = [each for each in graph.initializer if each.name not in halves]
    orders: dict[tuple[int, ...], str] = {}
    nodes: list[NodeProto] = []
    for number, (name, half) in enumerate(halves.items()):
        stored = last = f"{name}.half"
        kept.append(numpy_helper.from_array(np.ascontiguousarray(half), stored))
        for axis, order in _orders(half):
            index = orders.setdefault(tuple(order), f"mirrored.order.{len(orders)}")
            following = f"mirrored.{number}.{axis}"
            nodes.append(helper.make_node("Gather", [last, index], [following], axis=axis))
            last = following
        nodes.append(helper.make_node("Concat", [stored, last], [name], axis=0))
    kept += [numpy_helper.from_array(np.array(order, np.int32), name) for order, name in orders.items()]
    rest = list(graph.node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.extend(kept)
    return found


def unpacked(
    nodes: Sequence[NodeProto], constants: dict[str, _Array], readers: Mapping[str, int], outputs: Collection[str] = ()
) -> list[NodeProto]:
    """Return the nodes without those of `packed`, and add the whole weights to `constants`.

    A half that others read too, or that was itself put together, stays as it is: a small file could need any amount of
    memory otherwise.

    Args:
        nodes: in topological order.
        constants: by name.
        readers: how many nodes read each tensor, those in bodies of If and Loop too.
        outputs: of the graph; what makes them stays.
    """
    stored = dict(constants)
    makers = {node.output[0]: node for node in nodes if _is(node, "Gather") and readers[node.output[0]] == 1}
    makers = {name: node for name, node in makers.items() if name not in outputs}
    gone: set[str] = set()
    for node in nodes:
        if not _is(node, "Concat") or _axis(node) != 0 or node.output[0] in outputs:
            continue
        steps = _steps(makers, node.input[1])
        source = steps[-1].input[0] if steps else ""
        half = stored.get(source)
        if source != node.input[0] or half is None or half.ndim != 4 or readers[source] != 2:
            continue
        other = half
        for step in reversed(steps):
            axis, order = _axis(step), stored.get(step.input[1])
            if axis not in (_READS, _COLUMNS) or order is None or not _is_order(order, half.shape[axis]):
                break
            other = other.take(order, axis)
        else:
            constants[node.output[0]] = np.concatenate([half, other])
            gone.update([node.output[0], *(step.output[0] for step in steps)])
    return [node for node in nodes if not gone.intersection(node.output)]


def _steps(makers: Mapping[str, NodeProto], name: str) -> list[NodeProto]:
    """Return the one or two nodes of `packed` that make a tensor, the last first."""
    steps: list[NodeProto] = []
    while name in makers and len(steps) < 2:
        steps.append(makers[name])
        name = makers[name].input[0]
    return steps


def _is(node: NodeProto, kind: str) -> bool:
    """Return whether a node is ONNX's operator with two inputs and one output."""
    return node.op_type == kind and not node.domain and len(node.input) == 2 and len(node.output) == 1


def is_mirrored(weight: _Array) -> bool:
    """Return whether the second half of a convolution's weights, (outputs, inputs, height, width), follows."""
    if weight.ndim != 4 or len(weight) % 2 or (weight.shape[_READS] > 1 and weight.shape[_READS] % 2):
        return False
    half, other = np.split(weight, 2)
    orders = list(_orders(half))
    for axis, order in orders:
        half = half.take(order, axis)
    return bool(orders) and np.array_equal(half, other)


def _orders(half: _Array) -> Iterator[tuple[int, list[int]]]:
    """Yield the axes along which the other half differs, and the order there."""
    reads, columns = half.shape[_READS], half.shape[_COLUMNS]
    if reads > 1:
        yield _READS, [*range(reads // 2, reads), *range(reads // 2)]
    if columns > 1:
        yield _COLUMNS, list(range(columns))[::-1]


def _is_order(order: _Array, length: int) -> bool:
    """Return whether a constant names each of `length` places once: others could need any amount of memory."""
    return order.dtype.kind == "i" and order.shape == (length,) and bool((np.sort(order) == np.arange(length)).all())


def _axis(node: NodeProto) -> int | None:
    return next((each.i for each in node.attribute if each.name == "axis"), None)  # its default depends on the opset
