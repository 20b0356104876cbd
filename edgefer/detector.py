"""Where the faces in a picture are, by OpenCV's cascade (Viola and Jones 2001).

FER2013's own images were cut out by such a cascade: its box is what a network trained on them expects.
"""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import LackError, MissingExtra

LEAST_SIDE = 64  # of a picture: a smaller one holds no face and its surroundings
_MOST_SIDE = 1024  # of what is searched: the time grows with the pixels
_LEAST_SHARE = 1 / 20  # of the shorter side: smaller faces are blurs at this size
_NEIGHBOURS = 5  # overlapping hits that make a face


class Box(NamedTuple):
    """A square around a face, in pixels of the picture."""

    left: int
    top: int
    width: int
    height: int


class Detector:
    """OpenCV's cascade for frontal faces, read once. Threads may share it; it takes one picture after another."""

    def __init__(self) -> None:
        """Read the cascade.

        Raises:
            MissingExtra: OpenCV is not installed, or one (5.0 and later) without its cascades.
            LackError: it is installed and does not load.
        """
        try:
            import cv2
            import cv2.data

            self._cv2 = cv2
            self._cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")
        except (ModuleNotFoundError, AttributeError):
            raise MissingExtra("opencv-python-headless", "faces") from None
        except ImportError as error:
            raise LackError(f"OpenCV does not load ({error}); pip install --force-reinstall 'edgefer[faces]'") from None
        self._one_at_a_time = Lock()  # the cascade keeps the picture that it searches, so two at once spoil each other
        if self._cascade.empty():
            raise LackError("OpenCV's cascade for faces is missing; pip install --force-reinstall 'edgefer[faces]'")

    def find(self, picture: NDArray[np.uint8]) -> list[Box]:
        """Return the faces of a picture, the largest first.

        Args:
            picture: uint8, (H, W) grey or (H, W, 3) RGB.
        """
        grey = picture if picture.ndim == 2 else self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY)
        shrink = max(1.0, max(grey.shape) / _MOST_SIDE)
        if shrink > 1:
            size = (max(1, round(grey.shape[1] / shrink)), max(1, round(grey.shape[0] / shrink)))
            grey = self._cv2.resize(grey, size, interpolation=self._cv2.INTER_AREA)
        least = max(24, round(min(grey.shape) * _LEAST_SHARE))
        with self._one_at_a_time:
            found = self._cascade.detectMultiScale(
                grey, scaleFactor=1.1, minNeighbors=_NEIGHBOURS, minSize=(least, least)
            )
        boxes = [_inside([round(float(value) * shrink) for value in box], picture) for box in found]
        return sorted(boxes, key=lambda box: -box.width * box.height)


def _inside(box: list[int], picture: NDArray[np.uint8]) -> Box:
    height, width = picture.shape[:2]
    left, top = min(box[0], width - 1), min(box[1], height - 1)
    return Box(left, top, min(box[2], width - left), min(box[3], height - top))
