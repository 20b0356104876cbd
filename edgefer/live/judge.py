"""One frame after another to faces with steady labels: detect now and then, follow, judge, smooth."""

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

_WHOLE = 640  # longest side at which the detector looks at a frame as a whole
_SMALLEST = 48  # pixels at that size
_LOOK = 0.5  # seconds after which faces are looked for again: less than a track is shown without being seen


@dataclass(frozen=True)
class JudgeSettings:
    """How frames are judged.

    Attributes:
        every: faces are looked for in every n-th frame, and followed between. Where that is less often than every half
            second, in each frame half a second after the last look.
        min_face: side in pixels of the smallest face to look for; by default 48, of frames over 640 pixels more, so
            that a frame is looked at once and not in tiles.
        smoothing: of the answers over time.
    """

    every: int = 3
    min_face: int | None = None
    smoothing: Smoothing = field(default_factory=Smoothing)


class Judge:
    """Judges the frames of one source, in order. Not for several threads.

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
        self._frames = self._settings.every  # since faces were looked for
        self._looked = 0.0  # time of the frame in which they were

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
        # A face that the detector missed is not judged: there may be a hand, or nothing.
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
        """How many faces there have been."""
        return self._tracker.numbered

    def state(self) -> dict[str, Any]:
        """Return all that this judge knows, as plain JSON values, for `restore`."""
        return {
            "frames": self._frames,
            "looked": self._looked,
            "found": sorted(self._found),
            "tracker": self._tracker.state(),
            "smoothers": [[number, each.state()] for number, each in self._smoothers.items()],
            "last": [[number, each.label, each.probabilities] for number, each in self._last.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the judge whose `state` this is.

        Raises:
            KeyError, TypeError, ValueError: it is no such state; the judge is as it was.
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
