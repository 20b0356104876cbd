"""The synthetic faces are hard enough for accuracy to tell a working pipeline from a broken one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgefer import data, recipes
from edgefer.data.dataset import Dataset
from edgefer.learning import checkpoint, evaluate
from edgefer.preprocessing import Preprocessing
from edgefer.training.trainer import train

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return data.builtin()


@pytest.fixture(scope="module", params=SEEDS)
def run(request: pytest.FixtureRequest, faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's own training, with one of three seeds."""
    return train(recipes.load("quickstart", seed=request.param), faces, tmp_path_factory.mktemp("run") / "run").run


def accuracy(run: Path, faces: Dataset, preprocessing: Preprocessing | None = None, inverted: bool = False) -> float:
    kept = checkpoint.read(run)
    test = data.split(faces, "test")
    if inverted:
        test = dataclasses.replace(test, source=255 - test.source)
    answers = evaluate.logits(checkpoint.build(kept), test, preprocessing or kept.recipe.preprocessing)
    return float((answers.argmax(1) == test.labels).mean())


def test_the_quickstart_network_is_good_but_not_perfect(run: Path, faces: Dataset) -> None:
    assert 0.75 <= accuracy(run, faces) <= 0.95


def test_another_mean_than_in_training_costs_at_least_ten_points(run: Path, faces: Dataset) -> None:
    wrong = checkpoint.read(run).recipe.preprocessing.model_copy(update={"mean": (0.0,)})
    assert accuracy(run, faces, wrong) <= accuracy(run, faces) - 0.10


def test_other_colours_than_in_training_cost_at_least_ten_points(run: Path, faces: Dataset) -> None:
    assert accuracy(run, faces, inverted=True) <= accuracy(run, faces) - 0.10


def test_with_shuffled_labels_it_stays_at_chance(faces: Dataset, tmp_path: Path) -> None:
    shuffled = dataclasses.replace(faces, labels=np.random.default_rng(0).permutation(faces.labels))
    run = train(recipes.load("quickstart", epochs=4), shuffled, tmp_path / "run").run
    most_frequent = np.bincount(data.split(faces, "test").labels).max() / len(data.split(faces, "test"))
    assert accuracy(run, faces) <= most_frequent + 0.05
