"""A steady answer from answers that jitter: an exponential average of the logits over time, and hysteresis.

The constants come from videos made of FER2013's PublicTest (`benchmarks/live_smoothing.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer.evaluation.metrics import softmax
from edgefer.predictions import UNSURE

_LEAST = 1e-3  # probability: a class that is ruled out in one frame can come back in a few


@dataclass(frozen=True)
class Smoothing:
    """How answers are smoothed over time.

    Attributes:
        seconds: time constant of the average: after it, 63 % of an answer is from the frames since.
        margin: how much the average of another label's logit must be above the shown one's before it is shown.
        min_confidence: smoothed probability below which the label is ``unsure``.
        leave: how much above `min_confidence` the probability must be before ``unsure`` ends.
    """

    seconds: float = 0.2
    margin: float = 0.7
    min_confidence: float = 0.4
    leave: float = 0.1


class Smoother:
    """The answer for one face over time.

    Args:
        labels: in the order of the probabilities.
        settings: how answers are smoothed.

    Attributes:
        label: what to show: a label or ``unsure``.
        since: time in seconds since which it is shown.
        steady: the label that the average has settled on, also while it is ``unsure``.
    """

    def __init__(self, labels: Sequence[str], settings: Smoothing) -> None:
        self._labels, self._settings = labels, settings
        self._logits: NDArray[np.float64] | None = None
        self._time = self.since = 0.0
        self._current = 0
        self.label = UNSURE

    @property
    def steady(self) -> str:
        """The label that the average has settled on."""
        return self._labels[self._current]

    @property
    def probabilities(self) -> dict[str, float]:
        """The smoothed probability of each label; they add up to 1. Only after the first `add`."""
        assert self._logits is not None
        return dict(zip(self._labels, softmax(self._logits[None])[0].tolist(), strict=True))

    def add(self, probabilities: dict[str, float], time: float) -> None:
        """Take the answer for one frame.

        Args:
            probabilities: of each label in this frame alone.
            time: of the frame in seconds; never less than the one before.
        """
        values = np.array([probabilities[label] for label in self._labels])
        logits = np.log(np.maximum(values, _LEAST))
        if self._logits is None:
            self._logits, self._current, self.since = logits, int(logits.argmax()), time
        else:
            share = 1 - math.exp(-max(0.0, time - self._time) / self._settings.seconds)
            self._logits = self._logits + share * (logits - self._logits)
        self._time = time
        best = int(self._logits.argmax())
        if self._logits[best] - self._logits[self._current] > self._settings.margin:
            self._current = best
        sure = softmax(self._logits[None])[0][self._current]
        bound = self._settings.min_confidence + (self._settings.leave if self.label == UNSURE else 0.0)
        label = self.steady if sure >= bound else UNSURE
        if label != self.label:
            self.label, self.since = label, time

    def state(self) -> dict[str, Any]:
        """Return all that this smoother knows, as plain JSON values."""
        logits = None if self._logits is None else self._logits.tolist()
        return {
            "logits": logits,
            "time": self._time,
            "current": self._current,
            "label": self.label,
            "since": self.since,
        }

    @classmethod
    def restored(cls, labels: Sequence[str], settings: Smoothing, state: dict[str, Any]) -> Smoother:
        """Return the smoother whose `state` this is.

        Raises:
            KeyError, TypeError, ValueError: it is no such state.
        """
        smoother = cls(labels, settings)
        smoother._logits = None if state["logits"] is None else np.array(state["logits"], np.float64)
        smoother._time, smoother._current = float(state["time"]), int(state["current"])
        smoother.label, smoother.since = str(state["label"]), float(state["since"])
        return smoother
