"""What is said of a live picture: `Face`, `Frame` and `Figures`, and the `Change` from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgefer.faces.face import Box


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame.

    Attributes:
        track: number of the face. It stays the same from frame to frame while the face is followed, and is never used
            again.
        box: square around the face in pixels of the frame, cut to the frame.
        score: how sure the detector is that this is a face, 0 to 1; None of a detector that does not say.
        roll: degrees that the face is turned clockwise.
        label: what to show: the steady label, or ``unsure``.
        confidence: smoothed probability of the steady label, 0 to 1, also where `label` is ``unsure``.
        probabilities: of each class by label, smoothed over time; they add up to 1.
        raw: most probable label of this frame alone.
        raw_confidence: its probability in this frame alone, 0 to 1.
        notes: what lowers the trust in the answer: ``small``, ``profile``, ``occluded``.
        since: time in seconds, as `Frame.time` has it, since which `label` has been shown.
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
    """What was found in one frame.

    Attributes:
        index: number of the frame in its source, from 0. A gap is frames that were dropped.
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
    """How a live picture keeps up. Rates and latencies are those of the last ten seconds.

    Attributes:
        fps_in: frames a second that arrived.
        fps_judged: frames a second that were answered.
        p50_ms: median milliseconds from a frame's arrival to its answer; None before the first.
        p99_ms: 99th percentile of the same.
        captured: frames that arrived since the start.
        judged: frames that were answered since the start.
        dropped: frames that a newer one replaced before they were looked at, since the start.
        queue: frames that wait now: 0 or 1.
        faces: in the newest frame.
        connected: whether frames come now; False while a lost source is tried again.
        reconnects: how often a lost source came back.
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
    """What is different in a frame: a face came, shows another label, or left.

    Attributes:
        kind: ``appeared``, ``changed`` or ``left``.
        frame: `Frame.index` of the frame in which it was seen.
        time: `Frame.time` of it.
        captured_at: `Frame.captured_at` of it.
        face: as it is now; of one that left as it was last.
        before: the label until now; None of a face that appeared.
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
    """Yield what is different between two frames, which need not be neighbours: first who left, then by track.

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
