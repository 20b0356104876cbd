"""Selects some of a data set's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgefer.data.dataset import NOWHERE, Dataset
from edgefer.errors import InputError


def with_classes(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Return a data set with exactly these classes, in this order; images of others are in no split.

    Args:
        dataset: the whole.
        classes: names; some may have no images.
    """
    places = np.array([list(classes).index(name) if name in classes else -1 for name in dataset.classes], np.int64)
    labels = places[dataset.labels]
    splits = np.where(labels < 0, np.uint8(NOWHERE), dataset.splits).astype(np.uint8)
    return replace(dataset, labels=np.maximum(labels, 0), splits=splits, classes=tuple(classes))


def only(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Return a data set whose splits have only images of some classes, without copying.

    The digest stays that of the whole: the recipe and the bundle's labels record the classes.

    Args:
        dataset: the whole.
        classes: names, in any order; the data set's order is kept. Empty means all.

    Raises:
        InputError: the data set has no such class, or only one is given.
    """
    unknown = [name for name in classes if name not in dataset.classes]
    if unknown:
        raise InputError(f"{dataset.name} has no class {unknown[0]!r}, only {', '.join(dataset.classes)}")
    names = tuple(name for name in dataset.classes if name in classes)
    if not names or names == dataset.classes:
        return dataset
    if len(names) == 1:
        raise InputError(f"a single class ({names[0]}) cannot be classified; give at least two")
    places = np.array([names.index(name) if name in names else -1 for name in dataset.classes], np.int64)
    labels = places[dataset.labels]
    splits = np.where(labels < 0, np.uint8(NOWHERE), dataset.splits).astype(np.uint8)
    return replace(dataset, labels=np.maximum(labels, 0), splits=splits, classes=names)
