"""A detected face, `Face`, and the interface of detectors, `Detector`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Landmarks = tuple[tuple[float, float], ...]


class Box(NamedTuple):
    """A rectangle in whole pixels, within the picture."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Face:
    """A detected face. Positions are in pixels of the picture, origin at the top left corner.

    Attributes:
        x, y: centre of the face.
        width, height: of its upright bounding box.
        score: the detector's confidence, 0 to 1; None if it has none.
        landmarks: (x, y) of the eyes, the tip of the nose and the corners of the mouth, the one further left in the
            picture first. Empty if the detector has none.
        roll: clockwise rotation of the face in degrees; 0 if the detector does not report it.
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
        """Size of the face: the longer side of its box."""
        return max(self.width, self.height)

    @property
    def crop_side(self) -> float:
        """Side of the square to classify: two thirds of the box's longer side and one third of its shorter side.

        The height of YuNet's boxes varies more than the framing of FER2013's faces. A square on the longer side costs
        accuracy where it shows much background; one a tenth too small costs little (benchmarks/faces/framing.py).
        """
        return (2 * self.side + min(self.width, self.height)) / 3

    @property
    def rank(self) -> float:
        """Score times size, the sort key: a large uncertain face comes after a large certain one."""
        return self.side * (1.0 if self.score is None else self.score)

    def box(self, picture: NDArray[np.uint8]) -> Box:
        """Return the square to classify, clipped to the picture."""
        height, width = picture.shape[:2]
        left, right = (min(max(round(self.x + sign * self.crop_side / 2), 0), width) for sign in (-1, 1))
        top, bottom = (min(max(round(self.y + sign * self.crop_side / 2), 0), height) for sign in (-1, 1))
        left, top = min(left, width - 1), min(top, height - 1)
        return Box(left, top, max(1, right - left), max(1, bottom - top))


class Detector(Protocol):
    """Finds faces. `find` is thread-safe.

    Attributes:
        title: name with file or version, e.g. ``YuNet (yunet_s_dynamic.onnx)``.
    """

    title: str

    def find(self, picture: NDArray[np.uint8], min_face: int | None = None) -> list[Face]:
        """Return the faces of a picture, sorted by `Face.rank`, highest first.

        Args:
            picture: uint8, (H, W) grey or (H, W, 3) RGB.
            min_face: smallest face to find, side in pixels; by default a share of the picture's longer side.
        """


def roll(landmarks: Landmarks) -> float:
    """Return the clockwise rotation of a face in degrees, -180 to 180.

    The vector from left to right eye and the vector from eyes to mouth, turned by 90 degrees, are added. Their lengths
    act as weights, so the eyes of a face in profile, which are close together, count little.
    """
    eye, other, _, corner, opposite = (complex(*point) for point in landmarks)
    down = (corner + opposite) / 2 - (eye + other) / 2
    across = (other - eye) + down * -1j
    return math.degrees(math.atan2(across.imag, across.real))
