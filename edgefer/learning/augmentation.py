"""Augmentation of whole batches of tensors.

One affine sampling makes crop, flip, rotation, shift and zoom; then light and erasing. Every image of the batch gets
its own draw. Mixup follows in the loop, where the labels are.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgefer.preprocessing import Preprocessing
from edgefer.recipes.schema import Augment


def augment(images: Tensor, settings: Augment, preprocessing: Preprocessing) -> Tensor:
    """Return the network's input for a batch of training images.

    With every setting off this is what `Preprocessing.apply` returns (up to the rounding of a resize to uint8).

    Args:
        images: uint8, (N, 1 or 3, S, S), from `edgefer.learning.images.load`.
        settings: how much of what.
        preprocessing: size, crop, mean and std of the network's input.

    Returns:
        float32, (N, channels, size, size), normalized.
    """
    x = images.float() / 255
    x = _sample(x, settings, preprocessing)
    x = _light(x, settings)
    if x.shape[1] < preprocessing.channels:
        x = x.expand(-1, preprocessing.channels, -1, -1)
    mean = torch.tensor(preprocessing.mean, device=x.device).view(-1, 1, 1)
    std = torch.tensor(preprocessing.std, device=x.device).view(-1, 1, 1)
    return _erase((x - mean) / std, settings)


def _uniform(count: int, low: float, high: float, like: Tensor) -> Tensor:
    return torch.empty(count, device=like.device).uniform_(low, high)


def _sample(x: Tensor, settings: Augment, preprocessing: Preprocessing) -> Tensor:
    """Sample the output grid: in normalized coordinates, input = R(angle) S flip / zoom * crop * output + shift.

    S moves a point sideways by tan(shear) of its height: [[1, -tan], [0, 1]]. The shift is from the crop's middle,
    which is half a pixel beside the picture's where `Preprocessing` cannot cut as much left as right.
    """
    count, channels, side, _ = x.shape
    angle = _uniform(count, -1, 1, x) * math.radians(settings.rotate)
    zoom = _uniform(count, *settings.scale, x)
    mirrored = torch.where(_uniform(count, 0, 1, x) < settings.flip, -1.0, 1.0)
    cropped = preprocessing.crop_side(side, side)
    crop, middle = cropped / side, (2 * ((side - cropped) // 2) + cropped) / side - 1
    shift = torch.stack([_uniform(count, -2, 2, x), _uniform(count, -2, 2, x)], dim=1) * settings.shift + middle
    cos, sin = crop / zoom * torch.cos(angle), crop / zoom * torch.sin(angle)
    across, down = -sin, cos
    if settings.shear:  # drawn only where it is asked for: without it the other draws stay what they were
        slope = torch.tan(_uniform(count, -1, 1, x) * math.radians(settings.shear))
        across, down = across - cos * slope, down - sin * slope
    rows = [torch.stack([cos * mirrored, across, shift[:, 0]], 1), torch.stack([sin * mirrored, down, shift[:, 1]], 1)]
    theta = torch.stack(rows, dim=1)
    grid = F.affine_grid(theta, [count, channels, preprocessing.size, preprocessing.size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _light(x: Tensor, settings: Augment) -> Tensor:
    count = len(x)
    if settings.contrast:
        factor = 1 + _uniform(count, -1, 1, x).view(-1, 1, 1, 1) * settings.contrast
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = mean + (x - mean) * factor
    if settings.brightness:
        x = x + _uniform(count, -1, 1, x).view(-1, 1, 1, 1) * settings.brightness
    return x.clamp(0, 1) if settings.contrast or settings.brightness else x


def _erase(x: Tensor, settings: Augment) -> Tensor:
    """Random erasing (Zhong et al. 2020): area and aspect (0.3 to 3.3) drawn, the rectangle set to the mean, 0."""
    if not settings.erase:
        return x
    count, _, height, width = x.shape
    area = _uniform(count, *settings.erase_area, x) * height * width
    aspect = torch.exp(_uniform(count, math.log(0.3), math.log(3.3), x))
    high, wide = torch.sqrt(area * aspect).clamp(max=height), torch.sqrt(area / aspect).clamp(max=width)
    top = _uniform(count, 0, 1, x) * (height - high)
    left = _uniform(count, 0, 1, x) * (width - wide)
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    in_rows = (rows >= top.round()[:, None]) & (rows < (top + high).round()[:, None])
    in_columns = (columns >= left.round()[:, None]) & (columns < (left + wide).round()[:, None])
    chosen = _uniform(count, 0, 1, x) < settings.erase
    hole = (in_rows[:, :, None] & in_columns[:, None, :]) & chosen[:, None, None]
    return x.masked_fill(hole[:, None], 0.0)
