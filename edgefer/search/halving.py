"""Stop trials early: successive halving among trials that cost no more.

Optuna's pruners support a single objective. Pruning by accuracy alone would stop small, fast networks, which belong on
the front. A trial is therefore compared only with trials whose INT8 network is neither slower nor larger: at certain
epochs it continues if its accuracy is in their upper half. As in ASHA (Li et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning"), no trial waits: it is compared with those available.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEAST = 3  # minimum number of trials to compare with


@dataclass(frozen=True)
class Standing:
    """A trial's state at an epoch.

    Attributes:
        accuracy: FP32, on the validation split, 0 to 1.
        latency: of its INT8 network in milliseconds, measured before training, as it does not depend on the weights.
        bytes: size of its INT8 file.
    """

    accuracy: float
    latency: float
    bytes: int


def rungs(epochs: int) -> list[int]:
    """Return the epochs after which trials are compared: 1/2, 1/4, ... of the total, down to 1."""
    found = []
    while (epochs := epochs // 2) > 0:
        found.append(epochs)
    return found[::-1]


def goes_on(own: Standing, others: Iterable[Standing]) -> bool:
    """Return whether a trial is in the upper half of trials (including itself) at that epoch that cost no more."""
    rivals = [each for each in others if each.latency <= own.latency and each.bytes <= own.bytes]
    better = sum(each.accuracy > own.accuracy for each in rivals)
    return len(rivals) < LEAST or better < (len(rivals) + 1) / 2
