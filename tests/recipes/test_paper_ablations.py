"""The papers' ablations: effects and intervals from known predictions, and a study that goes on where it ended."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgefer import recipes
from edgefer.recipes.schema import WHOLE
from edgefer.training import ablation, trainer
from tests.helpers import scripts
from tests.helpers.stripes import stripes

CLASSES, IMAGES = 4, 400
ROW = """
[[ablations]]
name = "no-flip"
cites = "section 1"
set = ["augment.flip=0.0"]
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = scripts.load("paper_ablations", "benchmarks/training")
    vars(found)["_DRAWS"] = 200
    return found


def training(script: ModuleType, row: str, seed: int, right: int, labels: np.ndarray) -> dict[str, Any]:
    """Return a training whose network is right for the first `right` images."""
    predicted = np.where(np.arange(IMAGES) < right, labels, (labels + 1) % CLASSES)
    matrix = script.metrics.confusion(labels, predicted, CLASSES)
    figures = {name: of(matrix) for name, of in script.STATISTICS.items()}
    return {"row": row, "seed": seed, "set": [], "predicted": script.packed(predicted), **figures}


def test_an_effect_is_paired_and_its_interval_counts_images_and_seeds(script: ModuleType) -> None:
    labels = np.arange(IMAGES) % CLASSES

    def effect(row: tuple[int, int], reference: tuple[int, int]) -> dict[str, Any]:
        done = [
            training(script, name, seed, right, labels)
            for name, both in ((WHOLE, reference), ("row", row))
            for seed, right in enumerate(both)
        ]
        (found,) = script.effects(done, labels, CLASSES)
        assert found["seeds"] == [0, 1]
        return dict(found["accuracy"])

    same = effect((200, 200), (200, 200))
    assert same == {"points": 0, "low": 0, "high": 0}
    certain = effect((240, 240), (200, 200))  # only the images are left to chance
    assert certain["points"] == 10
    share = 0.1
    half = 1.96 * 100 * (share * (1 - share) / IMAGES) ** 0.5
    assert certain["high"] - certain["points"] == pytest.approx(half, rel=0.2)
    unsure = effect((250, 230), (190, 210))  # the same mean, but the seeds differ
    assert unsure["points"] == 10
    assert unsure["low"] < 0 < certain["low"]


def test_without_two_seeds_there_is_an_effect_and_no_interval(script: ModuleType) -> None:
    labels = np.arange(IMAGES) % CLASSES
    done = [training(script, name, 0, right, labels) for name, right in ((WHOLE, 200), ("row", 240), ("attention", 9))]
    (found,) = script.effects(done, labels, CLASSES)  # attention has no reference yet
    assert found["accuracy"] == {"points": 10, "low": None, "high": None}


def test_a_row_is_compared_with_one_that_differs_in_the_statement_alone(script: ModuleType) -> None:
    rows = {name: recipe for name, *_, recipe in ablation.variants(str(script.RECIPE))}
    for row, against in script.AGAINST.items():
        assert list(rows).index(against) < list(rows).index(row)
    mine, other = (rows[name].model_dump(exclude={"name"}) for name in ("attention", "attention-head"))
    assert mine["model"]["args"].pop("attention") != other["model"]["args"].pop("attention")
    assert mine == other
    assert rows["adam"].phases[0].optimizer == "adam"
    assert rows["longer-cosine"].epochs == 2 * rows[WHOLE].epochs


def test_a_study_trains_what_is_missing_and_keeps_the_rest(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = tmp_path / "few.toml", tmp_path / "few.json"
    text = recipes.text("quickstart").replace("widths = [16, 32, 64], blocks = [1, 1, 1]", "widths = [8], blocks = [1]")
    recipe.write_text(text + ROW)
    assert recipes.load(str(recipe)).model.args["widths"] == [8]

    dataset = script.few(stripes(), 161)
    assert set(dataset.splits) == {0, 1}
    monkeypatch.setattr(script, "SEEDS", (0,))
    monkeypatch.setattr(script.ablation, "variants", _short(script.ablation.variants))
    study = script.Study(recipe, dataset, out)
    for row, each in study.missing([]):
        study.add(row, each, tmp_path / "work")
        study.write()
    assert not list((tmp_path / "work").iterdir())
    written = json.loads(out.read_text())
    assert [each["row"] for each in written["trainings"]] == [WHOLE, "no-flip"]
    assert [each["row"] for each in written["effects"]] == ["no-flip"]
    assert written["images"] | {"digest": ""} == {
        **{"name": "stripes, 161 training images", "digest": ""},
        **{"training": 140, "choosing": 21, "tested": 70},
    }

    monkeypatch.setattr(trainer, "train", None)
    again = script.Study(recipe, dataset, out)
    assert not list(again.missing([]))
    again.write()
    assert json.loads(out.read_text()) == written
    recipe.write_text(text + ROW.replace("flip=0.0", "flip=1.0"))  # a changed row is trained anew
    assert [row for row, _ in script.Study(recipe, dataset, out).missing([])] == ["no-flip"]
    with pytest.raises(SystemExit, match="of other images"):
        script.Study(recipe, script.few(stripes(1), 161), out)


def _short(variants: Any) -> Any:
    """Return `ablation.variants` with one epoch and small batches."""
    settings = ("train.batch_size=32", "train.precision=fp32")
    return lambda recipe, seed=None: variants(recipe, settings, 1, seed)
