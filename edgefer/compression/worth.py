"""Whether an INT8 network is worthwhile: smaller than FP32, and computed in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import ModelProto

from edgefer.graph import fusions
from edgefer.graph.lowering import Lowered

MIN_SHARE = 0.5  # of the multiply-accumulates, in ONNX Runtime's 8-bit kernels


@dataclass(frozen=True)
class Worth:
    """What an INT8 network gains, apart from accuracy.

    Attributes:
        integer: share of the multiply-accumulates that ONNX Runtime runs in 8-bit kernels, 0 to 1.
        complaint: why it is not worthwhile, in one line with a remedy; empty if it is.
    """

    integer: float
    complaint: str


def judge(fp32: ModelProto, graphs: Mapping[str, Lowered]) -> Worth:
    """Return what INT8 networks gain over FP32. Works with untrained networks too.

    Args:
        fp32: BatchNorm folded.
        graphs: each target's, by name; ``int8-cpu`` among them.
    """
    ran = fusions.in_float(graphs["int8-cpu"].model)
    complaints = []
    for name, graph in graphs.items():
        before, after = fp32.ByteSize(), graph.model.ByteSize()
        if after >= before:
            complaints.append(f"{name} has {after:,} bytes, FP32 {before:,}")
            break  # the targets' files have the same weights
    if ran.integer < MIN_SHARE:
        complaints.append(
            f"ONNX Runtime runs {100 * ran.integer:.0f} % of the multiply-accumulates in 8-bit kernels, less than half"
        )
    if not complaints:
        return Worth(ran.integer, "")
    advice = ""
    if ran.reasons and ran.integer < MIN_SHARE:
        worst = ran.reasons[0]
        share = f"{len(worst.nodes)} layers" if worst.macs is None else f"{100 * worst.macs:.0f} %"
        advice = f" (most of the rest, {share}: {worst.reason}; remedy: {worst.remedy})"
    return Worth(ran.integer, f"INT8 gains little: {' and '.join(complaints)}{advice}; accept it with --allow-float")
