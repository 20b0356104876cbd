"""A network's metrics by group of pictures or people, and whether the worst gap between groups exceeds chance.

If people are known, intervals and tests treat people, not pictures, as independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgefer.evaluation import metrics

MIN_IMAGES = 30  # minimum images in a group: smaller groups are listed but not evaluated
MIN_PEOPLE = 3  # minimum people in a group, if people are known
PERMUTATIONS = 9_999
RESAMPLES = 1_000
SEED = 0
LEVEL = 0.05  # of the test, for all columns of a table
_BINS = 15
_CELLS = 2_000_000  # maximum in memory at a time: resamples or permutations x images or people

Unit = Literal["pictures", "people"]


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupRecall:
    """Recall of one class in one group; Wilson's interval."""

    label: str
    images: int
    recall: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupFigures:
    """One group of a column.

    Attributes:
        group: the value in the table, or a range of numbers.
        images: in the group.
        people: in the group; None: unknown.
        accuracy: Wilson's interval, or a bootstrap over people if they are known.
        calibration_error: expected calibration error, 15 bins; bootstrap. It is biased upwards for few images.
        recall: by class; without classes that the group lacks.
    """

    group: str
    images: int
    people: int | None
    accuracy: Share
    calibration_error: Share
    recall: list[GroupRecall]


@dataclass(frozen=True)
class SmallGroup:
    """A group with too few images or people for a figure."""

    group: str
    images: int
    people: int | None


@dataclass(frozen=True)
class Gap:
    """The worst gap in accuracy between two groups of a column.

    Attributes:
        low: the group with the lowest accuracy.
        high: the group with the highest.
        difference: of the two accuracies.
        p: of a permutation test of the largest gap among all groups: the share of permutations with at least this gap.
        p_corrected: by Holm's method, for all columns of the table.
        exceeds_chance: `p_corrected` is below 0.05.
        permuted: pictures among those of their class, or people.
    """

    low: str
    high: str
    difference: float
    p: float
    p_corrected: float
    exceeds_chance: bool
    permuted: Unit


@dataclass(frozen=True)
class ColumnFigures:
    """The groups of one column, for one network.

    Attributes:
        column: its name in the table.
        groups: those with enough images, by name.
        small: the others.
        unknown: images without a value.
        gap: None if fewer than two groups have enough images.
    """

    column: str
    groups: list[GroupFigures]
    small: list[SmallGroup]
    unknown: int
    gap: Gap | None


