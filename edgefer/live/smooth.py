"""Steady labels from noisy predictions: averaged logits, and accumulated evidence for changes.

The shown label comes from an exponential average over seconds, which reacts late. So evidence for every
other label is accumulated per frame (Page 1954, "Continuous Inspection Schemes", the CUSUM rule); when one
has enough, its label is shown, and the average restarts. A still face between two expressions would flip its label.
But its predictions stay similar, while a new expression changes all
classes: so evidence is weighted by the Hellinger distance, cubed, between the last tenth of a second and this face's
    usual predictions. The constants come from videos made of FER2013's PublicTest
(`benchmarks/live/live_smoothing.py`).
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

_MIN_PROBABILITY = 1e-3  # in one frame, so that an excluded class can come back soon
_DRIFT = 0.3  # logit margin for another label's evidence to grow
_MAX_AHEAD = 0.8  # maximum logits per frame, for or against: one odd frame decides nothing
_MAX_FRAME = 0.1  # maximum seconds per frame for evidence, for the same reason at low rates
_MAX_SECONDS = 0.5  # maximum seconds per frame in averages, after a gap
_RECENT = 0.1  # seconds: time constant of the recent predictions
_FAR = 0.5  # Euclidean distance of root probabilities with weight 1; at most 1.41
_MAX_WEIGHT = 2.5  # maximum weight
_MARGIN = 0.3  # logit margin for another label's average to be shown


@dataclass(frozen=True)
class Smoothing:
    """How predictions are smoothed over time.

    Attributes:
        seconds: time constant of the shown average.
        quick: time constant in seconds of the average used after a change.
        evidence: logits times seconds that another label needs to be shown.
        min_confidence: smoothed probability below which the label is ``unsure``.
        hold: seconds below it before ``unsure``, unless the label changes.
        leave: margin above `min_confidence` to end ``unsure``.
    """

    seconds: float = 4.0
    quick: float = 0.07
    evidence: float = 0.15
    min_confidence: float = 0.35
    hold: float = 1.0
    leave: float = 0.15


_ARRAYS = ("slow", "quick", "usual", "recent", "evidence")
_NONE: NDArray[np.float64] = np.zeros(0)


class Smoother:
    """The smoothed label of one face.

    Args:
        labels: in the order of the probabilities.
        settings: for smoothing.

    Attributes:
        label: a label or ``unsure``, to show.
        since: time in seconds since which it is shown.
    """

    def __init__(self, labels: Sequence[str], settings: Smoothing) -> None:
        self._labels, self._settings = labels, settings
        # Averages of the logits and of the roots of the probabilities; empty before the first frame.
        self._slow = self._quick = self._usual = self._recent = _NONE
        self._evidence = np.zeros(len(labels))
        self._time = self._age = self._below = self.since = 0.0
        self._current = 0
        self.label = UNSURE

    @property
    def steady(self) -> str:
        """The current label, also while ``unsure`` is shown."""
        return self._labels[self._current]

    @property
    def probabilities(self) -> dict[str, float]:
        """The smoothed probability of each label; they sum to 1. Only after the first `add`."""
        return dict(zip(self._labels, softmax(self._slow[None])[0].tolist(), strict=True))

    def add(self, probabilities: dict[str, float], time: float) -> None:
        """Add the prediction of one frame.

        Args:
            probabilities: of each label in this frame.
            time: of the frame in seconds; never less than the one before.
        """
        values = np.array([probabilities[label] for label in self._labels])
        logits, roots = np.log(np.maximum(values, _MIN_PROBABILITY)), np.sqrt(values)
        seconds = min(max(0.0, time - self._time), _MAX_SECONDS)
        changed = True
        if not len(self._slow):
            self._current, self.since, seconds = int(logits.argmax()), time, 0.0
            self._quick = logits
            self._begin(roots)
        else:
            changed = self._follow(logits, roots, seconds)
        self._time = time
        label = self._judged(softmax(self._slow[None])[0][self._current], changed, seconds)
        if label != self.label:
            self.label, self.since = label, time

    def _begin(self, roots: NDArray[np.float64]) -> None:
        """Reset the averages to the most recent predictions."""
        self._slow, self._age = self._quick, self._settings.quick
        self._usual = self._recent = roots

    def _follow(self, logits: NDArray[np.float64], roots: NDArray[np.float64], seconds: float) -> bool:
        """Add a frame after some seconds; return whether the label changes."""
        self._age += seconds
        self._quick = _toward(self._quick, logits, _share(seconds, self._settings.quick))
        self._recent = _toward(self._recent, roots, _share(seconds, _RECENT))
        distance = float(np.linalg.norm(self._recent - self._usual))
        # A plain mean at first, so that the first frames do not weigh more than others.
        share = max(_share(seconds, self._settings.seconds), min(1.0, seconds / self._age))
        self._slow = _toward(self._slow, logits, share)
        self._usual = _toward(self._usual, roots, share)
        ahead = np.clip(logits - logits[self._current], -_MAX_AHEAD, _MAX_AHEAD) - _DRIFT
        ahead = np.where(ahead > 0, ahead * min(_MAX_WEIGHT, (distance / _FAR) ** 3), ahead)
        self._evidence = np.maximum(0.0, self._evidence + ahead * min(seconds, _MAX_FRAME))
        best = int(self._evidence.argmax())
        if self._evidence[best] > self._settings.evidence:
            self._begin(np.sqrt(softmax(self._quick[None])[0]))
        else:
            best = int(self._slow.argmax())
            if self._slow[best] - self._slow[self._current] <= _MARGIN:
                return False
        self._current, self._evidence = best, np.zeros(len(logits))
        return True

    def _judged(self, confidence: float, changed: bool, seconds: float) -> str:
        """Return the steady label or ``unsure``, after a frame of some seconds."""
        bound = self._settings.min_confidence
        self._below = 0.0 if confidence >= bound else self._below + seconds
        if self.label == UNSURE and not changed:
            return self.steady if confidence >= bound + self._settings.leave else UNSURE
        if confidence >= bound or not (changed or self._below > self._settings.hold):
            return self.steady
        return UNSURE

    def state(self) -> dict[str, Any]:
        """Return the state after a frame, as plain JSON values."""
        return {
            **{name: getattr(self, f"_{name}").tolist() for name in _ARRAYS},
            "time": self._time,
            "age": self._age,
            "below": self._below,
            "current": self._current,
            "label": self.label,
            "since": self.since,
        }

    @classmethod
    def restored(cls, labels: Sequence[str], settings: Smoothing, state: dict[str, Any]) -> Smoother:
        """Restore a smoother from its `state`.

        Raises:
            KeyError, TypeError, ValueError: it is not such a state.
        """
        smoother = cls(labels, settings)
        arrays = [np.array(state[name], np.float64) for name in _ARRAYS]
        smoother._slow, smoother._quick, smoother._usual, smoother._recent, smoother._evidence = arrays
        smoother._time, smoother._age, smoother._below = (float(state[name]) for name in ("time", "age", "below"))
        smoother._current = int(state["current"])
        smoother.label, smoother.since = str(state["label"]), float(state["since"])
        numbers = (smoother._time, smoother._age, smoother._below, smoother.since)
        if (
            any(array.shape != (len(labels),) for array in arrays)
            or not all(np.isfinite(array).all() for array in arrays)
            or not all(map(math.isfinite, numbers))
            or not 0 <= smoother._current < len(labels)
            or smoother.label not in (*labels, UNSURE)
        ):
            raise ValueError("this is not the state of a smoother with these labels")
        return smoother


def _share(seconds: float, constant: float) -> float:
    """Return the update weight of an exponential average with a time constant after some seconds."""
    return 1 - math.exp(-seconds / constant)


def _toward(average: NDArray[np.float64], values: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = average + share * (values - average)
    return moved
