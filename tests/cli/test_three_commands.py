"""`edgefer train`, `edgefer compress --int8` and `edgefer bench` in sequence, in a folder with data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import edgefer
from edgefer import console
from edgefer.cli.main import app
from tests.helpers.stripes import stripes

SMALL = (
    "model.args.widths=[8, 16]",
    "model.args.blocks=[1, 1]",
    "model.args.stem_stride=2",
    "train.batch_size=32",
    "train.ema=0.8",
    "train.precision=fp32",
    "augment.erase=0.0",
)


def type_in(*arguments: str) -> Result:
    try:
        return CliRunner().invoke(app, arguments)
    finally:
        console.enable(False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small data set in ./data, in the layout of the Kaggle download."""
    where = tmp_path_factory.mktemp("work")
    data = stripes(train=448, others=70)
    usages = ("Training", "PublicTest", "PrivateTest")
    for row, (image, label, split) in enumerate(zip(data.images, data.labels, data.splits, strict=True)):
        top = where / "data" / ("test" if split else "train") / data.classes[label]
        top.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(top / f"{usages[split]}_{row}.png")
    return where


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_one_after_another_without_naming_what_the_one_before_wrote(here: Path) -> None:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    trained = type_in("train", "--epochs", "10", "--threads", "1", "--json", *settings)
    assert trained.exit_code == 0, trained.output
    training = json.loads(trained.stdout)
    assert training["recipe"]["name"] == "compact"
    assert training["val_accuracy"] > 0.8  # chance is 0.14
    figures = json.loads(Path(training["figures"]).read_text(encoding="utf-8"))
    assert figures["evaluation"]["accuracy"] == pytest.approx(training["val_accuracy"], abs=1e-4)
    assert figures["history"] == training["history"]
    assert Path(training["page"]).parent == Path(training["run"])

    compressed = type_in("compress", "--int8", "--threads", "1", "--max-drop", "20", "--json")
    assert compressed.exit_code == 0, compressed.output
    bundle = json.loads(compressed.stdout)
    assert bundle["passed"]

    benched = type_in("bench", "--device", "cpu", "--seconds", "0.1", "--json")
    assert benched.exit_code == 0, benched.output
    result = json.loads(benched.stdout)
    accuracy = {network["network"]: network["quality"]["accuracy"] for network in result["networks"]}
    assert accuracy["int8-cpu"] > 0.6
    assert Path(result["result"]).is_file()

    # The device side must give the predictions of the trained network.
    predictor = edgefer.load(here / "runs" / "compress" / "latest")
    files = sorted((here / "data" / "test").glob("*/PrivateTest_*.png"))
    right = [
        prediction.label == file.parent.name for prediction, file in zip(predictor.predict(files), files, strict=True)
    ]
    assert np.mean(right) == pytest.approx(accuracy["int8-cpu"])


def test_a_run_is_not_written_over(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "note.txt").write_text("keep me")
    refused = type_in("train", "--out", "mine")
    assert refused.exit_code == 2
    assert "mine is not empty" in refused.stderr
    assert [file.name for file in (here / "mine").iterdir()] == ["note.txt"]


def test_options_that_contradict_each_other_are_refused(here: Path) -> None:
    assert type_in("train", "--resume", "somewhere", "--seed", "1").exit_code == 2
    assert type_in("train", "--device", "tpu").exit_code == 2
    assert type_in("compress", "--ptq", "--resume", "somewhere").exit_code == 2


def test_recipes_are_listed_and_shown_as_the_toml_they_are(here: Path) -> None:
    listed = json.loads(type_in("recipes", "--json").stdout)
    assert {recipe["name"] for recipe in listed["recipes"]} >= {"compact", "quickstart"}
    shown = type_in("recipes", "compact").stdout
    Path("copy.toml").write_text(shown)
    assert json.loads(type_in("recipes", "copy.toml", "--json").stdout)["name"] == "compact"


def test_what_one_of_timms_networks_cannot_do_is_said_before_it_is_trained(here: Path) -> None:
    network = ("--set", "model.name=vit_tiny_patch16_224", "--set", "model.args={}")
    refused = type_in("train", *network, "--set", "preprocessing.size=48", "--set", "train.mirror=false", "--out", "no")
    assert refused.exit_code == 2
    *_, check, error = refused.stderr.splitlines()
    assert check == "checking that vit_tiny_patch16_224 can be exported and quantized"
    assert error.endswith("48 x 48 pixels; use --set preprocessing.size=224, or --set model.args.img_size=48")
    assert not (here / "no").exists()
