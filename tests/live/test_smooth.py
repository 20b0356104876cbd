"""Labels stay stable under jitter, follow a change quickly, and are unsure if the network is."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

from edgefer.evaluation.metrics import softmax
from edgefer.labels import LABELS
from edgefer.live.smooth import Smoother, Smoothing

HAPPY, SAD = LABELS.index("happy"), LABELS.index("sad")


def answer(logits: np.ndarray) -> dict[str, float]:
    return dict(zip(LABELS, softmax(logits[None])[0].tolist(), strict=True))


def sure_of(label: int, ahead: float = 3.0) -> np.ndarray:
    logits = np.zeros(len(LABELS))
    logits[label] = ahead
    return logits


@pytest.mark.parametrize("rate", [5, 15, 30, 60])
def test_a_change_shows_within_half_a_second_at_any_rate(rate: int) -> None:
    smoother = Smoother(LABELS, Smoothing())
    for number in range(4 * rate):
        smoother.add(answer(sure_of(HAPPY)), number / rate)
    assert (smoother.label, smoother.since) == ("happy", 0.0)
    for number in range(4 * rate, 5 * rate):
        smoother.add(answer(sure_of(SAD)), number / rate)
    assert smoother.label == "sad"
    assert 4.0 <= smoother.since <= 4.5
    assert smoother.probabilities["sad"] > 0.6
    assert sum(smoother.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("rate", [2, 5, 15, 60])
def test_one_odd_frame_changes_nothing(rate: int) -> None:
    smoother = Smoother(LABELS, Smoothing())
    for number in range(60):
        smoother.add(answer(sure_of(SAD if number == 40 else HAPPY)), number / rate)
        assert smoother.label == "happy"


def test_answers_that_jitter_around_a_tie_keep_one_label() -> None:
    """The frame's own label changes hundreds of times a minute."""
    rng = np.random.default_rng(0)
    smoother, shown, own = Smoother(LABELS, Smoothing()), [], []
    for number in range(60 * 15):
        logits = sure_of(HAPPY, 2.5) + sure_of(SAD, 2.2)
        logits[[HAPPY, SAD]] += 0.5 * rng.standard_normal(2)
        smoother.add(answer(logits), number / 15)
        shown.append(smoother.label)
        own.append(int(logits.argmax()))
    assert np.count_nonzero(np.diff(own)) > 200
    assert sum(one != other for one, other in itertools.pairwise(shown)) <= 1


def test_unsure_begins_below_the_bound_and_ends_well_above_it() -> None:
    smoother = Smoother(LABELS, Smoothing(seconds=0.5, min_confidence=0.5, leave=0.1))

    def after(probability: float) -> str:
        rest = (1 - probability) / (len(LABELS) - 1)
        for _ in range(100):
            values = {label: probability if label == "happy" else rest for label in LABELS}
            smoother.add(values, smoother._time + 0.1)
        return smoother.label

    assert [after(value) for value in (0.7, 0.52, 0.45, 0.55, 0.65)] == ["happy", "happy", "unsure", "unsure", "happy"]
    assert smoother.steady == "happy"


def test_a_restored_smoother_goes_on_as_the_first() -> None:
    rng = np.random.default_rng(1)
    first = Smoother(LABELS, Smoothing())
    for number in range(50):
        first.add(answer(rng.standard_normal(len(LABELS))), number / 10)
    second = Smoother.restored(LABELS, Smoothing(), json.loads(json.dumps(first.state())))
    for number in range(50, 100):
        logits = answer(rng.standard_normal(len(LABELS)))
        first.add(logits, number / 10)
        second.add(logits, number / 10)
    assert first.state() == second.state()


@pytest.mark.parametrize(
    "wrong",
    [
        {"slow": [0.0]},
        {"quick": [math.nan] * 7},
        {"evidence": [[0.0] * 7]},
        {"usual": []},
        {"below": math.inf},
        {"current": 7},
        {"label": "bored"},
        {"age": "x"},
    ],
    ids=str,
)
def test_a_state_of_another_smoother_is_refused(wrong: dict[str, Any]) -> None:
    smoother = Smoother(LABELS, Smoothing())
    smoother.add(answer(sure_of(HAPPY)), 0.0)
    with pytest.raises(ValueError, match=r"state of a smoother|could not convert"):
        Smoother.restored(LABELS, Smoothing(), {**smoother.state(), **wrong})


def test_a_face_between_two_expressions_keeps_its_label_while_it_sways() -> None:
    """The outputs lean to either side for half a second at a time, and are otherwise the same."""
    rng = np.random.default_rng(2)
    smoother, shown, own = Smoother(LABELS, Smoothing()), [], []
    lean = 0.0
    for number in range(60 * 15):
        lean = 0.9 * lean + 0.436 * rng.standard_normal()  # a standard deviation of 1, and of about 0.6 seconds
        logits = sure_of(HAPPY, 2.6) + sure_of(SAD, 2.2)
        logits[[HAPPY, SAD]] += np.array([-0.4, 0.4]) * lean
        smoother.add(answer(logits), number / 15)
        shown.append(smoother.label)
        own.append(int(logits.argmax()))
    assert np.count_nonzero(np.diff(own)) > 50
    assert sum(one != other for one, other in itertools.pairwise(shown)) <= 1


def test_an_answer_that_is_another_one_altogether_shows_soon_though_its_label_is_barely_ahead() -> None:
    smoother = Smoother(LABELS, Smoothing())
    before, after = sure_of(HAPPY, 4.0), sure_of(SAD, 2.5) + sure_of(LABELS.index("fear"), 2.0)
    for number in range(60):
        smoother.add(answer(before), number / 15)
    for number in range(60, 75):
        smoother.add(answer(after), number / 15)
    assert smoother.label == "sad"
    assert smoother.since <= 4.5


def test_a_gap_gives_one_frame_no_more_weight() -> None:
    smoother = Smoother(LABELS, Smoothing())
    for number in range(30):
        smoother.add(answer(sure_of(HAPPY)), number / 15)
    smoother.add(answer(sure_of(SAD)), 4.5)  # lost by the detector
    assert smoother.label == "happy"
    assert smoother.probabilities["happy"] > 0.5
