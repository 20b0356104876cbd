"""Figures by group: real gaps are found, and chance is not reported as one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import recall_score

from edgefer.evaluation import by_group, metrics

CLASSES = ("happy", "sad")
RANDOM = np.random.default_rng(7)


def logits(labels: NDArray[np.int64], right: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return logits that are right where requested, with some confidence."""
    predicted = np.where(right, labels, 1 - labels)
    return np.asarray(np.eye(2)[predicted] * RANDOM.uniform(0.5, 2, (len(labels), 1)), np.float32)


def test_a_gap_that_was_put_in_is_found_and_figures_are_those_of_each_group() -> None:
    labels = RANDOM.integers(0, 2, 1200)
    camera = np.where(np.arange(1200) % 3 == 0, "old", "new")
    outputs = logits(labels, RANDOM.random(1200) < np.where(camera == "old", 0.6, 0.8))
    noise = [str(value) for value in RANDOM.integers(0, 4, 1200)]
    values = ["" if place < 10 else value for place, value in enumerate(camera)]
    by_camera, by_noise = by_group.figures({"camera": values, "noise": noise}, labels, outputs, CLASSES, 1.0)

    assert by_camera.unknown == 10
    assert by_camera.gap is not None
    assert (by_camera.gap.low, by_camera.gap.high) == ("old", "new")
    assert by_camera.gap.exceeds_chance
    assert by_camera.gap.p_corrected == pytest.approx(2 * by_camera.gap.p)  # Holm, of two columns
    assert by_noise.gap is not None
    assert not by_noise.gap.exceeds_chance

    old = by_camera.groups[1]
    chosen = np.flatnonzero(np.array(values) == "old")
    hits = outputs.argmax(axis=1)[chosen] == labels[chosen]
    assert old.accuracy.estimate == pytest.approx(hits.mean())
    assert (old.accuracy.low, old.accuracy.high) == pytest.approx(metrics.wilson(int(hits.sum()), len(hits)))
    error = metrics.calibration_error(metrics.softmax(outputs[chosen]), labels[chosen])
    assert old.calibration_error.estimate == pytest.approx(error)
    assert old.calibration_error.low < error < old.calibration_error.high + 0.02
    expected = recall_score(labels[chosen], outputs.argmax(axis=1)[chosen], average=None)
    assert [each.recall for each in old.recall] == pytest.approx(expected)


def test_a_group_of_harder_classes_is_no_group_of_harder_faces() -> None:
    labels = np.repeat([0, 1], 600)
    group = np.where(RANDOM.random(1200) < np.where(labels == 0, 0.8, 0.2), "a", "b")  # a has the easy class
    outputs = logits(labels, RANDOM.random(1200) < np.where(labels == 0, 0.95, 0.5))
    (found,) = by_group.figures({"group": list(group)}, labels, outputs, CLASSES, 1.0)
    assert found.gap is not None
    assert found.gap.difference > 0.2
    assert not found.gap.exceeds_chance


def test_a_few_people_are_no_evidence_however_many_pictures_they_have() -> None:
    people = np.repeat(np.arange(8), 100)
    skill = np.array([0.9, 0.9, 0.6, 0.9, 0.6, 0.6, 0.9, 0.6])  # the network's accuracy on each of them
    sex = np.where(people < 4, "f", "m")
    labels = RANDOM.integers(0, 2, 800)
    outputs = logits(labels, RANDOM.random(800) < skill[people])
    (pictures,) = by_group.figures({"sex": list(sex)}, labels, outputs, CLASSES, 1.0)
    (known,) = by_group.figures({"sex": list(sex)}, labels, outputs, CLASSES, 1.0, [f"p{each}" for each in people])
    assert pictures.gap is not None
    assert known.gap is not None
    assert pictures.gap.exceeds_chance
    assert not known.gap.exceeds_chance
    assert (pictures.gap.permuted, known.gap.permuted) == ("pictures", "people")
    sex[0] = "m"  # a person in both groups adds no evidence
    (crossed,) = by_group.figures({"sex": list(sex)}, labels, outputs, CLASSES, 1.0, [f"p{each}" for each in people])
    assert crossed.gap is not None
    assert (crossed.gap.permuted, crossed.gap.exceeds_chance) == ("people", False)
    wide, narrow = (each.groups[0].accuracy for each in (known, pictures))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_small_groups_are_named_and_not_judged() -> None:
    labels = RANDOM.integers(0, 2, 100)
    values = ["a"] * 60 + ["b"] * 29 + ["c"] * 11
    (found,) = by_group.figures({"x": values}, labels, logits(labels, labels >= 0), CLASSES, 1.0)
    assert [each.group for each in found.groups] == ["a"]
    assert [(each.group, each.images) for each in found.small] == [("b", 29), ("c", 11)]
    assert found.gap is None
    people = [f"p{place // 30}" for place in range(60)] + [f"q{place}" for place in range(40)]
    (few,) = by_group.figures({"x": ["a"] * 60 + ["b"] * 40}, labels, logits(labels, labels >= 0), CLASSES, 1.0, people)
    assert [(each.group, each.people) for each in few.small] == [("a", 2)]


def test_without_any_difference_chance_is_exceeded_as_seldom_as_it_says() -> None:
    exceeded = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        hits, labels = random.random(240) < 0.7, random.integers(0, 2, 240)
        groups = [str(value) for value in random.choice(4, 240, p=[0.4, 0.3, 0.15, 0.15])]
        (found,) = by_group.figures({"x": groups}, labels, logits(labels, hits), CLASSES, 1.0)
        exceeded += found.gap is not None and found.gap.exceeds_chance
    assert exceeded <= 8  # of 60 at 5 %: more has a probability of 0.2 %
