"""Results of a live source: `Face`, `Frame` and `Figures`, and the `Change` from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgefer.faces.face import Box


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame.

    Attributes:
        track: number of the face. Constant while the face is tracked, and never reused.
        box: square around the face in pixels, clipped to the frame.
        score: the detector's confidence, 0 to 1; None if it has none.
        roll: rotation in degrees, clockwise.
        label: the steady label to show, or ``unsure``.
        confidence: smoothed probability of the steady label, 0 to 1, also where `label` is ``unsure``.
        probabilities: by label, smoothed over time; they sum to 1.
        raw: most probable label of only this frame.
        raw_confidence: its probability in this frame, 0 to 1.
        notes: reasons for lower trust: ``small``, ``profile``, ``occluded``.
        since: `Frame.time` since which `label` is shown.
    """

    track: int
    box: Box
    score: float | None
    roll: float
    label: str
    confidence: float
    probabilities: dict[str, float]
    raw: str
    raw_confidence: float
    notes: tuple[str, ...] = ()
    since: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "track": self.track,
            "box": self.box._asdict(),
            "score": None if self.score is None else round(self.score, 4),
            "roll": round(self.roll, 1),
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "probabilities": {label: round(value, 4) for label, value in self.probabilities.items()},
            "raw": self.raw,
            "raw_confidence": round(self.raw_confidence, 4),
            "notes": list(self.notes),
            "since": round(self.since, 3),
        }


@dataclass(frozen=True)
class Frame:
    """Result of one frame.

    Attributes:
        index: number of the frame in its source, from 0. Gaps are dropped frames.
        time: capture time in seconds since the first frame: when the frame arrived, or in a file its own time.
        captured_at: seconds since 1970 at which the frame arrived here.
        width: of the frame in pixels.
        height: of the frame in pixels.
        faces: by `Face.track`.
        latency_ms: milliseconds from the frame's arrival to this answer.
    """

    index: int
    time: float
    captured_at: float
    width: int
    height: int
    faces: tuple[TrackedFace, ...]
    latency_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "frame": self.index,
            "time": round(self.time, 3),
            "captured_at": round(self.captured_at, 3),
            "width": self.width,
            "height": self.height,
            "latency_ms": round(self.latency_ms, 2),
            "faces": [face.as_dict() for face in self.faces],
        }


@dataclass(frozen=True)
class Figures:
    """Throughput and latency of a live source, over the last ten seconds.

    Attributes:
        fps_in: arriving frames per second.
        fps_judged: processed frames per second.
        p50_ms: median milliseconds from a frame's arrival to its result; None before the first.
        p99_ms: 99th percentile of the same.
        captured: frames received since the start.
        judged: frames processed since the start.
        dropped: frames replaced by a newer one, since the start.
        queue: waiting frames: 0 or 1.
        faces: in the newest frame.
        connected: whether frames are arriving; False while reconnecting.
        reconnects: number of reconnections.
    """

    fps_in: float
    fps_judged: float
    p50_ms: float | None
    p99_ms: float | None
    captured: int
    judged: int
    dropped: int
    queue: int
    faces: int
    connected: bool
    reconnects: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class FaceChange:
    """A change in a frame: a face appeared, changed its label, or left.

    Attributes:
        kind: ``appeared``, ``changed`` or ``left``.
        frame: `Frame.index` of its frame.
        time: its `Frame.time`.
        captured_at: its `Frame.captured_at`.
        face: current state; last state for one that left.
        before: the previous label; None for a new face.
    """

    kind: Literal["appeared", "changed", "left"]
    frame: int
    time: float
    captured_at: float
    face: TrackedFace
    before: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "event": self.kind,
            "frame": self.frame,
            "time": round(self.time, 3),
            "captured_at": round(self.captured_at, 3),
            "before": self.before,
            **self.face.as_dict(),
        }


def changes(before: Frame | None, now: Frame) -> Iterator[FaceChange]:
    """Yield the changes between two frames, not necessarily adjacent: first faces that left, then by track.

    Args:
        before: None at the start.
        now: the later frame.
    """
    old = {face.track: face for face in before.faces} if before else {}
    new = {face.track: face for face in now.faces}
    where = (now.index, now.time, now.captured_at)
    for track, face in old.items():
        if track not in new:
            yield FaceChange("left", *where, face, face.label)
    for track, face in new.items():
        if track not in old:
            yield FaceChange("appeared", *where, face)
        elif face.label != old[track].label:
            yield FaceChange("changed", *where, face, old[track].label)
