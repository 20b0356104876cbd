"""Classification metrics from labels and predictions. Tested against scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return probabilities, float64, of the same shape as `logits`; the last axis sums to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def cross_entropy(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Return the mean cross-entropy in nats of logits (n, classes) to the labels, (n,)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    improbable = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return float(improbable.mean())


def confusion(
    labels: NDArray[np.integer[Any]], predictions: NDArray[np.integer[Any]], classes: int
) -> NDArray[np.int64]:
    """Return the confusion matrix.

    Args:
        labels: (n,), true classes, 0 to classes - 1.
        predictions: (n,), predicted classes.
        classes: number of classes.

    Returns:
        int64, (classes, classes): entry [t, p] counts images of class t that were predicted as p.
    """
    both = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(both, minlength=classes * classes).reshape(classes, classes)


def accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the share of images on the diagonal of a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())


@dataclass(frozen=True)
class PerClass:
    """Metrics of each class, float64 (..., classes); 0 for 0 / 0.

    Attributes:
        precision: share of images predicted as this class that belong to it.
        recall: share of images of this class that were predicted as it.
        f1: harmonic mean of precision and recall.
        support: int64, images of this class.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]


def per_class(matrix: NDArray[np.int64]) -> PerClass:
    """Return precision, recall, F1 and support, (..., classes), of confusion matrices, (..., classes, classes)."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1).astype(np.float64)
    predicted, support = matrix.sum(axis=-2), matrix.sum(axis=-1)
    return PerClass(
        precision=_quotient(hits, predicted),
        recall=_quotient(hits, support),
        f1=_quotient(2 * hits, predicted + support),
        support=support,
    )


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Return the mean F1 over classes that occur among labels or predictions (scikit-learn's default)."""
    occur = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
    return float(per_class(matrix).f1[occur].mean())


def weighted_f1(matrix: NDArray[np.int64]) -> float:
    """Return the mean F1 over classes, each weighted by its number of images."""
    figures = per_class(matrix)
    return float((figures.f1 * figures.support).sum() / figures.support.sum())


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a proportion.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    share = correct / total
    z = Z95
    spread = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    centre, scale = share + z * z / (2 * total), 1 + z * z / total
    return max(0.0, float((centre - spread) / scale)), min(1.0, float((centre + spread) / scale))


def calibration_error(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], bins: int = 15
) -> float:
    """Return the expected calibration error: mean distance between confidence and accuracy, weighted by bin size.

    Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3: bins of equal width, closed
    on the right, over the probability of the predicted class.

    Args:
        probabilities: (n, classes).
        labels: (n,), true classes.
        bins: number of bins over 0 to 1.
    """
    return float(np.abs(calibration_gaps(probabilities, labels, bins)).sum() / len(labels))


def calibration_gaps(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], bins: int = 15
) -> NDArray[np.float64]:
    """Return the sums used by `calibration_error`, so that images can be processed in blocks.

    Args:
        probabilities: (n, classes).
        labels: (n,), true classes.
        bins: number of bins over 0 to 1.

    Returns:
        float64, (bins,): correct images minus the sum of confidences, per bin.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return np.asarray(np.bincount(which, weights=correct - confidence.astype(np.float64), minlength=bins), np.float64)


def _quotient(over: NDArray[np.float64], under: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)
