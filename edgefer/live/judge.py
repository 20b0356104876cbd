"""From frames to faces with steady labels: detect, track, classify, smooth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer.faces import crop, notes
from edgefer.live.events import TrackedFace
from edgefer.live.smooth import Smoother, Smoothing
from edgefer.live.track import Track, Tracker
from edgefer.predictor import Prediction, Predictor

_WHOLE = 640  # longest side of frames for detection in one pass
_SMALLEST = 48  # pixels at that size
_LOOK = 0.5  # seconds between detections: less than a track's lifetime without a detection


@dataclass(frozen=True)
class JudgeSettings:
    """How frames are processed.

    Attributes:
        every: detect faces in every n-th frame, and track between; at least every half second.
        min_face: side of the smallest face in pixels; by default 48, more in frames over 640 pixels, to avoid tiles.
        smoothing: of the predictions over time.
    """

    every: int = 3
    min_face: int | None = None
    smoothing: Smoothing = field(default_factory=Smoothing)


class Judge:
    """Processes the frames of one source, in order. Not thread-safe.

    Args:
        predictor: from `edgefer.load`.
        settings: how frames are judged.
    """

    def __init__(self, predictor: Predictor, settings: JudgeSettings | None = None) -> None:
        self._predictor, self._settings = predictor, settings or JudgeSettings()
        self._tracker = Tracker()
        self._smoothers: dict[int, Smoother] = {}
        self._last: dict[int, Prediction] = {}
        self._found: set[int] = set()
        self._frames = self._settings.every  # since the last detection
        self._looked = 0.0  # time of that frame

    def faces(self, pixels: NDArray[np.uint8], time: float) -> tuple[TrackedFace, ...]:
        """Return the faces of a frame, by track.

        Args:
            pixels: uint8, (H, W, 3) RGB.
            time: of the frame in seconds; never less than the one before.
        """
        if self._frames >= self._settings.every or time - self._looked >= _LOOK:
            self._detect(pixels, time)
            self._frames, self._looked = 0, time
        self._frames += 1
        shown = self._tracker.shown(time)
        # Do not classify a face that the detector missed: it may be covered or gone.
        judged = [track for track in shown if track.number in self._found]
        predictions = self._predictor.predict([crop.of(pixels, track.face) for track in judged])
        for track, prediction in zip(judged, predictions, strict=True):
            smoother = self._smoothers.get(track.number)
            if smoother is None:
                smoother = Smoother(self._predictor.labels, self._settings.smoothing)
                self._smoothers[track.number] = smoother
            smoother.add(prediction.probabilities, time)
            self._last[track.number] = prediction
        return tuple(self._face(track, pixels) for track in shown if track.number in self._smoothers)

    @property
    def tracks(self) -> int:
        """Number of faces so far."""
        return self._tracker.numbered

    def state(self) -> dict[str, Any]:
        """Return the state as plain JSON values, for `restore`."""
        return {
            "frames": self._frames,
            "looked": self._looked,
            "found": sorted(self._found),
            "tracker": self._tracker.state(),
            "smoothers": [[number, each.state()] for number, each in self._smoothers.items()],
            "last": [[number, each.label, each.probabilities] for number, each in self._last.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a `state`.

        Raises:
            KeyError, TypeError, ValueError: it is not such a state; nothing has changed.
        """
        tracker = Tracker.restored(state["tracker"])
        smoothers = {
            int(number): Smoother.restored(self._predictor.labels, self._settings.smoothing, each)
            for number, each in state["smoothers"]
        }
        last = {int(number): Prediction(label, probabilities, 0.0) for number, label, probabilities in state["last"]}
        frames, looked, found = int(state["frames"]), float(state["looked"]), set(map(int, state["found"]))
        self._tracker, self._smoothers, self._last = tracker, smoothers, last
        self._frames, self._looked, self._found = frames, looked, found

    def _detect(self, pixels: NDArray[np.uint8], time: float) -> None:
        least = self._settings.min_face or max(_SMALLEST, round(max(pixels.shape[:2]) * _SMALLEST / _WHOLE))
        self._tracker.update(self._predictor.start_detector().find(pixels, least), time)
        self._found = {track.number for track in self._tracker.shown(time) if track.seen == time}
        known = self._tracker.known()
        for kept in (self._smoothers, self._last):
            for number in kept.keys() - known:
                del kept[number]

    def _face(self, track: Track, pixels: NDArray[np.uint8]) -> TrackedFace:
        smoother, last = self._smoothers[track.number], self._last[track.number]
        probabilities = smoother.probabilities
        return TrackedFace(
            track=track.number,
            box=track.face.box(pixels),
            score=track.face.score,
            roll=track.face.roll,
            label=smoother.label,
            confidence=probabilities[smoother.steady],
            probabilities=probabilities,
            raw=last.label,
            raw_confidence=last.confidence,
            notes=notes.of(track.face),
            since=smoother.since,
        )
