"""Which trials stop early: successive halving among trials that cost no more.

Optuna's pruners compare one figure, so it has none for several objectives. Accuracy alone would stop each small, fast
network, and a front of accuracy and cost is to have those too. So a trial is compared with those alone whose INT8
network is neither slower nor larger: at some epochs it goes on if its accuracy is in their upper half. As in ASHA (Li
et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") nobody waits: what is there is compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEAST = 3  # others to compare with


@dataclass(frozen=True)
class Standing:
    """A trial at an epoch.

    Attributes:
        accuracy: on the validation split, in FP32, 0 to 1.
        latency: of its INT8 network in milliseconds, measured before the training: weights decide nothing of it.
        bytes: of its INT8 file.
    """

    accuracy: float
    latency: float
    bytes: int


def rungs(epochs: int) -> list[int]:
    """Return after which epochs trials of so many epochs are compared: a half of them, a quarter, ... down to 1."""
    found = []
    while (epochs := epochs // 2) > 0:
        found.append(epochs)
    return found[::-1]


def goes_on(own: Standing, others: Iterable[Standing]) -> bool:
    """Return whether a trial is in the upper half of those at the same epoch that cost no more, itself included."""
    rivals = [each for each in others if each.latency <= own.latency and each.bytes <= own.bytes]
    better = sum(each.accuracy > own.accuracy for each in rivals)
    return len(rivals) < LEAST or better < (len(rivals) + 1) / 2
