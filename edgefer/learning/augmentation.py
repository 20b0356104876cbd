"""Augmentation of whole batches of tensors.

One affine sampling does crop, flip, rotation, shift and zoom; then light and erasing. Each image gets its own random
numbers. Mixup follows in the loop, where the labels are.

The random numbers come as a table with a row per image. The same row gives the same view at any image size, in
any batch and process.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgefer.preprocessing import Preprocessing
from edgefer.recipes.schema import Augment

_DRAWS = (
    *("angle", "zoom", "flip", "right", "down", "shear", "contrast", "brightness"),
    *("erase", "erase_area", "erase_aspect", "erase_top", "erase_left"),
)


def draw(images: int, generator: torch.Generator | None = None) -> Tensor:
    """Return random numbers for `augment`, each in [0, 1): float32, (images, 13)."""
    return torch.rand(images, len(_DRAWS), generator=generator)


def augment(images: Tensor, settings: Augment, preprocessing: Preprocessing, draws: Tensor | None = None) -> Tensor:
    """Return the network's input for a batch of training images.

    With every setting off, this equals `Preprocessing.apply` (up to the rounding of a resize to uint8).

    Args:
        images: uint8, (N, 1 or 3, S, S), from `edgefer.learning.images.load`.
        settings: the augmentations and their strengths.
        preprocessing: size, crop, mean and std of the network's input.
        draws: rows of a table from `draw`, one per image; by default new ones.

    Returns:
        float32, (N, channels, size, size), normalized.
    """
    table = (draw(len(images)) if draws is None else draws).to(images.device)
    given = dict(zip(_DRAWS, table.unbind(1), strict=True))
    x = images.float() / 255
    x = _sample(x, settings, preprocessing, given)
    x = _light(x, settings, given)
    if x.shape[1] < preprocessing.channels:
        x = x.expand(-1, preprocessing.channels, -1, -1)
    mean = torch.tensor(preprocessing.mean, device=x.device).view(-1, 1, 1)
    std = torch.tensor(preprocessing.std, device=x.device).view(-1, 1, 1)
    return _erase((x - mean) / std, settings, given)


def _between(low: float, high: float, draws: Tensor) -> Tensor:
    return low + (high - low) * draws


def _sample(x: Tensor, settings: Augment, preprocessing: Preprocessing, given: dict[str, Tensor]) -> Tensor:
    """Sample the output grid: in normalized coordinates, input = R(angle) S flip / zoom * crop * output + shift.

    S shears a point sideways by tan(shear) times its height: [[1, -tan], [0, 1]]. The shift is relative to the crop's
    centre, half a pixel off the image's where `Preprocessing` can't crop evenly on both sides.
    """
    count, channels, side, _ = x.shape
    angle = _between(-1, 1, given["angle"]) * math.radians(settings.rotate)
    zoom = _between(*settings.scale, given["zoom"])
    mirrored = torch.where(given["flip"] < settings.flip, -1.0, 1.0)
    cropped = preprocessing.crop_side(side, side)
    crop, middle = cropped / side, (2 * ((side - cropped) // 2) + cropped) / side - 1
    shift = _between(-2, 2, torch.stack([given["right"], given["down"]], dim=1)) * settings.shift + middle
    cos, sin = crop / zoom * torch.cos(angle), crop / zoom * torch.sin(angle)
    across, down = -sin, cos
    if settings.shear:
        slope = torch.tan(_between(-1, 1, given["shear"]) * math.radians(settings.shear))
        across, down = across - cos * slope, down - sin * slope
    rows = [torch.stack([cos * mirrored, across, shift[:, 0]], 1), torch.stack([sin * mirrored, down, shift[:, 1]], 1)]
    theta = torch.stack(rows, dim=1)
    grid = F.affine_grid(theta, [count, channels, preprocessing.size, preprocessing.size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _light(x: Tensor, settings: Augment, given: dict[str, Tensor]) -> Tensor:
    if settings.contrast:
        factor = 1 + _between(-1, 1, given["contrast"]).view(-1, 1, 1, 1) * settings.contrast
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = mean + (x - mean) * factor
    if settings.brightness:
        x = x + _between(-1, 1, given["brightness"]).view(-1, 1, 1, 1) * settings.brightness
    return x.clamp(0, 1) if settings.contrast or settings.brightness else x


def _erase(x: Tensor, settings: Augment, given: dict[str, Tensor]) -> Tensor:
    """Random erasing (Zhong et al. 2020): set a random rectangle, aspect 0.3 to 3.3, to the mean (0)."""
    if not settings.erase:
        return x
    height, width = x.shape[2:]
    area = _between(*settings.erase_area, given["erase_area"]) * height * width
    aspect = torch.exp(_between(math.log(0.3), math.log(3.3), given["erase_aspect"]))
    high, wide = torch.sqrt(area * aspect).clamp(max=height), torch.sqrt(area / aspect).clamp(max=width)
    top = given["erase_top"] * (height - high)
    left = given["erase_left"] * (width - wide)
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    in_rows = (rows >= top.round()[:, None]) & (rows < (top + high).round()[:, None])
    in_columns = (columns >= left.round()[:, None]) & (columns < (left + wide).round()[:, None])
    chosen = given["erase"] < settings.erase
    hole = (in_rows[:, :, None] & in_columns[:, None, :]) & chosen[:, None, None]
    return x.masked_fill(hole[:, None], 0.0)
