"""OpenCV's cascade for frontal faces (Viola and Jones 2001), for machines with OpenCV 4 and without YuNet."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import MissingExtra, MissingRequirement
from edgefer.faces.face import Face

_MAX_SIDE = 1024  # maximum side that is searched: time grows with the pixels
_MIN_SHARE = 1 / 20  # minimum face / shorter side: smaller faces are blurs at this size
_LEAST = 24  # pixels, the cascade's native size
_NEIGHBOURS = 5  # overlapping detections required for a face


class Cascade:
    """OpenCV's cascade, loaded once. Thread-safe, one picture at a time. Its faces have no score.

    Raises:
        MissingExtra: OpenCV is not installed, or is a version (5.0 and later) without cascades.
        MissingRequirement: OpenCV is installed but does not load.
    """

    title = "OpenCV's cascade"

    def __init__(self) -> None:
        try:
            import cv2
            import cv2.data

            self._cv2 = cv2
            self._cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")
        except (ModuleNotFoundError, AttributeError):
            raise MissingExtra("opencv-python-headless", "cascade") from None
        except ImportError as error:
            remedy = "pip install --force-reinstall 'edgefer[cascade]'"
            raise MissingRequirement(f"OpenCV does not load ({error}); {remedy}") from None
        self._one_at_a_time = Lock()  # the cascade stores the current picture, so concurrent calls would interfere
        if self._cascade.empty():
            raise MissingRequirement(
                "OpenCV's cascade for faces is missing; pip install --force-reinstall 'edgefer[cascade]'"
            )

    def find(self, picture: NDArray[np.uint8], min_face: int | None = None) -> list[Face]:
        """Return the faces of a picture, largest first; see `edgefer.faces.face.Detector`."""
        grey = picture if picture.ndim == 2 else self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY)
        shrink = max(1.0, max(grey.shape) / _MAX_SIDE)
        if shrink > 1:
            size = (max(1, round(grey.shape[1] / shrink)), max(1, round(grey.shape[0] / shrink)))
            grey = self._cv2.resize(grey, size, interpolation=self._cv2.INTER_AREA)
        least = round(min_face / shrink) if min_face else round(min(grey.shape) * _MIN_SHARE)
        least = max(_LEAST, least)
        with self._one_at_a_time:
            found = self._cascade.detectMultiScale(
                grey, scaleFactor=1.1, minNeighbors=_NEIGHBOURS, minSize=(least, least)
            )
        boxes = [[float(value) * shrink for value in box] for box in found]
        faces = [Face(left + width / 2, top + height / 2, width, height) for left, top, width, height in boxes]
        return sorted(faces, key=lambda face: -face.rank)
