"""Pixel coverage of shapes, for many pictures at once, to draw the synthetic faces.

Coordinates `u` (to the right) and `v` (down) are float32 of shape (n, H, W), measured from the shape's middle. Sizes
are numbers or float32 of shape (n, 1, 1). Covers are between 0 and 1; edges are soft over the width of a `PIXEL`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 48
PIXEL = np.float32(2 / SIDE).item()  # a picture is 2 wide and 2 high

Array = NDArray[Any]  # float32: numpy's own types lose that in products with numbers
Size = Array | float


def paint(image: Array, cover: Array, shade: Size) -> None:
    """Blend `shade` into the image in place, with alpha `cover`."""
    image += cover * (shade - image)


def step(inside: Array, soft: Size = PIXEL) -> Array:
    """Return 1 where `inside`, a signed distance, is well above 0, 0 well below, and a ramp `soft` wide between."""
    cover: Array = np.clip(inside / soft + np.float32(0.5), 0, 1)
    return cover


def line(distance: Array, thickness: Size) -> Array:
    """Return the cover of a line that is `thickness` to either side of where `distance` is 0."""
    return step(distance + thickness) - step(distance - thickness)


def stroke(u: Array, v: Array, width: Size, lift: Size, thickness: Size) -> Array:
    """Return the cover of a parabola from (-width, -lift) by (0, 0) to (width, -lift)."""
    a = u / width
    return line(v + lift * a * a, thickness) * step(width - np.abs(u))


def ellipse(u: Array, v: Array, width: Size, height: Size, soft: Size = PIXEL) -> Array:
    """Return the cover of an ellipse with these half axes, by the distance f / |grad f| (Taubin, PAMI 1991)."""
    a, b = u / width, v / height
    p, q = a / width, b / height
    slope = np.sqrt(p * p + q * q) + np.float32(1e-6)
    return step((1 - a * a - b * b) / (2 * slope), soft)


def spot(u: Array, v: Array, width: Size, height: Size) -> Array:
    """Return a soft spot: 1 in the middle, 0 from the ellipse with these half axes on."""
    a, b = u / width, v / height
    near: Array = np.maximum(1 - a * a - b * b, 0)
    return near * near


def lens(u: Array, v: Array, width: Size, lift: Size, above: Size, below: Size, roundness: Size = 0.0) -> Array:
    """Return the cover between two arches that meet at the corners (-width, -lift) and (width, -lift).

    In the middle the upper one stands `above` over (0, 0) and the lower one `below` under it. They are parabolas where
    `roundness` is 0 and halves of ellipses where it is 1.
    """
    a = u / width
    arch = 1 - a * a
    bent = v + lift * a * a
    arch = arch + roundness * (np.sqrt(np.maximum(arch, 0)) - arch)
    cover: Array = np.maximum(step(below * arch - bent) - step(-above * arch - bent), 0)
    return cover
