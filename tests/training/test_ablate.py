"""A recipe's ablations: a training for each, once, and a final table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edgefer import recipes
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.training import trainer, unfinished
from edgefer.training.ablation import ablate, variants
from edgefer.training.trainer import TrainResult, train
from tests.helpers.stripes import stripes

ABLATIONS = """
[[ablations]]
name = "no-flip"
cites = "section 1"
set = ["augment.flip=0.0"]

[[ablations]]
name = "wild"
cites = "section 2"
set = ["phases.0.lr=1e30", "phases.0.warmup_epochs=0.0", "train.ema=0.0"]
"""
SMALL = ("model.args.widths=[8]", "model.args.blocks=[1]", "train.batch_size=32", "train.precision=fp32")


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(recipes.text("quickstart").replace('"quickstart"', '"mine"') + ABLATIONS)
    return str(path)


def test_each_ablation_is_a_training_beside_the_recipe_as_it_is(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    found = ablate(recipe, stripes(), out, SMALL, epochs=2)
    assert [row.name for row in found.rows] == ["whole", "no-flip", "wild"]
    whole, without, wild = found.rows
    assert (whole.difference, whole.epochs, whole.cites) == (0, 2, "the unchanged recipe")
    assert without.val_accuracy is not None
    assert without.difference == pytest.approx(100 * (without.val_accuracy - (whole.val_accuracy or 0)), abs=1e-3)
    assert wild.val_accuracy is wild.difference is None
    assert "not finite" in (wild.error or "")
    assert json.loads((out / "ablations.json").read_text()) == json.loads(json.dumps(found.as_dict()))
    assert json.loads((out / "no-flip" / "recipe.json").read_text())["augment"]["flip"] == 0

    monkeypatch.setattr(trainer, "train", None)  # finished ones are not repeated
    assert ablate(recipe, stripes(), out, SMALL, epochs=2) == found
    with pytest.raises(InputError, match="other settings or data; give another folder with --out"):
        ablate(recipe, stripes(), out, SMALL, epochs=3)
    with pytest.raises(InputError, match="other settings or data"):
        ablate(recipe, stripes(seed=1), out, SMALL, epochs=2)


def test_a_training_that_was_interrupted_goes_on(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(variants(recipe, SMALL, 2))[3]
    half = first.model_copy(update={"phases": (first.phases[0].model_copy(update={"epochs": 1}),)})
    train(half, stripes(), tmp_path / "out" / "whole")
    monkeypatch.setattr(unfinished, "resumed_recipe", lambda run: first)
    resumed: list[bool] = []

    def noted(recipe: recipes.Recipe, *arguments: Any, **others: Any) -> TrainResult:
        resumed.append(bool(arguments[2]))
        return train(recipe, *arguments, **others)

    monkeypatch.setattr(trainer, "train", noted)
    found = ablate(recipe, stripes(), tmp_path / "out", SMALL, epochs=2)
    assert resumed == [True, False, False]
    assert found.rows[0].epochs == 2


def test_a_recipe_without_ablations_names_those_that_have_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"compact has no \[\[ablations\]\]; those that have: .*b2-two-stage"):
        ablate("compact", stripes(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, ["ablate", *words])


def test_the_command_prints_a_table_or_json(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgefer.data.find", lambda data, groups=None: stripes())
    small = [word for setting in SMALL for word in ("--set", setting)]
    done = _run(recipe, "--epochs", "1", "--out", "out", *small)
    assert done.exit_code == 0, done.output
    assert "best validation accuracy, one seed (0)" in done.stdout
    assert "diverged" in done.stdout
    again = _run(recipe, "--epochs", "1", "--out", "out", "--json", *small)
    assert [row["name"] for row in json.loads(again.stdout)["rows"]] == ["whole", "no-flip", "wild"]
    refused = _run("compact")
    assert refused.exit_code == 2
    assert not Path("runs").exists()
