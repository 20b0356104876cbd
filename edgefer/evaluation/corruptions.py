"""Corruptions of pictures by camera, codec or occlusion, in five strengths.

The idea and the choice of five strengths are from Hendrycks & Dietterich, "Benchmarking neural network robustness
to common corruptions and perturbations", ICLR 2019. The values are edgefer's own, for faces of about 48 pixels: a mild
blur at 224 pixels would destroy them. Lengths are shares of the image's side.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edgefer.errors import InputError

STRENGTHS = (1, 2, 3, 4, 5)

Images: TypeAlias = NDArray[np.uint8]
_Change: TypeAlias = Callable[[Images, float, np.random.Generator], Images]


def corrupt(images: Images, kind: str, strength: int, seed: int = 0) -> Images:
    """Return corrupted copies of images, deterministic for images, kind, strength and seed.

    Args:
        images: uint8, (N, H, W) grey or (N, H, W, 3) RGB.
        kind: one of `KINDS`.
        strength: 1 to 5.
        seed: for noise, positions and directions.

    Returns:
        uint8, of the same shape.

    Raises:
        InputError: there is no such kind or strength.
    """
    if kind not in KINDS or strength not in STRENGTHS:
        raise InputError(f"unknown corruption {kind} of strength {strength}; choose from {', '.join(KINDS)}, 1 to 5")
    change, values = KINDS[kind]
    return change(images, values[strength - 1], np.random.default_rng([seed, strength]))


def _blur(images: Images, value: float, random: np.random.Generator) -> Images:
    """Gaussian blur with standard deviation `value`."""
    blurred = ImageFilter.GaussianBlur(value * images.shape[1])
    return _each(images, lambda image: image.filter(blurred))


def _noise(images: Images, value: float, random: np.random.Generator) -> Images:
    """Gaussian noise per value; `value` is its standard deviation as a share of the full range."""
    noisy = images + random.normal(0, 255 * value, images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _jpeg(images: Images, value: float, random: np.random.Generator) -> Images:
    """JPEG at quality `value`."""

    def compressed(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(value))
        return Image.open(buffer)

    return _each(images, compressed)


def _low_light(images: Images, value: float, random: np.random.Generator) -> Images:
    """Scale light by `value` with photon noise: 400 photons at full range, so low light is also noisy."""
    photons = random.poisson(images.astype(np.float64) / 255 * value * _PHOTONS)
    return np.clip(np.rint(photons * 255 / _PHOTONS), 0, 255).astype(np.uint8)


def _occlusion(images: Images, value: float, random: np.random.Generator) -> Images:
    """A grey square of side `value` at a random position."""
    side = max(1, round(value * images.shape[1]))
    places = random.integers(0, images.shape[1] - side + 1, (len(images), 2))
    changed = images.copy()
    for image, (top, left) in zip(changed, places, strict=True):
        image[top : top + side, left : left + side] = 128
    return changed


def _shift(images: Images, value: float, random: np.random.Generator) -> Images:
    """Shift the face by `value` in a random direction; edge pixels are repeated."""
    angles = random.uniform(0, 2 * np.pi, len(images))
    height, width = images.shape[1:3]
    down, right = (np.rint(value * height * turn(angles)).astype(int) for turn in (np.sin, np.cos))
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)
    return np.asarray(images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]])


def _scale(images: Images, value: float, random: np.random.Generator) -> Images:
    """Scale the face to `value` of its size; edge pixels are repeated."""
    height, width = images.shape[1:3]
    small = (max(1, round(value * height)), max(1, round(value * width)))
    shrunk = _each(images, lambda image: image.resize(small[::-1], Image.Resampling.BILINEAR))
    above, beside = (height - small[0]) // 2, (width - small[1]) // 2
    pads = [(0, 0), (above, height - small[0] - above), (beside, width - small[1] - beside)]
    return np.pad(shrunk, [*pads, *([(0, 0)] * (images.ndim - 3))], mode="edge")


_PHOTONS = 400
KINDS: dict[str, tuple[_Change, tuple[float, float, float, float, float]]] = {
    "blur": (_blur, (0.008, 0.016, 0.025, 0.035, 0.05)),
    "noise": (_noise, (0.04, 0.08, 0.12, 0.18, 0.26)),
    "jpeg": (_jpeg, (60, 40, 25, 15, 8)),
    "low light": (_low_light, (0.6, 0.4, 0.25, 0.15, 0.08)),
    "occlusion": (_occlusion, (0.15, 0.25, 0.35, 0.45, 0.55)),
    "shift": (_shift, (0.04, 0.08, 0.12, 0.16, 0.2)),
    "scale": (_scale, (0.9, 0.8, 0.7, 0.6, 0.5)),
}


def _each(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])
