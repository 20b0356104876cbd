"""From a finished training of a sibling to its entry in siblings.json and its row in docs/papers.md."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.common import SIBLINGS
from edgefer import data, recipes
from edgefer.data.dataset import USAGES
from edgefer.recipes.schema import DataSection
from edgefer.training.trainer import train
from tests.helpers import scripts
from tests.helpers.stripes import stripes

CLASSES = ("angry", "disgust", "fear", "happy")


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = scripts.load("readme")
    monkeypatch.setattr(found, "RESULTS", tmp_path)
    return found


def rows(text: str) -> dict[str, list[str]]:
    """Return a table's rows by the name in their first cell."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {line[0].split("`")[1]: line for line in lines}


def test_a_sibling_without_a_training_says_so_beside_the_claim(readme: ModuleType) -> None:
    found = rows(readme.siblings())
    assert list(found) == list(SIBLINGS)
    assert {name: line[1:3] for name, line in found.items()} == {
        "b0-mixup-lite": ["0.8223", "not trained"],
        "b2-two-stage-lite": ["68.78 %", "not trained"],
        "insideout-lite": ["62.8 %", "not trained"],
        "b0-attention-lite": [found["b0-attention-lite"][1], "not trained"],
    }
    assert "69" in found["b0-attention-lite"][1]


def test_an_ablation_without_a_training_says_so_and_an_effect_stands_with_its_interval(
    readme: ModuleType, tmp_path: Path
) -> None:
    assert all(line[1] == "not trained" for line in rows(readme.ablations()).values())

    effect = {"points": -1.24, "low": -2.51, "high": 0.04}
    alone = {"points": 2.0, "low": None, "high": None}
    more = {"points": 2.4, "low": 0.4, "high": 4.3}
    done = {"accuracy": 0.5, "macro_f1": 0.4, "seconds": 1800.0}
    result = {
        "images": {"training": 6120, "tested": 3589},
        "trainings": [{"row": "whole", **done}, {"row": "no-mixup", **done}, {"row": "adam", "error": "not finite"}],
        "effects": [
            {"row": "no-mixup", "against": "whole", "accuracy": effect, "macro_f1": alone},
            {"row": "attention", "against": "attention-head", "accuracy": alone, "macro_f1": alone},
            {"row": "lite2", "against": "whole", "accuracy": more, "macro_f1": alone},
        ],
    }
    (tmp_path / "ablations_lite.json").write_text(json.dumps(result))
    text = readme.ablations()
    found = rows(text)
    assert "| the reference | 50.00 % | 0.400 |" in text
    assert found["no-mixup"][1:3] == ["-1.2 (-2.5 to +0.0)", "+2.0"]
    assert found["attention"][0] == "`attention`, over `attention-head`"
    assert found["adam"][1] == "diverged"
    assert found["votes"][1] == "not trained"
    assert "More accurate beyond chance: `lite2`; less: none." in text
    assert "3 trainings of 6,120 images, 1.0 hours" in text


@pytest.mark.slow
def test_a_finished_training_becomes_an_entry_and_a_row(
    readme: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripts.load("siblings", "benchmarks/training")
    images = tmp_path / "few.csv"
    with images.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        whole = stripes(train=280, others=140)
        for image, label, split in zip(whole.images, whole.labels, whole.splits, strict=True):
            writer.writerow([label, " ".join(map(str, image.ravel())), USAGES[split]])
    recipe = recipes.load(
        "quickstart", ("model.args.widths=[8]", "model.args.blocks=[1]", "train.batch_size=16"), epochs=1
    ).model_copy(update={"name": "b0-mixup-lite", "data": DataSection(split="stratified", classes=CLASSES)})
    run = tmp_path / "run"
    train(recipe, data.load(images), run)

    work, out = tmp_path / "work", tmp_path / "siblings.json"
    monkeypatch.setattr("sys.argv", ["siblings.py", str(run), f"--data={images}", f"--work={work}", f"--out={out}"])
    script.main()
    (entry,) = json.loads(out.read_text())["siblings"]
    assert (entry["name"], entry["paper"]) == ("b0-mixup-lite", "b0-mixup")
    assert entry["reductions"][1] == "44 px instead of 224"
    assert "on other images than FER2013's (few)" in entry["differences"]
    assert (entry["training"]["epochs"], entry["training"]["of"]) == (1, 1)
    assert (entry["test"]["split"], entry["test"]["images"]) == ("public+private", 160)
    by_name: dict[str, Any] = {each["network"]: each for each in entry["networks"]}
    fp32, int8 = (by_name[name]["quality"]["accuracy"] for name in ("fp32", "int8-cpu"))
    change = entry["int8_minus_fp32"]
    assert change["accuracy"] == pytest.approx(int8 - fp32)
    assert change["low"] <= change["accuracy"] <= change["high"]
    claims = {each["id"]: each for each in entry["claims"]}
    assert claims["poster.accuracy"]["fp32"]["value"] == pytest.approx(fp32)
    assert claims["poster.accuracy"]["claimed"] == "0.8223"
    assert np.array(by_name["fp32"]["confusion"]).sum() == 160
    text = readme.siblings()
    assert f"{100 * int8:.2f} %" in text
    assert text.count("not trained") == 3

    asked = (work / "b0-mixup-lite-bench" / "result.json").stat().st_mtime_ns
    script.main()  # made once: the test images are asked once
    assert (work / "b0-mixup-lite-bench" / "result.json").stat().st_mtime_ns == asked
    assert json.loads(out.read_text())["siblings"][0]["networks"] == entry["networks"]
