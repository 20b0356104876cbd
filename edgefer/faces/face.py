"""What a detector says of a picture: `Face`, and the interface `Detector` that gives them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Landmarks = tuple[tuple[float, float], ...]


class Box(NamedTuple):
    """A rectangle in whole pixels of the picture, within it."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Face:
    """A face that was found. All positions are in pixels of the picture, (0, 0) at the top left corner.

    Attributes:
        x, y: middle of the face.
        width, height: of the upright rectangle around it.
        score: how sure the detector is, 0 to 1; None of a detector that does not say.
        landmarks: (x, y) of the eyes, the tip of the nose and the corners of the mouth; what is left in the picture
            comes first. Empty of a detector that finds none.
        roll: degrees that the face is turned clockwise in the picture; 0 of a detector that does not say.
    """

    x: float
    y: float
    width: float
    height: float
    score: float | None = None
    landmarks: Landmarks = ()
    roll: float = 0.0

    @property
    def side(self) -> float:
        """Side of the square that is judged: the longer side, which benchmarks/faces/faces.py measured to be best."""
        return max(self.width, self.height)

    @property
    def rank(self) -> float:
        """Score times size: faces are sorted by it, so that a large doubtful one comes behind a large sure one."""
        return self.side * (1.0 if self.score is None else self.score)

    def box(self, picture: NDArray[np.uint8]) -> Box:
        """Return the square that is judged, cut to the picture."""
        height, width = picture.shape[:2]
        left, right = (min(max(round(self.x + sign * self.side / 2), 0), width) for sign in (-1, 1))
        top, bottom = (min(max(round(self.y + sign * self.side / 2), 0), height) for sign in (-1, 1))
        left, top = min(left, width - 1), min(top, height - 1)
        return Box(left, top, max(1, right - left), max(1, bottom - top))


class Detector(Protocol):
    """Finds faces. Any thread may call `find`, several at once too.

    Attributes:
        title: what a person calls it, with the file or version it is: ``YuNet (yunet_s_dynamic.onnx)``.
    """

    title: str

    def find(self, picture: NDArray[np.uint8], min_face: int | None = None) -> list[Face]:
        """Return the faces of a picture, the one with the highest `Face.rank` first.

        Args:
            picture: uint8, (H, W) grey or (H, W, 3) RGB.
            min_face: side in pixels of the smallest face to look for; by default a share of the picture's longer side.
        """


def roll(landmarks: Landmarks) -> float:
    """Return the degrees that a face is turned clockwise, -180 to 180.

    The direction from left eye to right eye and the one from eyes to mouth, a quarter turn on, are added up: their
    lengths weigh them, so that the eyes of a face in profile, which are close together, decide little.
    """
    eye, other, _, corner, opposite = (complex(*point) for point in landmarks)
    down = (corner + opposite) / 2 - (eye + other) / 2
    across = (other - eye) + down * -1j
    return math.degrees(math.atan2(across.imag, across.real))
