"""Finds what a target would reject or misread in a graph, before anything is built.

`lint` uses rules only; `asking.ask` tries the runtime itself, if installed. Rules are in `cpu` (with
`onnxruntime`, `onnxruntime_settings`), `tensorrt` (with `tensorrt_quantizers`, `tensorrt_settings`) and `misread`.
Two tables of operators and types are written by benchmarks/runtimes/lint_tables.py.
"""

from __future__ import annotations

from onnx import ModelProto

from edgefer.backends import registry
from edgefer.errors import InputError
from edgefer.graph.linter import cpu, misread, structure, tensorrt
from edgefer.graph.linter.asking import ask, settled
from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.view import GraphView, read

__all__ = ["Finding", "check", "lint"]


def lint(model: ModelProto, target: str) -> list[Finding]:
    """Return what `target` would reject or misread in `model`, by rules only.

    Args:
        model: any model with internal weights.
        target: name of one of the backends' targets.
    """
    rules = registry.targets()[target].rules
    wrong = structure.problem(model)
    if wrong:
        return [Finding("the graph", f"ONNX does not allow it: {wrong}")]
    try:
        view = GraphView(model, typed=rules == "cpu")
    except InputError as error:
        return [Finding("the graph", str(error))]
    found = cpu.look(view) if rules == "cpu" else tensorrt.look(view)
    for call in view.calls:
        if call.node.op_type in ("QuantizeLinear", "DequantizeLinear") and call.node.output and not call.node.domain:
            found += read(call, lambda call: misread.quantizer(call, rules))
    return list(dict.fromkeys(found))


def check(model: ModelProto, target: str) -> None:
    """Refuse a model with findings of `lint`, or of the target's runtime if installed.

    Raises:
        InputError: names the first node and the number of others.
    """
    findings = settled(lint(model, target), ask(model.SerializeToString(), target))
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise InputError(f"{target}: {findings[0].node}: {findings[0].problem}{more}")
