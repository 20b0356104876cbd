"""Whether a model's structure passes ONNX's checker, for any operators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorShapeProto, helper

from edgefer.lines import one_line

_LARGE = 4096  # values; a larger constant is not a shape, so neither checker nor inference needs it
_UNKNOWN = "edgefer.unknown"


def problem(model: ModelProto) -> str:
    """Return the ONNX checker's complaint about a model in one line, or an empty string.

    Two things that the checker rejects are hidden from it, as runtimes accept them or lint has rules for
    them: outputs without a shape, and operators that ONNX does not have.
    """
    if not _is_text(model):
        return "a name is not valid UTF-8"
    inside = [node for function in model.functions for node in nodes_within(function.node)]
    for node in [*inside, *nodes_within(model.graph.node)]:
        if node.op_type == "Constant" and not node.domain and not node.attribute:
            return f"the Constant {node.name or ', '.join(node.output)} is empty"
    copy = skeleton(model)
    opsets = {each.domain: each.version for each in copy.opset_import}
    foreign = False
    for graph in graphs(copy.graph):
        for each in [*graph.input, *graph.output, *graph.value_info]:
            if each.type.HasField("tensor_type") and not each.type.tensor_type.HasField("shape"):
                each.type.tensor_type.shape.CopyFrom(TensorShapeProto())
        for node in graph.node:
            foreign |= _move(node, opsets)
    for function in copy.functions:
        own = {each.domain: each.version for each in function.opset_import}
        moved = [_move(node, own) for node in nodes_within(function.node)]
        if any(moved):
            function.opset_import.append(helper.make_opsetid(_UNKNOWN, 1))
            foreign = True
    if foreign:
        copy.opset_import.append(helper.make_opsetid(_UNKNOWN, 1))
    try:
        onnx.checker.check_model(copy)
    except Exception as error:  # ValidationError, and errors from deep inside
        return one_line(error, 200)
    return ""


def _is_text(model: ModelProto) -> bool:
    """Return whether every name is valid text: otherwise protobuf gives bytes."""
    inside = [node for function in model.functions for node in nodes_within(function.node)]
    names: list[object] = [each.domain for each in model.opset_import]
    names += [each.domain for function in model.functions for each in function.opset_import]
    for function in model.functions:
        names += [function.name, function.domain, *function.input, *function.output]
    for graph in graphs(model.graph):
        inside += graph.node
        names += [each.name for each in [*graph.initializer, *graph.input, *graph.output, *graph.value_info]]
    for node in inside:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [each.name for each in node.attribute]
    return all(isinstance(each, str) for each in names)


def _move(node: NodeProto, opsets: dict[str, int]) -> bool:
    """Move an operator unknown to ONNX into a domain that the checker ignores."""
    if node.domain not in ("", "ai.onnx", "ai.onnx.ml") or onnx.defs.has(node.op_type, node.domain):
        return False
    node.domain = _UNKNOWN
    return True


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        yield from _bodies(node)


def nodes_within(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes and those inside them."""
    for node in nodes:
        yield node
        for graph in _bodies(node):
            yield from graph.node


def _bodies(node: NodeProto) -> Iterator[GraphProto]:
    for each in node.attribute:
        if each.type == AttributeProto.GRAPH:
            yield from graphs(each.g)


def skeleton(model: ModelProto) -> ModelProto:
    """Return a copy with large constants replaced by inputs, so that checking is cheap."""
    small = ModelProto()
    for field, part in model.ListFields():
        if field.name == "graph":
            continue
        if field.is_repeated:
            getattr(small, field.name).extend(part)
        else:
            setattr(small, field.name, part)
    for field, part in model.graph.ListFields():
        if field.name in ("name", "doc_string"):
            setattr(small.graph, field.name, part)
        elif field.name != "initializer" and field.is_repeated:
            getattr(small.graph, field.name).extend(part)
    declared = {each.name for each in small.graph.input}
    for each in model.graph.initializer:
        if int(np.prod(each.dims, dtype=np.float64)) <= _LARGE:
            small.graph.initializer.append(each)
        elif each.name not in declared:
            kind = helper.make_tensor_type_proto(each.data_type, list(each.dims))
            small.graph.input.append(helper.make_value_info(each.name, kind))
            declared.add(each.name)
    return small
