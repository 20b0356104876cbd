"""Accuracy of a network on the images of a split, as in `result.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import data
from edgefer.bench.probes.base import Context, Probe
from edgefer.bench.result import ClassRow, Quality
from edgefer.bundle import Bundle
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import InputError
from edgefer.evaluation import metrics, predict

_BATCH = 64
_BLOCK = 4096  # images in memory at a time, besides their logits


@dataclass(frozen=True)
class Accuracy:
    """Quality of one network's predictions.

    Attributes:
        quality: on all images.
        shared: choosing only among the data's classes; None if these are all of its classes.
        leak_free: on those without a copy among the training images; None: not requested, or there are none.
        per_class: in the order of the bundle's labels.
        confusion: images; rows are true classes, columns predicted ones.
    """

    quality: Quality
    shared: Quality | None
    leak_free: Quality | None
    per_class: list[ClassRow]
    confusion: list[list[int]]


def leak_free(dataset: Dataset, rows: Split) -> Split | None:
    """Return the test images without a copy among the training images, or None for another split than ``test``."""
    if rows.name != "test":
        return None
    try:
        return data.split(dataset, "test-leak-free")
    except InputError:  # all of them also occur in training
        return rows.subset(np.empty(0, dtype=np.int64), "test-leak-free")


def of(
    bundle: Bundle, rows: Split, clean: Split | None, logits: NDArray[np.float32], shared: Sequence[int] = ()
) -> Accuracy:
    """Evaluate a network's predictions.

    Args:
        bundle: provides labels and temperature.
        rows: the images.
        clean: `leak_free` of them.
        logits: float32, (n, classes), before the temperature.
        shared: the classes with images, if these are only some of the network's.
    """
    labels = bundle.manifest.labels
    temperature = np.float32(bundle.manifest.temperature)  # as `predict` does: confidence matters here
    kept = None if clean is None else np.isin(rows.indices, clean.indices)
    counted = _count(rows.labels, logits, temperature)
    figures = metrics.per_class(counted.matrix)
    among = None
    if len(shared):
        chosen = np.full_like(logits, -np.inf)
        chosen[:, list(shared)] = logits[:, list(shared)]
        among = _quality(_count(rows.labels, chosen, temperature))
    return Accuracy(
        quality=_quality(counted),
        shared=among,
        leak_free=None if kept is None or not kept.any() else _quality(_count(rows.labels, logits, temperature, kept)),
        per_class=[
            ClassRow(label=label, images=int(images), precision=float(precision), recall=float(recall), f1=float(f1))
            for label, images, precision, recall, f1 in zip(
                labels, figures.support, figures.precision, figures.recall, figures.f1, strict=True
            )
        ],
        confusion=counted.matrix.tolist(),
    )


@dataclass(frozen=True)
class _Counted:
    """Counts from which all figures are computed; their size does not depend on the number of images."""

    matrix: NDArray[np.int64]
    gaps: NDArray[np.float64]


def _count(
    labels: NDArray[np.int64],
    logits: NDArray[np.float32],
    temperature: np.float32,
    kept: NDArray[np.bool_] | None = None,
) -> _Counted:
    """Count block by block: probabilities of all images at once would take eight times the memory of the logits."""
    classes = logits.shape[1]
    found = []
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        chosen = slice(None) if kept is None else kept[block]
        truth, part = labels[block][chosen], logits[block][chosen]
        probabilities = metrics.softmax(part / temperature)
        found.append(
            _Counted(
                metrics.confusion(truth, part.argmax(axis=1), classes), metrics.calibration_gaps(probabilities, truth)
            )
        )
    return _Counted(np.sum([each.matrix for each in found], axis=0), np.sum([each.gaps for each in found], axis=0))


def _quality(counted: _Counted) -> Quality:
    matrix = counted.matrix
    images = int(matrix.sum())
    low, high = metrics.wilson(int(np.trace(matrix)), images)
    return Quality(
        images=images,
        accuracy=metrics.accuracy(matrix),
        low=low,
        high=high,
        macro_f1=metrics.macro_f1(matrix),
        weighted_f1=metrics.weighted_f1(matrix),
        calibration_error=float(np.abs(counted.gaps).sum() / images),
    )


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    context.logits = [
        predict.logits(
            each.session.infer, each.preprocessing, context.first.rows, _BATCH, f"evaluating {each.full_name}"
        )
        for each in context.candidates
    ]
    first = context.first
    return [
        vars(of(each.bundle, first.rows, first.clean, logits, first.shared))
        for each, logits in zip(context.candidates, context.logits, strict=True)
    ]


PROBE = Probe("accuracy", _measure)
