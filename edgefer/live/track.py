"""Tracks faces between frames by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgefer.faces.face import Face

_OVERLAP = 0.25  # intersection over union for the same face: people move between detections
_SHOWN = 0.6  # seconds that a missed face is kept: occlusion, a blurred frame
_KEPT = 3.0  # seconds after which a face at the same place is a new one


@dataclass
class Track:
    """One face over time.

    Attributes:
        number: never used again.
        face: last detection.
        seen: its time in seconds.
    """

    number: int
    face: Face
    seen: float


class Tracker:
    """Gives each face a number that is constant across frames."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next = 1

    def update(self, faces: Sequence[Face], time: float) -> None:
        """Update with the detections at `time` in seconds. Pairs with the largest overlap are matched first."""
        self._tracks = [track for track in self._tracks if time - track.seen <= _KEPT]
        pairs = sorted(
            ((overlap(track.face, face), number, track) for track in self._tracks for number, face in enumerate(faces)),
            key=lambda pair: -pair[0],
        )
        matched: dict[int, Track] = {}
        taken: set[int] = set()
        for shared, number, track in pairs:
            if shared >= _OVERLAP and number not in matched and track.number not in taken:
                matched[number] = track
                taken.add(track.number)
        for number, face in enumerate(faces):
            if number in matched:
                matched[number].face, matched[number].seen = face, time
            else:
                self._tracks.append(Track(self._next, face, time))
                self._next += 1

    def shown(self, time: float) -> list[Track]:
        """Return the faces that are in the picture at `time` in seconds, by number."""
        return sorted((track for track in self._tracks if time - track.seen <= _SHOWN), key=lambda track: track.number)

    @property
    def numbered(self) -> int:
        """Number of faces so far."""
        return self._next - 1

    def state(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return {"next": self._next, "tracks": [asdict(track) for track in self._tracks]}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Tracker:
        """Restore a tracker from its `state`.

        Raises:
            KeyError, TypeError, ValueError: it is not such a state.
        """
        tracker = cls()
        tracker._next = int(state["next"])
        for track in state["tracks"]:
            face = {**track["face"], "landmarks": tuple((x, y) for x, y in track["face"]["landmarks"])}
            tracker._tracks.append(Track(int(track["number"]), Face(**face), float(track["seen"])))
        return tracker

    def known(self) -> set[int]:
        """Return the numbers of the faces that may still come back."""
        return {track.number for track in self._tracks}


def overlap(face: Face, other: Face) -> float:
    """Return the intersection over union of the squares around two faces."""
    across, down = (
        max(0.0, min(at + face.side / 2, there + other.side / 2) - max(at - face.side / 2, there - other.side / 2))
        for at, there in ((face.x, other.x), (face.y, other.y))
    )
    shared = across * down
    return shared / (face.side**2 + other.side**2 - shared)
