"""Stores half of the weights of a network that answers an image and its mirror image alike.

In such a layer (`edgefer.models.mirroring.pair_halves`) the second half of the output channels reads, mirrored, what
the first half reads: the input channels' halves change places, and rows run backwards. A file holds the first
half and three operators that make the whole. ONNX Runtime and OpenVINO compute them once, when they load the file,
and then run the same operators on the same weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
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
    weights = {
        node.input[0]: numpy_helper.to_array(initializer)
        for node in graph.node
        if node.op_type == "DequantizeLinear"
        for initializer in graph.initializer
        if initializer.name == node.input[0] and initializer.data_type == initializer.INT8
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


def unpacked(nodes: Sequence[NodeProto], constants: dict[str, _Array], outputs: Collection[str]) -> list[NodeProto]:
    """Return the nodes without those of `packed`, and add the whole weights to `constants`.

    Args:
        nodes: in topological order.
        constants: by name.
        outputs: of the graph; what makes them stays.
    """
    readers = Counter([*outputs, *(name for node in nodes for name in node.input)])
    makers = {node.output[0]: node for node in nodes if node.op_type == "Gather" and readers[node.output[0]] == 1}
    gone: set[str] = set()
    for node in nodes:
        if node.op_type != "Concat" or len(node.input) != 2 or _axis(node) or node.output[0] in outputs:
            continue
        steps: list[NodeProto] = []
        name = node.input[1]
        while name in makers:
            steps.append(makers[name])
            name = makers[name].input[0]
        half = constants.get(node.input[0])
        if name != node.input[0] or not steps or half is None or half.ndim != 4:
            continue
        other = half
        for step in reversed(steps):
            axis, order = _axis(step), constants.get(step.input[1])
            if axis not in (_READS, _COLUMNS) or order is None or not _is_order(order, half.shape[axis]):
                break
            other = other.take(order, axis)
        else:
            constants[node.output[0]] = np.concatenate([half, other])
            gone.update([node.output[0], *(step.output[0] for step in steps)])
    return [node for node in nodes if not gone.intersection(node.output)]


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


def _axis(node: NodeProto) -> int:
    return next((each.i for each in node.attribute if each.name == "axis"), 0)
