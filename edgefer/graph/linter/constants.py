"""Constants of a graph, and values computed only from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgefer.graph.graph import Array

_LARGE = 1 << 16  # values: limit of computed constants, so that a crafted file cannot use memory or time
_DEPTH = 64
# Cheap, with outputs no larger than inputs. Their results are computed; others are only known to be constant.
_COMPUTED = frozenset(
    [
        "Abs",
        "Add",
        "Cast",
        "Ceil",
        "Concat",
        "Div",
        "Exp",
        "Floor",
        "Gather",
        "Identity",
        "Log",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Pow",
        "Reciprocal",
        "Reshape",
        "Shape",
        "Size",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    ]
)
_RANDOM = frozenset(
    [
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "If",
        "Loop",
        "Scan",
    ]
)


class Constants:
    """Looks up constants by name.

    Sources: initializers, Constant nodes, and nodes with only constant inputs.
    """

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._held: dict[str, TensorProto] = {}
        self._nodes: dict[str, NodeProto] = {}
        self._computed: dict[str, Array | None] = {}
        self._fixed: dict[str, bool] = {}

    def inside(self, graph: GraphProto, nodes: list[NodeProto]) -> Constants:
        """Return these and those of a nested graph."""
        found = Constants(self._opset)
        found._held = {**self._held, **{each.name: each for each in graph.initializer}}
        hidden = {each.name for each in graph.input}
        found._nodes = {name: node for name, node in self._nodes.items() if name not in hidden}
        found._nodes |= {name: node for node in nodes for name in node.output if name}
        if self._held:
            found._held = {
                name: each for name, each in found._held.items() if name not in hidden or each in graph.initializer
            }
        return found

    def initializer(self, name: str) -> TensorProto | None:
        """Return the tensor of an initializer or a Constant node, without reading its values."""
        if name in self._held:
            return self._held[name]
        node = self._nodes.get(name)
        if node is not None and node.op_type == "Constant" and len(node.attribute) == 1:
            return node.attribute[0].t if node.attribute[0].name == "value" else None
        return None

    def fixed(self, name: str) -> bool:
        """Return whether a tensor is constant."""
        order: list[str] = [name]
        begun: set[str] = set()  # waits for its inputs; only a cycle comes back to it
        while order:
            at = order[-1]
            if at in self._fixed:
                order.pop()
                continue
            node = self._nodes.get(at)
            if at in self._held or (node is not None and node.op_type == "Constant"):
                self._fixed[at] = True
            elif node is None or node.op_type in _RANDOM or node.domain not in ("", "ai.onnx") or not any(node.input):
                self._fixed[at] = False
            else:
                begun.add(at)
                waiting = [each for each in node.input if each and each not in self._fixed and each not in begun]
                if waiting:
                    order += waiting
                    continue
                self._fixed[at] = all(self._fixed.get(each, False) for each in node.input if each)
            order.pop()
        return self._fixed[name]

    def value(self, name: str, depth: int = 0) -> Array | None:
        """Return the values of a constant; None: not constant, or not computed here."""
        if name not in self._computed:
            self._computed[name] = None  # also for a cycle
            try:
                self._computed[name] = self._value(name, depth)
            except Exception:  # wrong number of values, failed computation: reported by other rules
                self._computed[name] = None
        return self._computed[name]

    def _value(self, name: str, depth: int) -> Array | None:
        if name in self._held:
            return numpy_helper.to_array(self._held[name])
        node = self._nodes.get(name)
        if node is None or node.domain not in ("", "ai.onnx") or depth > _DEPTH:
            return None
        if node.op_type == "Constant":
            return constant(node)
        if node.op_type not in _COMPUTED or not self.fixed(name):
            return None
        given: dict[str, Any] = {each: self.value(each, depth + 1) for each in node.input if each}
        if any(each is None or each.size > _LARGE for each in given.values()):
            return None
        graph = helper.make_graph(
            [node],
            "constant",
            [helper.make_value_info(each, onnx.TypeProto()) for each in given],
            [helper.make_value_info(each, onnx.TypeProto()) for each in node.output],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(model).run([name], given)
        return np.asarray(next(iter(made)))


def constant(node: NodeProto) -> Array | None:
    """Return a Constant node's value; None for strings, sparse tensors, and empty nodes."""
    if len(node.attribute) != 1:
        return None
    held = node.attribute[0]
    if held.name == "value" and held.type == AttributeProto.TENSOR:
        return numpy_helper.to_array(held.t)
    kinds: dict[str, Any] = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    return np.asarray(helper.get_attribute_value(held), kinds[held.name]) if held.name in kinds else None
