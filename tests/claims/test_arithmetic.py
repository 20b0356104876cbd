"""Arithmetic on rounded numbers: true reports are never contradicted, false ones are, unless rounding explains them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from edgefer.claims import arithmetic, spans
from edgefer.claims.spans import Span

# Confusion matrices of a few classes; each class occurs and is predicted.
matrices = st.integers(2, 4).flatmap(
    lambda classes: st.lists(
        st.lists(st.integers(0, 60), min_size=classes, max_size=classes), min_size=classes, max_size=classes
    )
)
places = st.integers(1, 4)
steady = settings(max_examples=100, deadline=None)  # no time limit in tests


def written(values: np.ndarray, digits: int) -> list[Span]:
    """Return values rounded as in a report."""
    return [spans.read(f"{value:.{digits}f}") for value in values]


@settings(max_examples=40, deadline=None)
@given(matrices, places)
def test_no_check_contradicts_a_true_report(rows: list[list[int]], digits: int) -> None:
    matrix = np.array(rows)
    assume(matrix.diagonal().all())  # so that no precision is 0
    labels = np.repeat(np.arange(len(matrix)), matrix.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(len(matrix)), row) for row in matrix])
    figures = precision_recall_fscore_support(labels, predicted)
    precisions, recalls, f1s = (written(column, digits) for column in figures[:3])
    assume(all(each.low > 0 for each in precisions))
    supports = figures[3].tolist()
    accuracy = written(np.array([np.trace(matrix) / matrix.sum()]), digits)[0]

    assert all(
        claimed.meets(arithmetic.f1(precision, recall))
        for claimed, precision, recall in zip(f1s, precisions, recalls, strict=True)
    )
    for average, weights in (("macro", None), ("weighted", supports)):
        true = precision_recall_fscore_support(labels, predicted, average=average)
        for column, mean in zip((precisions, recalls, f1s), written(np.array(true[:3]), digits), strict=True):
            assert mean.meets(arithmetic.mean(column, weights))
    found = arithmetic.accuracy(recalls, supports)
    assert found is not None
    assert accuracy.meets(found)
    predictions = arithmetic.predictions(precisions, recalls, supports)
    assert predictions is not None
    assert predictions.low <= sum(supports) <= predictions.high
    micro = arithmetic.micro_precision(precisions, recalls, supports)
    assert micro is not None
    assert accuracy.meets(micro)


@steady
@given(st.integers(1, 8000).flatmap(lambda images: st.tuples(st.integers(0, images), st.just(images))), places)
def test_a_true_share_is_attainable(case: tuple[int, int], digits: int) -> None:
    right, images = case
    found = arithmetic.attainable(spans.read(f"{right / images:.{digits}f}"), images)
    assert found is not None
    assert found.low <= right <= found.high


@steady
@given(st.fractions(0, 1), st.fractions(0, 1), st.fractions(0, 1), st.fractions(0, 1))
def test_f1_lies_between_those_of_the_ends(a: Fraction, b: Fraction, c: Fraction, d: Fraction) -> None:
    (low_p, high_p), (low_r, high_r) = sorted((a, b)), sorted((c, d))
    found = arithmetic.f1(Span(low_p, low_p, high_p), Span(low_r, low_r, high_r))
    for p, r in ((low_p, high_r), (high_p, low_r)):
        assert found.low <= (2 * p * r / (p + r) if p + r else 0) <= found.high


@pytest.mark.parametrize(
    ("precision", "recall", "claimed", "fits"),
    [
        ("0.61", "0.66", "0.64", True),  # 0.634, though rounding may make it 0.635
        ("0.68", "0.73", "0.66", False),
        ("0.60", "0.73", "0.66", True),
        ("0.5", "0.5", "0.50", True),
        ("0.00", "0.00", "0.00", True),
        ("0.9535", "0.9126", "0.9329", False),
    ],
)
def test_f1_against_precision_and_recall(precision: str, recall: str, claimed: str, fits: bool) -> None:
    assert spans.read(claimed).meets(arithmetic.f1(spans.read(precision), spans.read(recall))) is fits


def test_a_share_that_no_number_of_images_has() -> None:
    share = spans.read("68.78", unit="%")
    assert arithmetic.attainable(share, 3589) is None
    found = arithmetic.attainable(share, 7178)
    assert found is not None
    assert (found.low, found.mid, found.high) == (4937, 4937, 4937)


def test_recalls_that_no_numbers_of_images_have_give_nothing() -> None:
    recalls, supports = [spans.read("0.5000"), spans.read("0.3333")], [10, 10]
    assert arithmetic.accuracy(recalls, supports) is None
    assert arithmetic.predictions(recalls, recalls, supports) is None
    assert arithmetic.micro_precision(recalls, recalls, supports) is None


def test_precisions_that_take_more_predictions_than_there_are_images() -> None:
    recalls, supports = [spans.read("0.80"), spans.read("0.60")], [100, 100]
    true = arithmetic.predictions([spans.read("0.67"), spans.read("0.75")], recalls, supports)  # 80/120, 60/80
    false = arithmetic.predictions([spans.read("0.97"), spans.read("0.95")], recalls, supports)
    assert true is not None
    assert false is not None
    assert true.low <= 200 <= true.high
    assert false.high < 200


def test_ratios_and_reductions() -> None:
    vgg, small = spans.read("138", unit="M"), spans.read("9.2", unit="M")
    ratio = arithmetic.ratio(vgg, small)
    assert round(float(ratio.mid), 3) == 15.0
    assert not spans.read("10", "about").meets(ratio)
    assert spans.read("10", "magnitude").meets(ratio)
    less = arithmetic.reduction(spans.read("15", "about", "M"), spans.point(6_483_370))
    assert [round(float(value), 3) for value in (less.low, less.mid, less.high)] == [0.545, 0.568, 0.588]
    assert not spans.read("60", "over", "%").meets(less)
