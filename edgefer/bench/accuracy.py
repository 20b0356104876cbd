"""How often a network is right on the images of a split, as `result.json` has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer import data
from edgefer.bench.result import ClassRow, Quality
from edgefer.bundle import Bundle
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import InputError
from edgefer.evaluation import metrics


@dataclass(frozen=True)
class Accuracy:
    """What one network's answers are worth.

    Attributes:
        quality: on all images.
        leak_free: on those without a copy among the training images; None where that is not asked for, or none are.
        per_class: in the order of the bundle's labels.
        confusion: images; rows are true classes, columns predicted ones.
    """

    quality: Quality
    leak_free: Quality | None
    per_class: list[ClassRow]
    confusion: list[list[int]]


def leak_free(dataset: Dataset, rows: Split) -> Split | None:
    """Return the test images without a copy among the training images, or None for another split than ``test``."""
    if rows.name != "test":
        return None
    try:
        return data.split(dataset, "test-leak-free")
    except InputError:  # every one of them stands in training too
        return rows.subset(np.empty(0, dtype=np.int64), "test-leak-free")


def of(bundle: Bundle, rows: Split, clean: Split | None, logits: NDArray[np.float32]) -> Accuracy:
    """Judge a network's answers.

    Args:
        bundle: that it belongs to: labels and temperature.
        rows: the images.
        clean: `leak_free` of them.
        logits: float32, (n, classes), before the temperature.
    """
    labels = bundle.manifest.labels
    matrix = metrics.confusion(rows.labels, logits.argmax(axis=1), len(labels))
    figures = metrics.per_class(matrix)
    kept = None if clean is None else np.isin(rows.indices, clean.indices)
    logits = logits / np.float32(bundle.manifest.temperature)  # as `predict` does: confidence counts here
    return Accuracy(
        quality=_quality(rows.labels, logits),
        leak_free=None if kept is None or not kept.any() else _quality(rows.labels[kept], logits[kept]),
        per_class=[
            ClassRow(label=label, images=int(images), precision=float(precision), recall=float(recall), f1=float(f1))
            for label, images, precision, recall, f1 in zip(
                labels, figures.support, figures.precision, figures.recall, figures.f1, strict=True
            )
        ],
        confusion=matrix.tolist(),
    )


def _quality(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> Quality:
    matrix = metrics.confusion(labels, logits.argmax(axis=1), logits.shape[1])
    low, high = metrics.wilson(int(np.trace(matrix)), len(labels))
    return Quality(
        images=len(labels),
        accuracy=metrics.accuracy(matrix),
        low=low,
        high=high,
        macro_f1=metrics.macro_f1(matrix),
        weighted_f1=metrics.weighted_f1(matrix),
        calibration_error=metrics.calibration_error(metrics.softmax(logits), labels),
    )
