"""How sure a network may be: one temperature for its logits (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from edgefer import bundle
from edgefer.data.dataset import Split
from edgefer.evaluation import metrics

_RANGE = (math.log(0.05), math.log(20.0))


def fit(name: str, logits: NDArray[np.float32], split: Split) -> bundle.Confidence:
    """Return the temperature with the least cross-entropy on a split, and the calibration error with and without it.

    Args:
        name: of the network in the bundle.
        logits: float32, (n, classes), in the order of the split.
        split: the validation split; its labels decide.
    """
    rows = np.arange(len(split))

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(log_temperature)
        return float(-log_softmax(scaled, axis=1)[rows, split.labels].mean())

    temperature = math.exp(minimize_scalar(cross_entropy, bounds=_RANGE, method="bounded").x)
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
