"""Crop the square around a face and turn it upright."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.faces.face import Face

LEVEL = 10.0  # degrees; landmarks are off by a few, and rotation blurs
_LARGEST = 256  # maximum side in pixels of a rotated crop: networks take 40 to 100


def of(picture: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
    """Return a network's input for a face: the square around its middle, turned upright from 10 degrees on."""
    return square(picture, face.x, face.y, face.crop_side, turn(face))


def turn(face: Face) -> float:
    """Return the clockwise rotation in degrees that is undone before a face is classified: none up to 10 degrees."""
    return face.roll if abs(face.roll) > LEVEL else 0.0


def square(
    picture: NDArray[np.uint8], x: float, y: float, side: float, roll: float = 0.0, size: int | None = None
) -> NDArray[np.uint8]:
    """Return a square of a picture. Beyond the picture, edge pixels are repeated.

    Args:
        picture: uint8, (H, W) grey or (H, W, 3) RGB.
        x: centre in pixels.
        y: centre in pixels.
        side: of the square in pixels.
        roll: clockwise rotation of the square in degrees, which is undone.
        size: side of the result; by default that of the square, at most 256 if rotated.

    Returns:
        uint8, (size, size) or (size, size, 3).
    """
    side = max(side, 1.0)
    if not roll:
        whole = max(1, round(side))
        part = rectangle(picture, round(x - whole / 2), round(y - whole / 2), whole, whole)
        if size is None or size == whole:
            return part
        return np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0))
    size = size or min(_LARGEST, max(1, round(side)))
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    reach = math.ceil(side / 2 * (abs(cos) + abs(sin))) + 2
    left, top = math.floor(x) - reach, math.floor(y) - reach
    image = Image.fromarray(rectangle(picture, left, top, 2 * reach + 1, 2 * reach + 1))
    x, y = x - left, y - top
    if side > size:  # area averaging first: rotation samples single points
        shrink = size / side
        small = tuple(max(1, round(length * shrink)) for length in image.size)
        x, y, side = x * small[0] / image.width, y * small[1] / image.height, float(size)
        image = image.resize((small[0], small[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    step = side / size
    across, down = cos * step, sin * step
    corner = (x - (across - down) * size / 2, y - (down + across) * size / 2)
    turned = image.transform(
        (size, size),
        Image.Transform.AFFINE,
        (across, -down, corner[0], down, across, corner[1]),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(turned)


def rectangle(picture: NDArray[np.uint8], left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return a rectangle of a picture, which may extend beyond its edge."""
    high, wide = picture.shape[:2]
    if left >= 0 and top >= 0 and left + width <= wide and top + height <= high:
        return np.ascontiguousarray(picture[top : top + height, left : left + width])
    rows = np.clip(np.arange(top, top + height), 0, high - 1)
    columns = np.clip(np.arange(left, left + width), 0, wide - 1)
    return picture[np.ix_(rows, columns)]
