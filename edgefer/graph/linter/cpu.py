"""What ONNX Runtime rejects in a graph."""

from __future__ import annotations

from collections.abc import Iterator

from edgefer.graph.linter import onnxruntime, tables
from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.onnxruntime_settings import RULES, between_quantizers, matmul
from edgefer.graph.linter.view import Call, GraphView, read


def look(view: GraphView) -> list[Finding]:
    """Return what ONNX Runtime rejects, in node order."""
    table = tables.onnxruntime()
    found = list(view.invalid)
    if view.model.ir_version > table.ir:
        found.append(
            Finding(
                "the graph",
                f"it is of IR version {view.model.ir_version}; ONNX Runtime {table.version} reads {table.ir}",
            )
        )
    for domain, version in view.opsets.items():
        last = table.opsets.get(domain)
        if last is not None and version > last:
            called = domain or "ai.onnx"
            found.append(
                Finding("the graph", f"it is of opset {version} of {called}; ONNX Runtime {table.version} knows {last}")
            )
    found += names(view)
    made = {name: kind.type for call in view.calls for name, kind in zip(call.node.output, call.outputs, strict=True)}
    for call in view.calls:
        if call.node.op_type == "If" and not call.node.domain:
            found += read(call, lambda call: _branches(call, made))
        found += read(call, onnxruntime.kernels)
        if call.node.domain == "com.microsoft":
            found += read(call, onnxruntime.foreign)
            if call.node.op_type == "FusedMatMul":
                found += read(call, matmul)
        elif not call.node.domain:
            found += read(call, *filter(None, [RULES.get(call.node.op_type)]), between_quantizers)
    return found


def _branches(call: Call, made: dict[str, str]) -> Iterator[str]:
    """Yield branches of an If with another type than declared: onnx does not infer types of com.microsoft."""
    for branch in call.node.attribute:
        for place, each in enumerate(branch.g.output):
            inside, outside = made.get(each.name, ""), call.output(place).type
            if inside and outside and inside != outside:
                yield f"its {branch.name} makes {inside} and not {outside}"


def names(view: GraphView) -> list[Finding]:
    """Find nodes of a graph with the same name."""
    found = []
    seen: set[tuple[int, str]] = set()
    for call in view.calls:
        key = (id(call.scope), call.node.name)
        if call.node.op_type == "Constant":
            continue  # becomes an initializer
        if call.node.name and key in seen:
            found.append(Finding(call.name, "another node has the same name, which ONNX Runtime rejects"))
        seen.add(key)
    return found
