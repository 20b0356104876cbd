"""Leave the parts of an INT8 network that cost most in FP32, until it passes its gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnx import ModelProto

from edgefer import console
from edgefer.compression.diagnosis import Damage
from edgefer.compression.gate import Verdict
from edgefer.graph.keep_fp32 import QuantizedPart, with_fp32

_MIN_COST = 0.1  # of the dearest part: what costs less cannot be told from noise, and must not look like a bargain
_FEW = 16


@dataclass(frozen=True)
class Repaired:
    """An INT8 network that passes.

    Attributes:
        qdq: the graph, before it is lowered.
        left: what stayed FP32.
        verdict: its targets' files beside FP32.
        tried: how many networks were judged.
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
    """Return the network with little of it in FP32, so that it passes the gate, or None where all of it does not help.

    Parts are ordered by the cross-entropy they cost over the milliseconds they save, so by a measurement: another run
    may order them otherwise. One part is left, then two more, then four; after each step the worst of the rest are
    measured again, since what the first ones hid or caused is known only without them. The last step is halved until no
    less of it passes. Then the 16 dearest parts are quantized again, each where the network passes without it. The
    images that choose the parts also judge them, so that other images may think a little less of the result.

    Args:
        qdq: the INT8 graph before it is lowered.
        floats: the same network before it was quantized.
        damages: from `diagnose`.
        again: `diagnose` for some parts (the first list) of a network that has others in FP32 (the second).
        judge: runs a symmetric QDQ graph's targets over the validation split.
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
    # Of many parts none matters much, and to try each takes long.
    for damage in sorted(left, key=lambda damage: -damage.milliseconds)[:_FEW]:
        fewer = [each for each in left if each is not damage]
        if fewer and passes(fewer):
            left = fewer
    verdict = judged[frozenset(damage.part for damage in left)]
    return Repaired(network(left), [damage.part for damage in left], verdict, len(judged))


def _ranked(damages: Sequence[Damage]) -> list[Damage]:
    floor = _MIN_COST * max((damage.milliseconds for damage in damages), default=0)
    return sorted(damages, key=lambda damage: -damage.loss / max(damage.milliseconds, floor, 1e-6))
