"""How sure a network may be: one temperature for its logits (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from edgefer import bundle, console
from edgefer.data.dataset import Split
from edgefer.evaluation import metrics

_RANGE = (math.log(0.05), math.log(20.0))
# Standard deviation of log(temperature) before an image was seen: it weighs as much as about eight images. Without it
# six that are all told right would have the temperature at 0 and every answer at 100 %.
_PRIOR = 0.5
_FEW = 100  # images, on which a fitted temperature owes more to chance than to the network


def fit(name: str, logits: NDArray[np.float32], split: Split) -> bundle.Confidence:
    """Return the most probable temperature given a split, and the calibration error with and without it.

    That is the one with the least cross-entropy, held near 1 where there are few images: log(temperature) has a normal
    prior around 0.

    Args:
        name: of the network in the bundle.
        logits: float32, (n, classes), in the order of the split.
        split: the validation split; its labels decide.
    """

    def improbability(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        return metrics.cross_entropy(scaled, split.labels) + (log_temperature / _PRIOR) ** 2 / (2 * len(split))

    temperature = math.exp(minimize_scalar(improbability, bounds=_RANGE, method="bounded").x)
    if len(split) < _FEW:
        console.say(f"{len(split)} validation images are too few to calibrate confidence; do not rely on it")
    errors = [
        metrics.calibration_error(metrics.softmax(logits / divisor), split.labels) for divisor in (1, temperature)
    ]
    return bundle.Confidence(
        network=name,
        split=split.name,
        images=len(split),
        temperature=round(temperature, 4),
        error_before=round(errors[0], 5),
        error_after=round(errors[1], 5),
    )
