"""What ONNX Runtime refuses in a graph."""

from __future__ import annotations

from edgefer.graph.lint import onnxruntime, tables
from edgefer.graph.lint.findings import Finding
from edgefer.graph.lint.onnxruntime_settings import RULES, between_quantizers, matmul
from edgefer.graph.lint.view import View, read


def look(view: View) -> list[Finding]:
    """Return what ONNX Runtime refuses, in the order of the nodes."""
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
    for call in view.calls:
        found += read(call, onnxruntime.kernels)
        if call.node.domain == "com.microsoft":
            found += read(call, onnxruntime.foreign)
            if call.node.op_type == "FusedMatMul":
                found += read(call, matmul)
        elif not call.node.domain:
            found += read(call, *filter(None, [RULES.get(call.node.op_type)]), between_quantizers)
    return found


def names(view: View) -> list[Finding]:
    """Find nodes of one graph that have one name."""
    found = []
    seen: set[tuple[int, str]] = set()
    for call in view.calls:
        key = (id(call.scope), call.node.name)
        if call.node.op_type == "Constant":
            continue  # becomes an initializer
        if call.node.name and key in seen:
            found.append(Finding(call.name, "another node has the same name; ONNX Runtime refuses that"))
        seen.add(key)
    return found