def figures(
    columns: Mapping[str, Sequence[str]],
    labels: NDArray[np.int64],
    logits: NDArray[np.float32],
    classes: Sequence[str],
    temperature: float,
    people: Sequence[str] | None = None,
) -> list[ColumnFigures]:
    """Return a network's figures by group, for each column of a table.

    Args:
        columns: by name the group of each image; empty: unknown.
        labels: int64, (n,), true classes.
        logits: float32, (n, classes), before the temperature.
        classes: names of the classes.
        temperature: of the bundle, for confidences.
        people: person in each image; empty: unknown. None: no source.
    """
    probabilities = metrics.softmax(logits / np.float32(temperature))
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = predicted == labels
    bins = np.clip(np.ceil(confidence * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    found = []
    for name, values in columns.items():
        found.append(_column(name, np.asarray(values, dtype=object), right, confidence, bins, labels, classes, people))
    return _corrected(found)


def _column(
    name: str,
    values: NDArray[np.object_],
    right: NDArray[np.bool_],
    confidence: NDArray[np.float64],
    bins: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    people: Sequence[str] | None,
) -> ColumnFigures:
    persons = None if people is None else np.asarray(people, dtype=object)
    judged: list[tuple[str, NDArray[np.int64]]] = []
    groups, small = [], []
    for group in _in_order({str(value) for value in values if value}):
        chosen = np.flatnonzero(values == group)
        unit = None if persons is None else _numbers(persons[chosen])
        count = None if unit is None else int(unit.max()) + 1
        if len(chosen) < MIN_IMAGES or (count is not None and count < MIN_PEOPLE):
            small.append(SmallGroup(group, len(chosen), count))
            continue
        judged.append((group, chosen))
        hits, sure, bin_of = right[chosen], confidence[chosen], bins[chosen]
        accuracy, error = _bootstrap(hits, sure, bin_of, unit)
        if unit is None:
            low, high = metrics.wilson(int(hits.sum()), len(hits))
            accuracy = Share(accuracy.estimate, low, high)
        recall = []
        for place, label in enumerate(classes):
            of_class = hits[labels[chosen] == place]
            if len(of_class):
                low, high = metrics.wilson(int(of_class.sum()), len(of_class))
                recall.append(GroupRecall(label, len(of_class), float(of_class.mean()), low, high))
        groups.append(GroupFigures(group, len(chosen), count, accuracy, error, recall))
    gap = _gap(judged, right, labels, persons) if len(judged) > 1 else None
    return ColumnFigures(name, groups, small, int(sum(not value for value in values)), gap)


def _in_order(groups: set[str]) -> list[str]:
    """Return groups sorted, with ranges sorted by their numbers."""

    def key(group: str) -> tuple[bool, float, str]:
        try:
            return False, float(group.partition(" to ")[0]), group
        except ValueError:
            return True, 0.0, group

    return sorted(groups, key=key)


def _numbers(names: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return a number from 0 for each name; images of unknown people count as different people."""
    known = {name: number for number, name in enumerate(dict.fromkeys(name for name in names if name))}
    found = np.array([known.get(name, -1) for name in names], np.int64)
    found[found < 0] = len(known) + np.arange(int((found < 0).sum()))
    return found


def _bootstrap(
    right: NDArray[np.bool_], confidence: NDArray[np.float64], bins: NDArray[np.int64], unit: NDArray[np.int64] | None
) -> tuple[Share, Share]:
    """Return accuracy and expected calibration error with percentile intervals over resampled images or people."""
    units = np.arange(len(right)) if unit is None else unit
    count = int(units.max()) + 1
    # Per unit: images, correct ones, and for each bin correct ones minus confidence.
    adds = np.zeros((count, 2 + _BINS))
    np.add.at(adds[:, 0], units, 1)
    np.add.at(adds[:, 1], units, right)
    np.add.at(adds, (units, 2 + bins), right - confidence)

    def of(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return sums[..., 1] / sums[..., 0], np.abs(sums[..., 2:]).sum(axis=-1) / sums[..., 0]

    random = np.random.default_rng(SEED)
    drawn = []
    for size in _blocks(RESAMPLES, count):
        picks = random.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        weights = np.bincount(picks.reshape(-1), minlength=size * count).reshape(size, count)
        drawn.append(weights @ adds)
    estimates, draws = of(adds.sum(axis=0)), of(np.concatenate(drawn))
    ends = [np.quantile(each, (0.025, 0.975)) for each in draws]
    accuracy, error = (
        Share(float(estimate), float(low), float(high)) for estimate, (low, high) in zip(estimates, ends, strict=True)
    )
    return accuracy, error


def _blocks(draws: int, count: int) -> list[int]:
    """Return how many draws of `count` units each to take at a time."""
    size = max(1, _CELLS // count)
    return [min(size, draws - start) for start in range(0, draws, size)]


def _gap(
    judged: Sequence[tuple[str, NDArray[np.int64]]],
    right: NDArray[np.bool_],
    labels: NDArray[np.int64],
    persons: NDArray[np.object_] | None,
) -> Gap:
    """Return the gap between the best and the worst group, and its p value.

    Each permutation also uses the largest gap among all groups, which accounts for many groups.
    """
    images = np.concatenate([chosen for _, chosen in judged])
    group = np.repeat(np.arange(len(judged)), [len(chosen) for _, chosen in judged])
    hits = right[images]
    shares = np.array([right[chosen].mean() for _, chosen in judged])
    unit = None if persons is None else _numbers(persons[images])
    if unit is not None and _mostly_one_group_each(unit, group):
        permuted: Unit = "people"
        _, unit = np.unique(unit * len(judged) + group, return_inverse=True)  # a person in two groups counts twice
        draws = _people_permuted(hits, group, unit, len(judged))
    else:
        permuted = "pictures"
        draws = _pictures_permuted(hits, group, labels[images], len(judged))
    observed = float(shares.max() - shares.min())
    gaps = draws.max(axis=1) - draws.min(axis=1)
    p = float((1 + (gaps >= observed - 1e-12).sum()) / (1 + len(gaps)))
    low, high = judged[int(shares.argmin())][0], judged[int(shares.argmax())][0]
    return Gap(low, high, observed, p, p, p < LEVEL, permuted)


def _mostly_one_group_each(unit: NDArray[np.int64], group: NDArray[np.int64]) -> bool:
    """Return whether most people are in a single group, as with sex, not in several, as with camera."""
    groups_of = np.bincount(np.array([*{*zip(unit.tolist(), group.tolist(), strict=True)}])[:, 0])
    return bool(2 * (groups_of == 1).sum() > len(groups_of))


def _pictures_permuted(
    hits: NDArray[np.bool_], group: NDArray[np.int64], labels: NDArray[np.int64], groups: int
) -> NDArray[np.float64]:
    """Return each group's accuracy with groups exchanged among the pictures of each class, (permutations, groups).

    A group keeps its number of pictures per class, so that class difficulty does not count.
    The correct pictures of a class per group are then multivariate hypergeometric.
    """
    random = np.random.default_rng(SEED)
    total = np.zeros((PERMUTATIONS, groups))
    for label in np.unique(labels):
        of_class = labels == label
        counts = np.bincount(group[of_class], minlength=groups)
        total += random.multivariate_hypergeometric(counts, int(hits[of_class].sum()), PERMUTATIONS, method="marginals")
    return np.asarray(total / np.bincount(group, minlength=groups))


def _people_permuted(
    hits: NDArray[np.bool_], group: NDArray[np.int64], unit: NDArray[np.int64], groups: int
) -> NDArray[np.float64]:
    """Return each group's accuracy with groups exchanged among people, (permutations, groups)."""
    random = np.random.default_rng(SEED)
    count = int(unit.max()) + 1
    adds = np.stack([np.bincount(unit, minlength=count), np.bincount(unit, hits, minlength=count)], axis=1)
    of_unit = np.zeros(count, np.int64)
    of_unit[unit] = group
    found = []
    for size in _blocks(PERMUTATIONS, count):
        exchanged = random.permuted(np.broadcast_to(of_unit, (size, count)).copy(), axis=1)
        sums = np.stack([(exchanged == number) @ adds for number in range(groups)], axis=1)  # (size, groups, 2)
        found.append(sums[..., 1] / sums[..., 0])
    return np.concatenate(found)


def _corrected(found: Sequence[ColumnFigures]) -> list[ColumnFigures]:
    """Correct the tests of all columns (S. Holm, "A simple sequentially rejective multiple test procedure", 1979)."""
    tested = sorted((each for each in found if each.gap), key=lambda each: each.gap.p if each.gap else 1.0)
    corrected: dict[str, Gap] = {}
    most = 0.0
    for rank, each in enumerate(tested):
        assert each.gap is not None
        most = max(most, min(1.0, (len(tested) - rank) * each.gap.p))
        corrected[each.column] = replace(each.gap, p_corrected=most, exceeds_chance=most < LEVEL)
    return [replace(each, gap=corrected.get(each.column)) for each in found]
