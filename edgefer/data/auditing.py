"""A data set's content and problems."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.data import naming, near_duplicates
from edgefer.data.components import of_both
from edgefer.data.dataset import SPLITS, Dataset, Division
from edgefer.data.identical import groups
from edgefer.labels import numbered

_IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class Identical:
    """Images whose pixels are the same, byte for byte. A group is all images with the same pixels, two or more.

    Attributes:
        groups: number of groups.
        images: images in them.
        groups_across: groups with images in both splits, by pair: ``train+val``, ``train+test``, ``val+test``.
        groups_train_and_rest: groups with images in ``train`` and in ``val`` or ``test``.
        val_in_train: images of ``val`` with pixels that also occur in ``train``.
        test_in_train: images of ``test`` with pixels that also occur in ``train``.
        groups_with_two_labels: groups with more than one label.
        images_with_two_labels: images in those.
    """

    groups: int
    images: int
    groups_across: dict[str, int]
    groups_train_and_rest: int
    val_in_train: int
    test_in_train: int
    groups_with_two_labels: int
    images_with_two_labels: int


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicates, including identical images (`edgefer.data.near_duplicates`).

    Attributes:
        threshold: minimum cosine of two pictures' vectors.
        groups: number of groups of two or more connected images.
        images: images in them.
        largest: images in the largest.
        groups_across: groups with images in both splits, by pair.
        val_in_train: images of ``val`` in a group with images of ``train``.
        test_in_train: likewise for ``test``.
    """

    threshold: float
    groups: int
    images: int
    largest: int
    groups_across: dict[str, int]
    val_in_train: int
    test_in_train: int


@dataclass(frozen=True)
class People:
    """Persons or sequences, from folders, file names or the user.

    Attributes:
        rule: how they were found.
        groups: number of groups.
        largest: images in the largest.
        groups_across: groups with images in both splits, by pair.
    """

    rule: str
    groups: int
    largest: int
    groups_across: dict[str, int]


@dataclass(frozen=True)
class Audit:
    """The findings of `audit`.

    Attributes:
        name: of the data set.
        origin: where it was read from.
        layout: description of the source.
        digest: SHA-256 over pixels, labels, splits and rows.
        synthetic: True for the built-in faces.
        images: number of images.
        height: of each image, in pixels.
        width: of each image, in pixels.
        color: ``grey`` or ``rgb``.
        classes: names of the classes.
        counts: images by split and class.
        carved: splits taken from the training images, because the source has none.
        mean: of the training images' pixels, 0 to 1, per channel; of all images if none is for training.
        std: likewise.
        identical: images with the same pixels.
        near_duplicates: near-duplicates.
        people: people by split; None: unknown.
        unknown: why.
        division: how `carved` was taken.
        numbered: possible meaning of numbered labels, and the option for it.
    """

    name: str
    origin: str
    layout: str
    digest: str
    synthetic: bool
    images: int
    height: int
    width: int
    color: str
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    carved: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    identical: Identical
    near_duplicates: NearDuplicates
    people: People | None
    unknown: str
    division: Division | None
    numbered: str = ""


def audit(dataset: Dataset) -> Audit:
    """Count a data set's images, and find duplicates."""
    mean, std = _moments(dataset)
    classes = len(dataset.classes)
    places = dataset.splits.astype(np.int64) * classes + dataset.labels
    counts = np.bincount(places[dataset.splits < len(SPLITS)], minlength=len(SPLITS) * classes)
    table = counts.reshape(len(SPLITS), classes).tolist()
    return Audit(
        name=dataset.name,
        origin=dataset.origin,
        layout=dataset.layout,
        digest=dataset.digest,
        synthetic=dataset.synthetic,
        images=len(dataset),
        height=dataset.images.shape[1],
        width=dataset.images.shape[2],
        color="grey" if dataset.images.ndim == 3 else "rgb",
        classes=dataset.classes,
        counts={split: dict(zip(dataset.classes, row, strict=True)) for split, row in zip(SPLITS, table, strict=True)},
        carved=dataset.carved,
        mean=mean,
        std=std,
        identical=_identical(dataset),
        near_duplicates=_near_duplicates(dataset),
        people=_people(dataset),
        unknown=dataset.grouped if dataset.groups is None else "",
        division=dataset.division,
        numbered=naming.guessed(dataset) if numbered(dataset.classes) else "",
    )


