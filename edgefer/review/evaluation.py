"""Evaluate a network on a split: metrics, confusion pairs, and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgefer.data.dataset import Split
from edgefer.evaluation import metrics
from edgefer.review.result import ClassFigures, Mistake, Pair, ReviewedSplit

# "Failure cases" of the documents that edgefer's recipes follow.
KNOWN = (("neutral", "sad"), ("fear", "surprise"))
_PAIRS = 6  # most frequent pairs of this run, in addition


def figures(logits: NDArray[np.float32], rows: Split, classes: Sequence[str]) -> ReviewedSplit:
    """Compute metrics from a network's logits.

    Args:
        logits: float32, (n, classes), in split order.
        rows: the images.
        classes: class names.
    """
    matrix = metrics.confusion(rows.labels, logits.argmax(axis=1), len(classes))
    per_class = metrics.per_class(matrix)
    low, high = metrics.wilson(int(np.trace(matrix)), int(matrix.sum()))
    return ReviewedSplit(
        images=len(rows),
        accuracy=metrics.accuracy(matrix),
        low=low,
        high=high,
        macro_f1=metrics.macro_f1(matrix),
        confusion=matrix.tolist(),
        per_class=[
            ClassFigures(
                label=label,
                images=int(per_class.support[at]),
                precision=float(per_class.precision[at]),
                recall=float(per_class.recall[at]),
                f1=float(per_class.f1[at]),
            )
            for at, label in enumerate(classes)
        ],
        pairs=_pairs(matrix, classes),
    )


def _pairs(matrix: NDArray[np.int64], classes: Sequence[str]) -> list[Pair]:
    every = [
        Pair(
            label=label,
            predicted=other,
            images=int(matrix[at, to]),
            of=int(matrix[at].sum()),
            known=(label.lower(), other.lower()) in KNOWN,
        )
        for at, label in enumerate(classes)
        for to, other in enumerate(classes)
        if at != to
    ]
    ranked = sorted(every, key=lambda pair: -pair.images)
    own = [pair for pair in ranked if pair.images and not pair.known][:_PAIRS]
    return [pair for pair in ranked if pair.known or pair in own]


def surest(
    logits: NDArray[np.float32],
    rows: Split,
    classes: Sequence[str],
    most: int,
    pair: tuple[str, str] | None = None,
) -> list[tuple[int, Mistake]]:
    """Return the most confident wrong predictions, with the image's index in the split.

    Args:
        logits: float32, (n, classes).
        rows: the images.
        classes: class names.
        most: maximum number.
        pair: true and predicted class; by default all mistakes.
    """
    shares = metrics.softmax(logits)
    predicted, sure = shares.argmax(axis=1), shares.max(axis=1)
    wrong = predicted != rows.labels
    if pair:
        wrong &= (rows.labels == classes.index(pair[0])) & (predicted == classes.index(pair[1]))
    positions = np.flatnonzero(wrong)
    positions = positions[np.argsort(-sure[positions], kind="stable")][:most]
    return [
        (
            int(place),
            Mistake(
                row=int(rows.rows[place]),
                label=classes[rows.labels[place]],
                predicted=classes[predicted[place]],
                confidence=round(float(sure[place]), 4),
            ),
        )
        for place in positions
    ]
