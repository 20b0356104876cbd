"""Keeps the costliest parts of an INT8 network in FP32 until it passes its gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnx import ModelProto

from edgefer import console
from edgefer.compression.diagnosis import Damage
from edgefer.compression.gate import Verdict
from edgefer.graph.keep_fp32 import QuantizedPart, with_fp32

_MIN_COST = 0.1  # relative to the costliest part: smaller costs are noise
_FEW = 16


@dataclass(frozen=True)
class Repaired:
    """An INT8 network that passes the gate.

    Attributes:
        qdq: the graph, before lowering.
        left: parts in FP32.
        verdict: its targets' files compared with FP32.
        tried: number of networks evaluated.
    """

    qdq: ModelProto
    left: list[QuantizedPart]
    verdict: Verdict
    tried: int


def repair(
    qdq: ModelProto,
    floats: ModelProto,
    damages: Sequence[Damage],
    again: Callable[[list[QuantizedPart], list[QuantizedPart]], list[Damage]],
    judge: Callable[[ModelProto], Verdict],
    max_drop: float,
) -> Repaired | None:
    """Return the network with few parts in FP32 that passes the gate, or None if none passes.

    Parts are ordered by the cross-entropy they cost over the milliseconds they save, which is measured, so another
    run may order them differently. One part is kept in FP32, then two more, then four; after each step
    the worst of the rest are measured again, since parts interact. The last step is halved as long as the network
    passes. Then each of the 16 slowest parts is quantized again if the network passes without it. The images that
    select the parts also evaluate them, so the result is slightly optimistic.

    Args:
        qdq: the INT8 graph before it is lowered.
        floats: the same network before it was quantized.
        damages: from `diagnose`.
        again: `diagnose` for some parts (first list) of a network with others in FP32 (second list).
        judge: evaluates a symmetric QDQ graph's targets on the validation split.
        max_drop: points of accuracy that INT8 may lose.
    """
    judged: dict[frozenset[QuantizedPart], Verdict] = {}  # not the networks: there may be hundreds

    def passes(left: Sequence[Damage]) -> bool:
        parts = frozenset(damage.part for damage in left)
        if parts not in judged:
            judged[parts] = judge(network(left))
            console.say(f"with {len(parts)} parts in FP32: {judged[parts].drop:.2f} points lost")
        return judged[parts].drop <= max_drop

    def network(left: Sequence[Damage]) -> ModelProto:
        return with_fp32(qdq, floats, [damage.part for damage in left])

    left: list[Damage] = []
    rest = _ranked(damages)
    step = 1
    while not passes([*left, *rest[:step]]):
        left, rest = [*left, *rest[:step]], rest[step:]
        if not rest:
            return None
        step *= 2
        worst = again([damage.part for damage in rest[: max(_FEW, step)]], [damage.part for damage in left])
        rest = [*_ranked(worst), *rest[len(worst) :]]
    least, most = 0, min(step, len(rest))
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if passes([*left, *rest[:middle]]) else (middle, most)
    left += rest[:most]
    # With many parts, none matters much, and trying each is slow.
    for damage in sorted(left, key=lambda damage: -damage.milliseconds)[:_FEW]:
        fewer = [each for each in left if each is not damage]
        if fewer and passes(fewer):
            left = fewer
    verdict = judged[frozenset(damage.part for damage in left)]
    return Repaired(network(left), [damage.part for damage in left], verdict, len(judged))


def _ranked(damages: Sequence[Damage]) -> list[Damage]:
    floor = _MIN_COST * max((damage.milliseconds for damage in damages), default=0)
    return sorted(damages, key=lambda damage: -damage.loss / max(damage.milliseconds, floor, 1e-6))
