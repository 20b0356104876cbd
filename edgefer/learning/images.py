"""Training images as one tensor, and reproducible random orders of batches."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgefer.data.dataset import Split
from edgefer.learning import augmentation
from edgefer.preprocessing import Preprocessing

_SHRINK_FROM = 1.5  # augmentation samples bilinearly and would skip pixels from this ratio on
_CHUNK = 4096


def load(split: Split, preprocessing: Preprocessing) -> Tensor:
    """Return a split's images for `edgefer.learning.augmentation`.

    The whole image is kept, since shift and rotation need the margin around the crop. Images much larger than the
    network's input are first downscaled with Pillow's antialiasing. Grey images stay one channel.

    Returns:
        uint8, (n, 1 or 3, side, side).
    """
    whole = source_preprocessing(split, preprocessing)
    grey = split.source.ndim == 3
    channels = 1 if grey else whole.channels
    out = np.empty((len(split), channels, whole.size, whole.size), dtype=np.uint8)
    for start in range(0, len(split), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = whole.pixels(split.take(part))
    return torch.from_numpy(out)


def source_preprocessing(split: Split, preprocessing: Preprocessing) -> Preprocessing:
    """Return the preprocessing that turns an image of `split` into one to augment."""
    height, width = split.source.shape[1:3]
    side = min(height, width)
    if preprocessing.crop_side(height, width) >= _SHRINK_FROM * preprocessing.size:
        side = round(preprocessing.size / preprocessing.crop)
    color = "grey" if split.source.ndim == 3 else preprocessing.color
    channels = 1 if color == "grey" else 3
    return Preprocessing(
        size=max(8, side), color=color, mean=(0.0,) * channels, std=(1.0,) * channels, interpolation="bilinear"
    )


def order(images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of the images in an epoch, int64, (images,), deterministic in seed and epoch."""
    return np.random.default_rng((seed, epoch)).permutation(images).astype(np.int64)


def draws(images: int, seed: int, view: int) -> Tensor:
    """Return the random numbers of each image's view, float32, (images, 13), deterministic in seed and view."""
    words = np.random.SeedSequence((seed, view)).generate_state(1, np.uint64)
    return augmentation.draw(images, torch.Generator().manual_seed(int(words[0] >> 1)))
