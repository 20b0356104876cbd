"""Corruption robustness: accuracy on corrupted pictures, the same ones for FP32 and INT8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgefer import console
from edgefer.bench.probes.base import Context, Probe
from edgefer.data.dataset import Split, spread
from edgefer.evaluation.corruptions import KINDS, STRENGTHS, corrupt
from edgefer.evaluation.predict import Infer
from edgefer.preprocessing import Preprocessing

IMAGES = 1000
_BATCH = 50
_SEED = 0


@dataclass(frozen=True)
class Robustness:
    """Accuracy of one network under corruptions.

    Attributes:
        images: how many, evenly spaced over the split; the same for every network, kind and strength.
        seed: of the random numbers.
        clean: accuracy without corruption.
        accuracy: by kind, at strengths 1 to 5.
    """

    images: int
    seed: int
    clean: float
    accuracy: dict[str, list[float]]

    @property
    def mean(self) -> float:
        """Accuracy over all kinds and strengths."""
        return float(np.mean([value for values in self.accuracy.values() for value in values]))


def measure(infers: Sequence[Infer], specs: Sequence[Preprocessing], rows: Split) -> list[Robustness]:
    """Run networks on increasingly corrupted pictures, a few at a time.

    Args:
        infers: `infer` of each network's session.
        specs: preprocessing of each.
        rows: original images; at most 1,000 are used.
    """
    chosen = rows.subset(spread(len(rows), IMAGES))
    conditions = [("", 0), *((kind, strength) for kind in KINDS for strength in STRENGTHS)]
    right = np.zeros((len(infers), len(conditions)), dtype=np.int64)
    with console.progress("robustness", len(conditions)) as advance:
        for place, (kind, strength) in enumerate(conditions):
            for number, (images, labels) in enumerate(chosen.batches(_BATCH)):
                worse = corrupt(images, kind, strength, _SEED + number) if kind else images
                for network, (infer, spec) in enumerate(zip(infers, specs, strict=True)):
                    right[network, place] += int((infer(spec.apply(worse)).argmax(axis=1) == labels).sum())
            advance(1, f"{kind} {strength}" if kind else "")
    shares = right / len(chosen)
    return [
        Robustness(
            images=len(chosen),
            seed=_SEED,
            clean=float(share[0]),
            accuracy={
                kind: [float(value) for value in share[1 + 5 * number : 6 + 5 * number]]
                for number, kind in enumerate(KINDS)
            },
        )
        for share in shares
    ]


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    infers = [each.session.infer for each in context.candidates]
    found = measure(infers, [each.preprocessing for each in context.candidates], context.rows)
    return [{"robustness": each} for each in found]


PROBE = Probe("robustness", _measure, option="robustness")
