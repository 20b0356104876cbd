"""Metrics against scikit-learn and scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax as scipy_softmax
from scipy.stats import binomtest
from sklearn import metrics as reference

from edgefer.evaluation import metrics

pairs = st.integers(2, 8).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60),
    )
)
many = settings(max_examples=100, deadline=None)


def test_cross_entropy_is_scikit_learns_also_for_large_logits() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 5, (40, 7)).astype(np.float32), random.integers(0, 7, 40)
    wanted = reference.log_loss(labels, scipy_softmax(logits.astype(np.float64), axis=1), labels=range(7))
    assert metrics.cross_entropy(logits, labels) == pytest.approx(wanted)
    assert metrics.cross_entropy(logits + 1000, labels) == pytest.approx(wanted, rel=1e-4)


@many
@given(pairs)
def test_confusion_f1_and_accuracy_are_scikit_learns(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, both = case
    labels, predictions = np.array(both).T
    matrix = metrics.confusion(labels, predictions, classes)
    names = list(range(classes))
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(labels, predictions, labels=names))
    figures = metrics.per_class(matrix)
    expected = reference.precision_recall_fscore_support(labels, predictions, labels=names, zero_division=0)
    for ours, theirs in zip((figures.precision, figures.recall, figures.f1, figures.support), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert metrics.accuracy(matrix) == pytest.approx(reference.accuracy_score(labels, predictions))
    # Without `labels`, scikit-learn averages over the classes that occur.
    for average, mean in (("macro", metrics.macro_f1), ("weighted", metrics.weighted_f1)):
        theirs = reference.f1_score(labels, predictions, average=average, zero_division=0)
        assert mean(matrix) == pytest.approx(theirs)


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (5, 5), (1, 2), (2500, 3589), (3, 1000)])
def test_the_interval_is_wilsons(correct: int, total: int) -> None:
    expected = binomtest(correct, total).proportion_ci(method="wilson")
    assert metrics.wilson(correct, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_softmax_is_scipys_and_does_not_overflow() -> None:
    logits = np.random.default_rng(0).normal(0, 300, (50, 7)).astype(np.float32)
    np.testing.assert_allclose(metrics.softmax(logits), scipy_softmax(logits.astype(np.float64), axis=1), rtol=1e-12)


def _calibration_error_by_the_book(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> float:
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def test_calibration_error_is_the_formulas() -> None:
    random = np.random.default_rng(1)
    probabilities = scipy_softmax(random.normal(0, 2, (500, 7)), axis=1)
    labels = random.integers(0, 7, 500)
    for bins in (1, 10, 15):
        expected = _calibration_error_by_the_book(probabilities, labels, bins)
        assert metrics.calibration_error(probabilities, labels, bins) == pytest.approx(expected)


def test_calibration_error_of_known_cases() -> None:
    sure = np.eye(4)[[0, 1, 2, 3]]
    assert metrics.calibration_error(sure, np.array([0, 1, 2, 3])) == 0
    assert metrics.calibration_error(sure, np.array([0, 1, 2, 0])) == pytest.approx(0.25)
    half = np.full((4, 2), 0.5)
    assert metrics.calibration_error(half, np.array([0, 1, 0, 1])) == pytest.approx(0)
