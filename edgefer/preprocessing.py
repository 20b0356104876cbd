"""From a picture's pixels to a network's input, as one small value that travels with the network.

The recipe writes it once; it goes along in the checkpoint and in the bundle's manifest, and training's
evaluation, calibration, runtimes and predict all call `apply`. But for the steps of a training, whose augmentation
samples with the same crop, mean and std (`edgefer.learning.augmentation`) and whose teachers take a student's input as
their own (`edgefer.training.teachers`), nothing else in edgefer turns pixels into input,
except a page in a browser, which is held to `apply` by tests (`edgefer/export/web/pixels.js`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L" has it
_ROWS = 64  # that become grey at once


class Preprocessing(BaseModel):
    """How a network wants its input.

    The steps, in this order: colour; centre crop of a square of `crop` times the shorter side; resize to
    `size` (left out where the crop has that size already); divide by 255; subtract `mean`, divide by `std`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(ge=8, le=1024, description="side of the square input, in pixels")
    crop: float = Field(1.0, gt=0, le=1, description="side of the centre crop relative to the picture's shorter side")
    color: Literal["grey", "rgb"] = "grey"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"

    @model_validator(mode="after")
    def _channels_agree(self) -> Preprocessing:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"color = {self.color!r} needs {self.channels} values of mean and std")
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return 1 if self.color == "grey" else 3

    def crop_side(self, height: int, width: int) -> int:
        """Return the side of the centre crop in pixels of the picture."""
        return max(1, round(self.crop * min(height, width)))

    def pixels(self, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return cropped and resized pixels.

        Args:
            images: uint8, (N, H, W) grey or (N, H, W, 3) RGB, or a sequence of (H, W) and (H, W, 3) of any sizes.

        Returns:
            uint8, (N, channels, size, size).

        Raises:
            ValueError: an image has another type or shape.
        """
        out = np.empty((len(images), self.channels, self.size, self.size), dtype=np.uint8)
        if isinstance(images, np.ndarray) and self._is_crop_alone(images):
            top, left = (images.shape[1] - self.size) // 2, (images.shape[2] - self.size) // 2
            window = images[:, top : top + self.size, left : left + self.size]
            out[:] = window[:, None] if window.ndim == 3 else np.moveaxis(window, -1, 1)
            return out
        for target, image in zip(out, images, strict=True):
            target[:] = self._one(np.asarray(image))
        return out

    def _is_crop_alone(self, images: NDArray[np.uint8]) -> bool:
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            return False
        grey = images.ndim == 3
        return self.crop_side(*images.shape[1:3]) == self.size and grey == (self.color == "grey")

    def _one(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise ValueError(
                f"an image must be uint8 of shape (H, W) or (H, W, 3), not {image.dtype} of shape {image.shape}"
            )
        if 0 in image.shape:
            raise ValueError(f"an image must not be empty, but its shape is {image.shape}")
        if image.ndim == 3 and self.color == "grey":
            image = _grey(image)
        elif image.ndim == 2 and self.color == "rgb":
            image = np.repeat(image[:, :, None], 3, axis=2)
        side = self.crop_side(*image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        image = image[top : top + side, left : left + side]
        if side != self.size:
            picture = Image.fromarray(np.ascontiguousarray(image))
            image = np.asarray(picture.resize((self.size, self.size), _FILTERS[self.interpolation]))
        return image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)

    def normalize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (pixels / 255 - mean) / std as float32 of the same shape, (N, channels, H, W)."""
        mean = np.asarray(self.mean, dtype=np.float32).reshape(-1, 1, 1) * np.float32(255)
        scale = np.float32(1) / (np.asarray(self.std, dtype=np.float32).reshape(-1, 1, 1) * np.float32(255))
        out: NDArray[np.float32] = (pixels.astype(np.float32) - mean) * scale
        return out

    def apply(self, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the network's input for `images` (see `pixels`): float32, (N, channels, size, size)."""
        return self.normalize(self.pixels(images))


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma of RGB pixels, (H, W). Row by row, since a telephone's picture as float32 has 200 MB and more."""
    weights = np.array(LUMA, np.float32)
    out = np.empty(image.shape[:2], np.uint8)
    for start in range(0, len(image), _ROWS):
        out[start : start + _ROWS] = np.rint(image[start : start + _ROWS].astype(np.float32) @ weights)
    return out
