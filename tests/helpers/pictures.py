"""Pictures with faces of FER2013 at known places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgefer import data


def happy(fer2013: Path, number: int = 8) -> np.ndarray:
    """Return PublicTest faces that look into the camera, uint8, (n, 48, 48)."""
    val = data.split(data.load(fer2013), "val")
    return val.take(np.flatnonzero(val.labels == 3)[:number])


def lay(
    placed: list[tuple[np.ndarray, int, int, int]], size: tuple[int, int] = (640, 480), roll: float = 0.0
) -> np.ndarray:
    """Return a grey picture with faces, each (face, left, top, side), rotated clockwise by `roll` degrees."""
    picture = Image.new("L", size, 110)
    for face, left, top, side in placed:
        patch = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        mask = Image.new("L", patch.size, 255).rotate(-roll, expand=True)
        picture.paste(patch.rotate(-roll, Image.Resampling.BICUBIC, expand=True), (left, top), mask)
    return np.asarray(picture)
