"""The benchmark figure to compare a claim with, and its confidence interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer.bench.result import NetworkEntry, Training
from edgefer.claims.ledger import Test
from edgefer.evaluation import metrics

_DRAWS = 2000
_ENDS = (2.5, 97.5)


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval.

    Attributes:
        value: a share, or a number of epochs.
        low: lower end; the value itself if no images are sampled.
        high: upper end.
        images: number of images, or None.
    """

    value: float
    low: float
    high: float
    images: int | None


def measure(wanted: Test, training: Training, entry: NetworkEntry, classes: tuple[str, ...]) -> Figure | None:
    """Return the figure, or None if the benchmark lacks it.

    Proportions get Wilson's interval. Other metrics get a percentile bootstrap over the images of
    the confusion matrix (Efron and Tibshirani, "An introduction to the bootstrap", 1993, 13.3).

    Args:
        wanted: the figure.
        training: the network's training.
        entry: the FP32 network, checked by `is_possible`.
        classes: names of the confusion matrix's rows.
    """
    if wanted.what == "best-epoch":
        best = training.best_epoch
        return None if best is None else Figure(best, best, best, None)
    if wanted.what == "validation-accuracy":
        accuracy, images = training.validation_accuracy, training.validation_images
        return None if accuracy is None or images is None else _share(round(accuracy * images), images)
    if wanted.label is not None and wanted.label not in classes:
        return None
    matrix = np.array(entry.confusion, np.int64)
    place = 0 if wanted.label is None else classes.index(wanted.label)
    right, images = int(matrix[place, place]), int(matrix.sum())
    if wanted.what in ("accuracy", "weighted-recall"):  # these are equal
        return _share(int(np.trace(matrix)), images)
    if wanted.what == "precision":
        return _share(right, int(matrix[:, place].sum()))
    if wanted.what == "recall":
        return _share(right, int(matrix[place].sum()))
    statistic = _STATISTICS[wanted.what]
    draws = np.random.default_rng(0).multinomial(images, matrix.ravel() / images, _DRAWS).reshape(-1, *matrix.shape)
    low, high = np.percentile(statistic(draws, place), _ENDS)
    value = float(statistic(matrix[None], place)[0])
    return Figure(value, min(float(low), value), max(float(high), value), images)


def is_possible(entry: NetworkEntry, classes: tuple[str, ...]) -> bool:
    """Return whether a network's confusion matrix, from an untrusted file, fits its accuracy."""
    matrix = entry.confusion
    if len(matrix) != len(classes) or any(len(row) != len(classes) or min(row) < 0 for row in matrix):
        return False
    images, right = sum(map(sum, matrix)), sum(row[place] for place, row in enumerate(matrix))
    return images == entry.quality.images < 1 << 40 and abs(right / images - entry.quality.accuracy) < 1e-9


def _share(right: int, images: int) -> Figure | None:
    if not 0 <= right <= images or not images:
        return None
    low, high = metrics.wilson(right, images)
    value = right / images
    return Figure(value, min(low, value), max(high, value), images)


def _f1(matrices: NDArray[np.int64]) -> NDArray[np.float64]:
    return metrics.per_class(matrices).f1


def _weighted(values: NDArray[np.float64], matrices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean over classes, weighted by images: (n,)."""
    images = matrices.sum(axis=2)
    return np.asarray((values * images).sum(axis=1) / images.sum(axis=1))


_Statistic = Callable[[NDArray[np.int64], int], NDArray[np.float64]]
_STATISTICS: dict[str, _Statistic] = {
    "f1": lambda matrices, place: _f1(matrices)[:, place],
    "macro-precision": lambda matrices, _: metrics.per_class(matrices).precision.mean(axis=1),
    "macro-recall": lambda matrices, _: metrics.per_class(matrices).recall.mean(axis=1),
    "macro-f1": lambda matrices, _: _f1(matrices).mean(axis=1),
    "weighted-precision": lambda matrices, _: _weighted(metrics.per_class(matrices).precision, matrices),
    "weighted-f1": lambda matrices, _: _weighted(_f1(matrices), matrices),
}
