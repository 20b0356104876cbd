"""What TensorRT's parser rejects in a graph, and what it would misread."""

from __future__ import annotations

from collections.abc import Iterator

from edgefer.graph.linter import tables
from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.onnxruntime import formals
from edgefer.graph.linter.tensorrt_quantizers import quantizer
from edgefer.graph.linter.tensorrt_settings import RULES
from edgefer.graph.linter.view import Call, GraphView, read, type_name, value

_REAL = frozenset(("float", "float16", "bfloat16", "double"))
_BUILT_IN = frozenset(
    ("Constant", "If", "Loop", "Scan", "QuantizeLinear", "DequantizeLinear")
)  # these have rules alone


def look(view: GraphView) -> list[Finding]:
    """Return what TensorRT rejects or misreads, in node order."""
    table = tables.tensorrt()
    found = list(view.invalid)
    graph = view.model.graph
    held = {each.name for each in graph.initializer}
    for what, values in (("input", graph.input), ("output", graph.output)):
        for each in values:
            kind = value(each.type).type
            if kind and kind not in table.inputs and each.name not in held:
                found.append(Finding(each.name, f"the graph's {what} is {kind}, a type that TensorRT does not support"))
    for tensor in view.constants():
        kind = type_name(tensor.data_type)
        if kind not in table.constants:
            found.append(
                Finding(
                    tensor.name or "a constant",
                    f"a constant of type {kind or 'unknown'}, which TensorRT does not support",
                )
            )
    found += _names(view)
    for call in view.calls:
        found += read(call, operator)
        if not call.node.domain:
            found += read(call, *filter(None, [RULES.get(call.node.op_type)]))
            if call.node.op_type in ("QuantizeLinear", "DequantizeLinear") and call.node.output:
                found += read(call, quantizer)
    return found


def operator(call: Call) -> Iterator[str]:
    """Yield problems of an operator that the parser does not support, or not with these types."""
    name = call.node.op_type
    if call.node.domain == "com.microsoft" and name in tables.tensorrt().foreign:
        if call.input(0).type and call.input(0).type not in _REAL:
            yield f"{call.input(0).type}, for which TensorRT has no {name}"
        return
    if call.node.domain not in ("", "ai.onnx"):
        yield f"TensorRT has no {call.node.domain}:{name}; unless a plugin has that name"
        return
    if name in _BUILT_IN:
        return
    known = tables.tensorrt().operators.get(name)
    if known is None or call.schema is None:
        hint = "; export the network with Q/DQ pairs instead" if _integer(name) else ""
        yield f"{name} is unknown to TensorRT{hint}"
        return
    for formal, text, *kinds in formals(call):
        allowed = known.get(text)
        for kind in dict.fromkeys(kinds):
            if kind and (allowed is None or kind not in allowed):
                yield f"{formal} is {kind}, for which TensorRT has no {name}"
            elif kind and kind not in _REAL and not _allowed(call, formal, kind):
                yield f"{formal} is {kind}, which {name} of opset {call.opset} does not take"
    for place, each in enumerate(call.node.output):
        if call.output(place).type == "uint8" and call.scope.readers.get(each):
            yield "it makes uint8; TensorRT allows that only for the graph's inputs and outputs"


def _allowed(call: Call, formal: str, kind: str) -> bool:
    assert call.schema is not None
    return any(
        each.name == formal and f"tensor({kind})" in each.types for each in [*call.schema.inputs, *call.schema.outputs]
    )


def _names(view: GraphView) -> Iterator[Finding]:
    """Find Q/DQ nodes that share a name with another node: TensorRT makes layers of both."""
    seen: set[str] = set()
    for call in view.calls:
        name = call.node.name
        if name and name in seen and call.node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            yield Finding(call.name, "another node has the same name, which TensorRT rejects")
        if call.node.op_type != "Constant":
            seen.add(name)


def _integer(name: str) -> bool:
    return name.startswith(("QLinear", "QGemm")) or name in ("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger")
