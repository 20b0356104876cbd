"""Reasons to trust a prediction less, from a face's size, score and landmarks."""

from __future__ import annotations

import math

from edgefer.faces.face import Face

SMALL = "small"
PROFILE = "profile"
OCCLUDED = "occluded"
SMALL_SIDE = 32  # pixels
_CLEAR = 0.88  # below this score of YuNet, a face is more likely occluded than not; chosen on PublicTest
_PROFILE_TURN = 0.35  # offset of the nose from the centre line / distance between eyes and mouth


def of(face: Face) -> tuple[str, ...]:
    """Return which of ``small``, ``profile`` and ``occluded`` apply; benchmarks/faces/faces.py has their effect.

    ``occluded`` is based only on the score, so it also flags some blurred or dark faces.
    """
    found = []
    if face.side < SMALL_SIDE:
        found.append(SMALL)
    if face.landmarks and turn(face) > _PROFILE_TURN:
        found.append(PROFILE)
    if face.score is not None and face.score < _CLEAR:
        found.append(OCCLUDED)
    return tuple(found)


def turn(face: Face) -> float:
    """Return the distance of the nose from the line between eye and mouth centres, over that line's length.

    It grows with the head's yaw and does not depend on roll. 0 without landmarks.
    """
    if not face.landmarks:
        return 0.0
    eye, other, nose, corner, opposite = (complex(*point) for point in face.landmarks)
    top, bottom = (eye + other) / 2, (corner + opposite) / 2
    line = bottom - top
    length = abs(line)
    if length == 0:
        return math.inf
    return abs(((nose - top) * line.conjugate()).imag) / length**2