def _moments(dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the training images' pixels per channel, from exact counts."""
    chosen = np.flatnonzero(dataset.splits == SPLITS.index("train"))
    if not chosen.size:
        chosen = np.arange(len(dataset))
    channels = 1 if dataset.images.ndim == 3 else 3
    counts = np.zeros((channels, 256), dtype=np.int64)
    with console.progress("counting pixels", len(chosen)) as advance:
        for start in range(0, len(chosen), _IMAGES_AT_ONCE):
            images = np.asarray(dataset.images[chosen[start : start + _IMAGES_AT_ONCE]])
            for channel, pixels in enumerate(images.reshape(-1, channels).T):
                counts[channel] += np.bincount(pixels, minlength=256)
            advance(len(images))
    values = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values
    variance = (share * (values - mean[:, None]) ** 2).sum(axis=1)
    return tuple(mean.tolist()), tuple(np.sqrt(variance).tolist())


def _identical(dataset: Dataset) -> Identical:
    group = groups(dataset.images)
    number = int(group.max()) + 1

    def in_each(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which groups have one of the chosen images."""
        return np.bincount(group[chosen], minlength=number) > 0

    sizes = np.bincount(group)
    inside = {split: in_each(dataset.splits == i) for i, split in enumerate(SPLITS)}
    labels = sum(in_each(dataset.labels == label).astype(np.int64) for label in range(len(dataset.classes)))
    mixed = np.asarray(labels) > 1
    in_train = inside["train"][group]
    return Identical(
        groups=int((sizes > 1).sum()),
        images=int(sizes[sizes > 1].sum()),
        groups_across={f"{a}+{b}": int((inside[a] & inside[b]).sum()) for a, b in combinations(SPLITS, 2)},
        groups_train_and_rest=int((inside["train"] & (inside["val"] | inside["test"])).sum()),
        val_in_train=int((in_train & (dataset.splits == SPLITS.index("val"))).sum()),
        test_in_train=int((in_train & (dataset.splits == SPLITS.index("test"))).sum()),
        groups_with_two_labels=int(mixed.sum()),
        images_with_two_labels=int(sizes[mixed].sum()),
    )


def _near_duplicates(dataset: Dataset) -> NearDuplicates:
    looks = []
    with console.progress("looking for near-duplicates", len(dataset)) as advance:
        for start in range(0, len(dataset), _IMAGES_AT_ONCE):
            images = np.asarray(dataset.images[start : start + _IMAGES_AT_ONCE])
            looks.append(near_duplicates.describe(images))
            advance(len(images))
    group = of_both(near_duplicates.linked(np.concatenate(looks)), groups(dataset.images))
    sizes = np.bincount(group)
    across, train = _across(dataset, group)
    return NearDuplicates(
        threshold=near_duplicates.THRESHOLD,
        groups=int((sizes > 1).sum()),
        images=int(sizes[sizes > 1].sum()),
        largest=int(sizes.max()),
        groups_across=across,
        val_in_train=int((train[group] & (dataset.splits == SPLITS.index("val"))).sum()),
        test_in_train=int((train[group] & (dataset.splits == SPLITS.index("test"))).sum()),
    )


def _people(dataset: Dataset) -> People | None:
    if dataset.groups is None:
        return None
    sizes = np.bincount(dataset.groups)
    return People(dataset.grouped, int((sizes > 0).sum()), int(sizes.max()), _across(dataset, dataset.groups)[0])


def _across(dataset: Dataset, group: NDArray[np.int64]) -> tuple[dict[str, int], NDArray[np.bool_]]:
    """Return the number of groups shared by each pair of splits, and which groups have training images."""
    number = int(group.max()) + 1
    inside = {split: np.bincount(group[dataset.splits == i], minlength=number) > 0 for i, split in enumerate(SPLITS)}
    return {f"{a}+{b}": int((inside[a] & inside[b]).sum()) for a, b in combinations(SPLITS, 2)}, inside["train"]
