"""Counts in FER2013, to check what documents say about it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from edgefer import data
from edgefer.claims.checks import ImagesCheck
from edgefer.data.dataset import Dataset

# Digest of all images with labels and splits, in any layout (edgefer.data.dataset.Dataset.digest).
DIGEST = "c948a9ab252a92fda26c37bfb8b057563efb70e55c7da0fba5c4ec5f6206d29e"

TITLES = {
    "all": "all of FER2013",
    "train": "Training",
    "val": "PublicTest",
    "test": "PrivateTest",
    "public+private": "PublicTest and PrivateTest together",
}


def is_fer2013(dataset: Dataset) -> bool:
    """Return whether these are exactly the challenge's images."""
    return dataset.digest == DIGEST


def count(dataset: Dataset, check: ImagesCheck, split: str) -> Fraction:
    """Return the count that a check asks for.

    Args:
        dataset: FER2013.
        check: what to count.
        split: one of `TITLES`.
    """
    if check.what == "classes":
        return Fraction(len(np.unique(dataset.labels)))
    if check.what == "side":
        height, width = dataset.images.shape[1:3]
        return Fraction(height if height == width else 0)  # 0 if they are not square
    labels = dataset.labels if split == "all" else data.split(dataset, split).labels
    if check.what == "all":
        return Fraction(len(labels))
    by_class = dict(zip(dataset.classes, np.bincount(labels, minlength=len(dataset.classes)).tolist(), strict=True))
    if check.what == "class":
        return Fraction(sum(by_class[label] for label in check.labels))
    others = [number for label, number in by_class.items() if label not in check.labels]
    return Fraction(sum(others), len(others))
