"""Augmented training samples: synthetic faces, or real ones if faces were requested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from timm.data import Mixup
from torch import Tensor

from edgefer import data
from edgefer.data.dataset import Split
from edgefer.learning import augmentation, images, randomness
from edgefer.pages import picture
from edgefer.preprocessing import Preprocessing
from edgefer.recipes import Recipe

FACES = 3  # rows, one per face
DRAWS = 7  # augmented images per row, after the original
MIXES = 6
_SYNTHETIC_FACES = 40  # faces to choose from, so that each class is represented
_SIDE = 112  # maximum side of one face in a row, in pixels
_GAP = 2


@dataclass(frozen=True)
class SampleRow:
    """A face, original and augmented.

    Attributes:
        label: its class.
        address: data URL of the image, `DRAWS` + 1 faces wide.
    """

    label: str
    address: str


@dataclass(frozen=True)
class Mix:
    """Two faces combined by mixup.

    Attributes:
        label: both labels with their shares.
        address: data URL of the image.
    """

    label: str
    address: str


@dataclass(frozen=True)
class Samples:
    """Augmented samples.

    Attributes:
        rows: one per face.
        mixes: empty if the recipe has no mixup.
        synthetic: True if no real person is shown.
    """

    rows: list[SampleRow]
    mixes: list[Mix]
    synthetic: bool


def sheet(recipe: Recipe, real: Split | None = None, classes: tuple[str, ...] = ()) -> Samples:
    """Return augmented images, deterministic for a recipe.

    Args:
        recipe: its augmentation, preprocessing and seed.
        real: training images to use; by default synthetic faces.
        classes: class names.
    """
    if real is None:
        synthetic = data.builtin(train=_SYNTHETIC_FACES, val=0, test=0)
        source, classes = data.split(synthetic, "train"), synthetic.classes
    else:
        source = real
    before = randomness.state()
    randomness.seed(recipe.train.seed)
    try:
        chosen = source.subset(_of_each_class(source, max(FACES, 2 * MIXES), recipe.train.seed))
        rows = [_row(chosen, place, recipe, classes) for place in range(min(FACES, len(chosen)))]
        mixes = _mixes(chosen, recipe, classes) if recipe.augment.mixup else []
    finally:
        randomness.restore(before)
    return Samples(rows, mixes, synthetic=real is None)


def _of_each_class(source: Split, count: int, seed: int) -> NDArray[np.int64]:
    """Return random image indices, cycling through the classes."""
    order = np.random.default_rng(seed).permutation(len(source))
    by_class = [order[source.labels[order] == label] for label in np.unique(source.labels)]
    turns = [members[turn] for turn in range(count) for members in by_class if turn < len(members)]
    return np.array(turns[:count], dtype=np.int64)


def _row(source: Split, place: int, recipe: Recipe, classes: tuple[str, ...]) -> SampleRow:
    one = source.subset(np.array([place]))
    whole = torch.from_numpy(recipe.preprocessing.apply(one.take(slice(None))))
    pixels = images.load(one, recipe.preprocessing).expand(DRAWS, -1, -1, -1)
    cells = pictures(torch.cat([whole, augmentation.augment(pixels, recipe.augment, recipe.preprocessing)]), recipe)
    return SampleRow(classes[one.labels[0]], picture.address(_side_by_side(cells), (DRAWS + 1) * _SIDE))


def _mixes(source: Split, recipe: Recipe, classes: tuple[str, ...]) -> list[Mix]:
    mixup = Mixup(recipe.augment.mixup, label_smoothing=0, num_classes=2)
    found = []
    for first in range(0, min(2 * MIXES, len(source) - 1), 2):
        two = source.subset(np.array([first, first + 1]))
        seen = augmentation.augment(images.load(two, recipe.preprocessing), recipe.augment, recipe.preprocessing)
        mixed, shares = mixup(seen, torch.tensor([0, 1]))
        names = [classes[label] for label in two.labels]
        parts = sorted(zip(shares[0].tolist(), names, strict=True), reverse=True)
        label = ", ".join(f"{100 * share:.0f} % {name}" for share, name in parts)
        found.append(Mix(label, picture.address(pictures(mixed[:1], recipe)[0], _SIDE)))
    return found


def pictures(batch: Tensor, recipe: Recipe) -> NDArray[np.uint8]:
    """Convert a network's input back to pixels: uint8, (N, H, W) grey or (N, H, W, 3)."""
    settings: Preprocessing = recipe.preprocessing
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (settings.mean, settings.std))
    pixels = ((batch.float() * std + mean).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return np.asarray(pixels.squeeze(-1).numpy())


def _side_by_side(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, height, width = cells.shape[:3]
    out = np.full((height, count * (width + _GAP) - _GAP, 4), 0, dtype=np.uint8)  # no gap between them
    for place, cell in enumerate(cells):
        start = place * (width + _GAP)
        out[:, start : start + width, :3] = cell if cell.ndim == 3 else cell[:, :, None]
        out[:, start : start + width, 3] = 255
    return out
