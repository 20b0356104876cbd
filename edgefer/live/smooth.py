"""A steady answer from answers that jitter: averages of the logits over time, and evidence that has to add up.

What is shown is an exponential average over seconds, which a change would reach too late. So each frame's evidence for
every other label is added up beside it (Page 1954, "Continuous Inspection Schemes", the CUSUM rule); when one has
enough, its label is shown, and the average begins anew from that of the last tenth of a second. The constants come from
videos made of FER2013's PublicTest (`benchmarks/live/live_smoothing.py`).
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

_MIN_PROBABILITY = 1e-3  # in one frame: a class that is ruled out there can come back soon
_DRIFT = 0.2  # of a logit that another label must be ahead for its evidence to grow
_MAX_AHEAD = 3.0  # logits that count at most, for or against: one odd frame decides nothing
_MARGIN = 0.3  # logits that the average of another label must be ahead to be shown


@dataclass(frozen=True)
class Smoothing:
    """How answers are smoothed over time.

    Attributes:
        seconds: time constant of the average that is shown: after it, 63 % of it is from the frames since.
        quick: time constant in seconds of the average that it begins with after a change.
        evidence: logits times seconds that another label must gather before it is shown.
        min_confidence: smoothed probability below which the label is ``unsure``.
        leave: how much above `min_confidence` the probability must be before ``unsure`` ends.
    """

    seconds: float = 4.0
    quick: float = 0.1
    evidence: float = 0.35
    min_confidence: float = 0.35
    leave: float = 0.1


class Smoother:
    """The answer for one face over time.

    Args:
        labels: in the order of the probabilities.
        settings: how answers are smoothed.

    Attributes:
        label: what to show: a label or ``unsure``.
        since: time in seconds since which it is shown.
    """

    def __init__(self, labels: Sequence[str], settings: Smoothing) -> None:
        self._labels, self._settings = labels, settings
        self._slow: NDArray[np.float64] = np.zeros(0)  # averages of the logits; empty before the first frame
        self._quick: NDArray[np.float64] = np.zeros(0)
        self._evidence = np.zeros(len(labels))
        self._time = self._age = self.since = 0.0
        self._current = 0
        self.label = UNSURE

    @property
    def steady(self) -> str:
        """The label that has been settled on, also while ``unsure`` is shown."""
        return self._labels[self._current]

    @property
    def probabilities(self) -> dict[str, float]:
        """The smoothed probability of each label; they add up to 1. Only after the first `add`."""
        return dict(zip(self._labels, softmax(self._slow[None])[0].tolist(), strict=True))

    def add(self, probabilities: dict[str, float], time: float) -> None:
        """Take the answer for one frame.

        Args:
            probabilities: of each label in this frame alone.
            time: of the frame in seconds; never less than the one before.
        """
        values = np.array([probabilities[label] for label in self._labels])
        logits = np.log(np.maximum(values, _MIN_PROBABILITY))
        changed = True
        if not len(self._slow):
            self._slow = self._quick = logits
            self._current, self._age, self.since = int(logits.argmax()), self._settings.quick, time
        else:
            changed = self._follow(logits, max(0.0, time - self._time))
        self._time = time
        bound = self._settings.min_confidence
        if self.label == UNSURE and not changed:
            bound += self._settings.leave
        label = self.steady if softmax(self._slow[None])[0][self._current] >= bound else UNSURE
        if label != self.label:
            self.label, self.since = label, time

    def _follow(self, logits: NDArray[np.float64], seconds: float) -> bool:
        """Take a frame's logits, so many seconds after the last one; return whether the evidence changed the label."""
        self._age += seconds
        self._quick = self._quick + (1 - math.exp(-seconds / self._settings.quick)) * (logits - self._quick)
        # A plain mean at first, so that the first frames don't count more than others.
        share = max(1 - math.exp(-seconds / self._settings.seconds), min(1.0, seconds / self._age))
        self._slow = self._slow + share * (logits - self._slow)
        ahead = np.clip(logits - logits[self._current], -_MAX_AHEAD, _MAX_AHEAD) - _DRIFT
        self._evidence = np.maximum(0.0, self._evidence + ahead * seconds)
        best = int(self._evidence.argmax())
        if self._evidence[best] > self._settings.evidence:
            self._current, self._slow, self._age = best, self._quick, self._settings.quick
            self._evidence = np.zeros(len(logits))
            return True
        best = int(self._slow.argmax())
        if self._slow[best] - self._slow[self._current] > _MARGIN:
            self._current = best
        return False

    def state(self) -> dict[str, Any]:
        """Return all that this smoother knows after a frame, as plain JSON values."""
        return {
            "slow": self._slow.tolist(),
            "quick": self._quick.tolist(),
            "evidence": self._evidence.tolist(),
            "time": self._time,
            "age": self._age,
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
        smoother._slow, smoother._quick, smoother._evidence = (
            np.array(state[name], np.float64) for name in ("slow", "quick", "evidence")
        )
        smoother._time, smoother._age = float(state["time"]), float(state["age"])
        smoother._current = int(state["current"])
        smoother.label, smoother.since = str(state["label"]), float(state["since"])
        arrays = (smoother._slow, smoother._quick, smoother._evidence)
        numbers = (smoother._time, smoother._age, smoother.since)
        if (
            any(array.shape != (len(labels),) for array in arrays)
            or not all(np.isfinite(array).all() for array in (*arrays, numbers))
            or not 0 <= smoother._current < len(labels)
            or smoother.label not in (*labels, UNSURE)
        ):
            raise ValueError("this is no state of a smoother with these labels")
        return smoother
