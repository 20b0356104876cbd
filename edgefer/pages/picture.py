"""Pixels inside a page: an address that is the picture itself."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def address(pixels: NDArray[np.uint8], side: int | None = None) -> str:
    """Return ``data:image/png;base64,...``.

    Args:
        pixels: uint8, (H, W) grey, (H, W, 3) RGB or (H, W, 4) with opacity.
        side: largest width and height; a larger picture is made smaller.
    """
    picture = Image.fromarray(pixels)
    if side is not None:
        picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
