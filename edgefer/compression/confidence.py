"""Confidence calibration: one temperature for the logits (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from edgefer import bundle, console
from edgefer.data.dataset import Split
from edgefer.evaluation import metrics

_RANGE = (math.log(0.05), math.log(20.0))
# Prior standard deviation of log(temperature), worth about eight images. Without it
# six correct images would give temperature 0 and every confidence 100 %.
_PRIOR = 0.5
_FEW = 100  # images below which a fitted temperature is mostly chance


def fit(name: str, logits: NDArray[np.float32], split: Split) -> bundle.Confidence:
    """Return the most probable temperature for a split, and the calibration error with and without it.

    It minimizes cross-entropy, pulled towards 1 for few images: log(temperature) has a normal prior
    around 0.

    Args:
        name: of the network in the bundle.
        logits: float32, (n, classes), in the order of the split.
        split: the validation split, with labels.
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
