"""Calibration images for activation ranges, chosen by a reproducible scheme."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgefer import bundle, limits, paths
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import InputError
from edgefer.lines import complaint

Observer = Literal["minmax", "mean-minmax", "median-minmax", "mean-quantile", "histogram"]


class Scheme(BaseModel):
    """A scheme's TOML: number and choice of images, and the observer for ranges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    images: int = Field(ge=1, le=10_000)
    split: str = "train"
    stratified: bool = True
    seed: int = Field(0, ge=0, lt=2**32)
    observer: Observer = "histogram"


def schemes() -> list[str]:
    """Return the names of the shipped schemes."""
    return sorted(path.stem for path in paths.shipped("calibration").glob("*.toml"))


def load(name: str) -> Scheme:
    """Read and validate a scheme.

    Args:
        name: one of `schemes`, or the path of a TOML file.

    Raises:
        InputError: the scheme is unknown, does not parse, or doesn't use training images.
    """
    path = paths.shipped("calibration") / f"{name}.toml" if name in schemes() else Path(name)
    if not path.exists():
        raise InputError(f"unknown calibration scheme {name}; choose from {', '.join(schemes())}")
    tree = limits.read_toml(path, limits.SCHEME)
    try:
        scheme = Scheme.model_validate({**tree, "name": path.stem})
    except ValidationError as error:
        raise InputError(f"{path}: {complaint(error)}") from None
    if scheme.split != "train":
        raise InputError(
            f"{path}: split = {scheme.split!r}: calibrating on evaluation images would overstate INT8; use train"
        )
    if not scheme.stratified:
        raise InputError(f"{path}: stratified = false: random sampling may miss a rare class; use stratified = true")
    return scheme


def choose(scheme: Scheme, training: Split, dataset: Dataset) -> Split:
    """Return the images to calibrate on, in the order of their rows.

    Each class gets its share of `scheme.images` (largest remainder) and at least one image. The
    choice is deterministic. A smaller data set is used whole.

    Args:
        scheme: from `load`.
        training: the training images, by the recipe's split.
        dataset: their data set.

    Raises:
        InputError: `training` is another split, or shares an image with an evaluation split.
    """
    if training.name != "train":
        raise InputError(f"calibration needs images of the train split, not of {training.name}")
    outside = np.flatnonzero(dataset.splits[training.indices] != 0)
    if outside.size:
        row = training.rows[outside[0]]
        raise InputError(f"calibration needs images of the train split; row {row} is in an evaluation split")
    # RandomState instead of default_rng: numpy guarantees that its numbers never change (NEP 19).
    random = np.random.RandomState(scheme.seed)
    counts = _shares(np.bincount(training.labels), min(scheme.images, len(training)))
    chosen = [
        random.permutation(np.flatnonzero(training.labels == label))[:count] for label, count in enumerate(counts)
    ]
    positions = np.concatenate(chosen)
    return training.subset(positions[np.argsort(training.rows[positions], kind="stable")], "calibration")


def _shares(available: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Divide `wanted` over classes in proportion to `available`: int64, no class above its number of images."""
    exact = wanted * available / available.sum()
    counts = np.maximum(np.floor(exact).astype(np.int64), available > 0)
    while counts.sum() != wanted:
        step = 1 if counts.sum() < wanted else -1
        gap = np.where((counts + step >= 1) & (counts + step <= available), step * (exact - counts), -np.inf)
        if np.isneginf(gap).all():
            break  # fewer images than classes: one of each
        counts[gap.argmax()] += step
    return np.asarray(counts, np.int64)


def record(scheme: Scheme, images: Split) -> bundle.Calibration:
    """Return the manifest's entry on the calibration images."""
    digest = hashlib.sha256(np.ascontiguousarray(images.take(slice(None))).tobytes()).hexdigest()
    return bundle.Calibration(
        scheme=scheme.name, seed=scheme.seed, rows=[int(row) for row in images.rows], digest=digest
    )
