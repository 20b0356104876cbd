"""Named parts of a data set: what trains, what selects, what is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgefer.data.components import of_both
from edgefer.data.dataset import SPLITS, Dataset, Split
from edgefer.data.identical import groups
from edgefer.data.new_splits import SHARE, divide
from edgefer.errors import InputError

LEAK_FREE = "test-leak-free"
BOTH = "public+private"
ALL = "all"
NAMES = (*SPLITS, LEAK_FREE, BOTH, ALL)
PROTOCOLS = ("official", "stratified")
SEED = 42

Protocol = Literal["official", "stratified"]


def split(dataset: Dataset, name: str, protocol: Protocol = "official") -> Split:
    """Return some images of a data set by name.

    Args:
        dataset: from `load`, `find` or `builtin`.
        name: one of

            - ``train``, ``val``: with the official protocol Training and PublicTest; with the stratified one
              87.5 and 12.5 % of Training, so that PublicTest stays unseen; copies of an image stay together, and
              pictures known to be of one person,
            - ``test``: PrivateTest,
            - ``test-leak-free``: PrivateTest without the images whose pixels also occur in Training,
            - ``public+private``: all images kept apart from training, the papers' 7,178,
            - ``all``: every image, for a data set that no network here was trained on.
        protocol: which `train` and `val` are meant.

    Raises:
        InputError: the name is unknown, or the split is empty.
    """
    if name not in NAMES:
        raise InputError(f"unknown split {name!r}; choose from {', '.join(NAMES)}")
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    if dataset.part and name not in _within(dataset.part.split):
        raise InputError(f"{dataset.origin} holds only the split {dataset.part.split!r}, not {name!r}")
    indices = np.flatnonzero(_chosen(dataset, name, protocol))
    if not indices.size:
        raise InputError(f"{dataset.name} ({dataset.origin}) has no images for the split {name!r}{_others(dataset)}")
    return Split(name, dataset.images, indices, dataset.labels[indices], dataset.rows[indices])


def comes_from_carved(name: str, carved: Sequence[str]) -> bool:
    """Return whether edgefer took a split's images from a data set's training images.

    Args:
        name: one of `NAMES`.
        carved: of the data set.
    """
    if name == ALL:
        return False
    return bool(carved) if name in ("train", "val") else "test" in carved


def _others(dataset: Dataset) -> str:
    there = [name for number, name in enumerate(SPLITS) if (dataset.splits == number).any()]
    division = dataset.division
    few = f" of {division.groups:,} groups of pictures that stay together, too few to divide" if division else ""
    return f"; it has {' and '.join(there)}{few}" if there else ""


def _within(name: str) -> tuple[str, ...]:
    """Return the splits contained in a packed part."""
    return (name, LEAK_FREE) if name == "test" else (name,)


def _chosen(dataset: Dataset, name: str, protocol: Protocol) -> NDArray[np.bool_]:
    """Return which images of the data set a split has, bool, (N,)."""
    train: NDArray[np.bool_] = dataset.splits == SPLITS.index("train")
    val: NDArray[np.bool_] = dataset.splits == SPLITS.index("val")
    test: NDArray[np.bool_] = dataset.splits == SPLITS.index("test")
    val_is_training = "val" in dataset.carved
    if name == "test":
        return test
    if name == LEAK_FREE:
        return test & ~_same_as(dataset, train, test)
    if name == ALL:
        return train | val | test
    if name == BOTH:
        return test if val_is_training else val | test
    if protocol == "stratified" and not val_is_training:  # a carved `val` is these 12.5 % already
        training = np.flatnonzero(train)
        labels, group = dataset.labels[training], groups(dataset.images, training)
        if dataset.groups is None:
            parts = _whole_groups(labels, group, (1 - SHARE, SHARE), SEED)
        else:
            _, unit = np.unique(of_both(dataset.groups[training], group), return_inverse=True)
            unit = unit.reshape(-1)
            parts = divide(labels, np.random.RandomState(SEED).permutation(int(unit.max()) + 1)[unit], 1)
        chosen = np.zeros(len(dataset), dtype=np.bool_)
        chosen[training] = parts == SPLITS.index(name)
        return chosen
    return train if name == "train" else val


def _same_as(dataset: Dataset, base: NDArray[np.bool_], asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which images of `asked` have the pixels of an image of `base`, bool, (N,)."""
    either = np.flatnonzero(base | asked)
    group = groups(dataset.images, either)
    same = np.zeros(len(dataset), dtype=np.bool_)
    same[either] = np.isin(group, group[base[either]]) & asked[either]
    return same


def _whole_groups(
    labels: NDArray[np.int64], group: NDArray[np.int64], shares: Sequence[float], seed: int
) -> NDArray[np.uint8]:
    """Split like `stratified`, but with each group as one image with its first label."""
    _, firsts, member = np.unique(group, return_index=True, return_inverse=True)
    return stratified(labels[firsts], shares, seed)[member]


def stratified(labels: NDArray[np.int64], shares: Sequence[float], seed: int = SEED) -> NDArray[np.uint8]:
    """Split images so that each part has the same share of each class.

    Args:
        labels: int64, (n,).
        shares: of the parts; they sum to 1.
        seed: deterministic on every machine and with every version of numpy.

    Returns:
        uint8, (n,): the part of each image, an index into `shares`. Each part has at least one
        image of each class with enough images.
    """
    # RandomState and not default_rng: numpy promises that its numbers never change (NEP 19).
    random = np.random.RandomState(seed)
    parts = np.zeros(len(labels), dtype=np.uint8)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        start = 0
        for part in range(1, len(shares)):
            count = int(len(members) * shares[part] + 0.5)
            if len(members) >= len(shares):
                count = max(1, count)
            parts[members[start : start + count]] = part
            start += count
    return parts
