"""What lowers the trust in an answer, as far as a face's size and landmarks say it."""

from __future__ import annotations

import math

from edgefer.faces.face import Face

SMALL = "small"
PROFILE = "profile"
OCCLUDED = "occluded"
SMALL_SIDE = 32  # pixels
_CLEAR = 0.88  # YuNet's score below which a face is more likely covered than not; chosen on PublicTest
_PROFILE_TURN = 0.35  # of the distance between eyes and mouth that the nose is beside their line


def of(face: Face) -> tuple[str, ...]:
    """Return ``small``, ``profile`` and ``occluded`` where they hold; benchmarks/faces/faces.py has what each costs.

    ``occluded`` goes by the score alone, so it stands on some faces that are blurred or dark, too.
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
    """Return how far the nose is from the line between the middles of eyes and mouth, over that line's length.

    It grows with the angle that the head is turned to the side, and does not depend on roll. 0 without landmarks.
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
