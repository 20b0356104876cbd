"""Takes splits that a source lacks from its training images, keeping groups within one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer.data import near_duplicates
from edgefer.data.components import of_both
from edgefer.data.contents import Groups
from edgefer.data.dataset import SPLITS, Division
from edgefer.lines import one_line

SHARE = 0.125  # share of the training images for each new split
_MOST = 1 / 3  # maximum share of the pictures in a group of near-duplicates
_SURE = 0.985  # cosine
_MAX_ALIKE = 0.2  # maximum share of pictures with near-duplicates in other groups
_RULE = 200  # characters: it is in a manifest
_EVEN = 1e-9  # rounding difference of equal sums

_Counts = list[tuple[int, int]]  # of a group: class, images


@dataclass(frozen=True)
class Units:
    """Groups of pictures that stay together.

    Attributes:
        numbers: int64, (n,): equal within a group.
        cut: pictures in chains of near-duplicates that were too long and were split.
    """

    numbers: NDArray[np.int64]
    cut: int


def trusted(groups: Groups | str, identical: NDArray[np.int64], vectors: near_duplicates.Vectors) -> Groups | str:
    """Return the groups, or why they are implausible: e.g. augmented copies of a picture in several groups.

    Args:
        groups: from names; the user's groups are trusted, and sequences may be alike.
        identical: int64, (n,), from `edgefer.data.identical.groups`.
        vectors: of the pictures, from `near_duplicates.describe`.
    """
    if isinstance(groups, str) or groups.asked or groups.by != "person":
        return groups
    known = groups.numbers()
    numbers = of_both(near_duplicates.linked(vectors, _SURE), identical)
    pairs = np.unique(np.stack([numbers, known]), axis=1)
    of_several = np.bincount(pairs[0], minlength=len(numbers)) > 1
    share = float(of_several[numbers].mean())
    if share <= _MAX_ALIKE:
        return groups
    return f"{groups.rule}: {100 * share:.0f} % of the pictures have a near-duplicate in another group"


def units(identical: NDArray[np.int64], vectors: near_duplicates.Vectors, groups: Groups | None) -> Units:
    """Return which pictures stay together: known groups, copies and near-duplicates.

    If people are known, near-duplicates of two people are not joined: faces from one studio look alike.

    Args:
        identical: int64, (n,), from `edgefer.data.identical.groups`.
        vectors: of these pictures, from `near_duplicates.describe`.
        groups: of them, if known.
    """
    most = max(2, int(np.ceil(len(identical) * _MOST)))
    if groups is not None and groups.by == "person":
        known = groups.numbers()
        numbers = of_both(known, identical)
        large = _larger(numbers, most) & ~_larger(known, most)  # e.g. a black frame of every person
        return Units(np.where(large, len(known) + known, numbers), int(large.sum()))
    numbers = of_both(near_duplicates.linked(vectors), identical)
    large = _larger(numbers, most)
    cut = large.copy()
    for threshold in near_duplicates.STRICTER:
        if not large.any():
            break
        chain = np.flatnonzero(large)
        parts = of_both(near_duplicates.linked(vectors[chain], threshold), identical[chain])
        numbers[chain] = chain[parts]
        large = _larger(numbers, most)
    if large.any():  # copies always stay together
        chain = np.flatnonzero(large)
        _, firsts, places = np.unique(identical[chain], return_index=True, return_inverse=True)
        numbers[chain] = chain[firsts[places.reshape(-1)]]
    if (numbers == numbers[0]).all():
        cut[:] = False  # nothing was cut
    if groups is not None:
        known = groups.numbers()
        both = of_both(known, numbers)
        large = _larger(both, most) & ~_larger(known, most)
        numbers = np.where(large, len(known) + known, both)
        cut |= large
    return Units(numbers, int(cut.sum()))


def _larger(numbers: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which pictures are in groups of more than `most`, bool, (n,)."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return np.asarray(counts[places.reshape(-1)] > most)


def carve(
    labels: NDArray[np.int64], splits: NDArray[np.uint8], unit: NDArray[np.int64], carved: Sequence[str]
) -> NDArray[np.uint8]:
    """Take the splits that a source lacks from its training images, 12.5 % of each class per split, in whole units.

    The units' order decides, independent of other pictures, so that few images move
    when a user adds some: otherwise a network continued with `--from` would be evaluated on its training images.

    Args:
        labels: int64, (N,).
        splits: uint8, (N,), from the source.
        unit: int64, (N,), from `edgefer.data.identical.by_file`: groups, 0 taken first.
        carved: names of the splits to take.

    Returns:
        uint8, (N,): the splits to use.
    """
    training = np.flatnonzero(splits == SPLITS.index("train"))
    _, members = np.unique(unit[training], return_inverse=True)
    parts = divide(labels[training], members.reshape(-1), len(carved))
    numbers = np.array([SPLITS.index(name) for name in ("train", *carved)], dtype=np.uint8)
    splits = splits.copy()
    splits[training] = numbers[parts]
    return splits


def divide(labels: NDArray[np.int64], unit: NDArray[np.int64], parts: int) -> NDArray[np.uint8]:
    """Return the part of each image, uint8, (n,): 0 the rest, 1 to `parts` about `SHARE` of each class.

    Each unit goes, in order, to the first part whose distance from its target shares it does
    not increase, otherwise to the rest. The distance is Pearson's chi-squared by class. No part gets all units of a
    class; each gets one of every class with enough units.
    """
    totals = np.bincount(labels)
    pairs, images = np.unique(unit * len(totals) + labels, return_counts=True)
    counts: list[_Counts] = [[] for _ in range(int(unit.max()) + 1)] if len(unit) else []
    for pair, count in zip(pairs.tolist(), images.tolist(), strict=True):
        counts[pair // len(totals)].append((pair % len(totals), count))
    left = [0] * len(totals)  # units of each class not yet in a part
    for held in counts:
        for label, _ in held:
            left[label] += 1
    enough = [units > parts for units in left]
    wanted = [
        max(SHARE * total, 1.0) if many else SHARE * total for total, many in zip(totals.tolist(), enough, strict=True)
    ]
    have = [[0] * len(totals) for _ in range(parts)]
    taken = np.zeros(len(counts), dtype=np.uint8)

    def change(held: _Counts, part: int) -> float:
        """Return the increase of a part's distance with a unit."""
        now = have[part]
        return sum((count * (count + 2 * (now[label] - wanted[label])) / wanted[label] for label, count in held), 0.0)

    def take(number: int, part: int) -> None:
        taken[number] = part + 1
        for label, count in counts[number]:
            have[part][label] += count
            left[label] -= 1

    def spared(held: _Counts, part: int) -> bool:
        """Return whether a unit is not needed by the rest and by other parts that lack its classes."""
        others = [have[other] for other in range(parts) if other != part]
        return all(left[label] - 1 > sum(enough[label] and not each[label] for each in others) for label, _ in held)

    for number, held in enumerate(counts):
        part = next((part for part in range(parts) if change(held, part) <= _EVEN and spared(held, part)), None)
        if part is not None:
            take(number, part)

    def able(number: int, label: int) -> bool:
        """Return whether a unit has images of a class and is not needed by the rest."""
        held = [each for each, _ in counts[number]]
        return not taken[number] and label in held and all(left[each] > 1 for each in held)

    for part in range(parts):
        for label in np.argsort(totals, kind="stable").tolist():  # rarest first
            if enough[label] and not have[part][label]:
                costs = [(change(held, part), number) for number, held in enumerate(counts) if able(number, label)]
                if costs:
                    take(min(costs)[1], part)
    return taken[unit] if len(unit) else np.zeros(0, np.uint8)


def division(groups: Groups | str, unit: NDArray[np.int64], cut: int) -> Division:
    """Return the description of a division.

    Args:
        groups: used, or why there are none.
        unit: int64, (n,): of the training images.
        cut: from `Units`.
    """
    number = len(np.unique(unit))
    if isinstance(groups, str):
        return Division("picture", one_line(groups, _RULE), number, cut)
    return Division(groups.by, one_line(groups.rule, _RULE), number, cut)
