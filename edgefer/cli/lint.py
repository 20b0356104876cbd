"""`edgefer lint`: finds what a target would reject or misread in any ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgefer.cli.options import Json

_SHOWN = 20  # findings in the table; --json has them all


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An INT8 network with Q/DQ nodes.")],
    target: Annotated[str, typer.Option(help="Target: tensorrt, cpu or rtx.")],
    as_json: Json = False,
) -> None:
    """Find what a target would reject or misread in an ONNX file. Exit code 1: there are findings.

    If the target's runtime is installed (onnxruntime, tensorrt or tensorrt_rtx), it is tried too.
    """
    from edgefer.cli import output
    from edgefer.errors import GateFailed, InputError

    with output.needs_extra("compress"):
        from edgefer.backends import registry
        from edgefer.graph import linter
        from edgefer.graph.linter.asking import ask_in_subprocess, settled
        from edgefer.graph.reading import read
    if target not in registry.targets():
        raise InputError(f"unknown target {target}; choose from {', '.join(registry.targets())}")
    network = read(model)
    answer = ask_in_subprocess(network.SerializeToString(), target)
    findings = settled(linter.lint(network, target), answer)
    quantizers = sum(node.op_type == "QuantizeLinear" for node in network.graph.node)
    failed = GateFailed(f"{target} would reject or misread {model}: {len(findings)} findings") if findings else None
    asked = answer.who if answer is not None else None
    if as_json:
        listed = [{"node": each.node, "problem": each.problem, "kind": each.kind} for each in findings]
        counts = {"nodes": len(network.graph.node), "quantizers": quantizers}
        report = {
            "command": "lint",
            "model": str(model),
            "target": target,
            **counts,
            "asked": asked,
            "findings": listed,
        }
        output.print_json(report, failed)
        return
    if failed:
        rows: dict[str, str] = {}
        for each in findings[:_SHOWN]:
            rows[each.node] = f"{rows[each.node]}; {each.problem}" if each.node in rows else each.problem
        output.print_rows(f"{model}, for {target}", rows)
        if len(findings) > _SHOWN:
            output.print_line(f"  and {len(findings) - _SHOWN} more; --json has them all")
        raise failed
    size = f"{len(network.graph.node)} nodes, {quantizers} quantizers"
    if asked:
        output.print_line(f"{model}, for {target}: nothing found ({size}); {asked} accepts it")
    else:
        output.print_line(f"{model}, for {target}: nothing found ({size})")
