"""Pictures with known faces: faces of a data set pasted onto photographs without any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SIZE = (640, 480)
# The photographs without faces in the wheels of scikit-image and scikit-learn.
_PHOTOGRAPHS = {
    "skimage": [
        "data/coffee.png",
        "data/motorcycle_left.png",
        "data/rocket.jpg",
        "data/brick.png",
        "data/grass.png",
        "data/gravel.png",
    ],
    "sklearn": ["datasets/images/china.jpg", "datasets/images/flower.jpg"],
}
_TINTS = ((255, 220, 195), (255, 205, 170), (240, 190, 155), (225, 170, 130))  # the new value of white


@dataclass(frozen=True)
class Composite:
    """A picture with one face.

    Attributes:
        picture: uint8, (H, W, 3) RGB.
        square: (x, y, side) of the face's image before rotation: center and side, in pixels.
        roll: clockwise rotation in degrees.
        row: of the face in its split.
    """

    picture: NDArray[np.uint8]
    square: tuple[float, float, float]
    roll: float
    row: int


def photographs(folder: Path | None = None) -> dict[str, Image.Image]:
    """Return the RGB photographs by name.

    Args:
        folder: where scikit-image's wheel is unpacked, if it is not installed.
    """
    found = {}
    for package, names in _PHOTOGRAPHS.items():
        spec = util.find_spec(package)
        place = folder / package if package == "skimage" and folder else None
        if place is None:
            if spec is None or spec.origin is None:
                raise SystemExit(f"{package} is not installed: pip install scikit-image scikit-learn, or --skimage")
            place = Path(spec.origin).parent
        for name in names:
            with Image.open(place / name) as image:
                found[f"{package}/{name}"] = image.convert("RGB")
    return found


def ground(photos: Sequence[Image.Image], size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """Return a random crop of a random photograph, possibly mirrored, enlarged at most three times."""
    photo = photos[int(random.integers(len(photos)))]
    width, height = size
    largest = min(photo.width / width, photo.height / height)
    scale = random.uniform(max(min(1 / 3, largest), largest / 4), largest)
    part = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (int(random.integers(have - want + 1)) for have, want in zip(photo.size, part, strict=True))
    taken: Image.Image = photo.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + part[0], top + part[1]))
    return taken.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else taken


def composites(
    faces: NDArray[np.uint8],
    photos: Sequence[Image.Image],
    seed: int,
    sides: tuple[int, int] = (60, 250),
    rolls: tuple[float, float] = (-15, 15),
    size: tuple[int, int] = SIZE,
) -> Iterator[Composite]:
    """Yield one picture per face; every second face is tinted.

    Args:
        faces: uint8, (N, 48, 48).
        photos: from `photographs`.
        seed: for side, roll, position, background and tint.
        sides: of the face's image, in pixels.
        rolls: degrees clockwise.
        size: width and height of the pictures.
    """
    random = np.random.default_rng(seed)
    for row, face in enumerate(faces):
        side, roll = int(random.integers(sides[0], sides[1] + 1)), float(random.uniform(*rolls))
        picture = ground(photos, size, random)
        patch = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        if random.random() < 0.5:
            tint = np.array(_TINTS[random.integers(len(_TINTS))], np.float32) / 255
            coloured = Image.fromarray((np.asarray(patch)[..., None] * tint).astype(np.uint8))
        else:
            coloured = patch.convert("RGB")
        soft = max(1, side // 24)
        mask = Image.new("L", (side, side), 0)
        mask.paste(255, (soft, soft, side - soft, side - soft))
        mask = mask.filter(ImageFilter.GaussianBlur(soft / 2))
        turned = [each.rotate(-roll, Image.Resampling.BICUBIC, expand=True) for each in (coloured, mask)]
        wide, high = turned[0].size
        left, top = (
            int(random.integers(max(1, have - want + 1))) for have, want in zip(size, (wide, high), strict=True)
        )
        picture.paste(turned[0], (left, top), turned[1])
        yield Composite(np.asarray(picture), (left + wide / 2, top + high / 2, float(side)), roll, row)
