"""The findings of `data info`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from edgefer import data
from edgefer.cli.data import info
from edgefer.data.faces import builtin
from tests.helpers import sources


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = sources.small()
    rows.images[1] = rows.images[0]  # twice in train
    rows.images[29] = rows.images[0]  # and in val
    rows.images[35] = rows.images[5]  # in train and test
    rows.images[36] = rows.images[30]  # in val and test
    rows.emotions[:] = 0
    rows.emotions[35] = 4  # differs from the same image's label in train
    rows.emotions[40:] = 6
    return sources.write_csv(tmp_path / "faces.csv", rows)


def test_identical_images(path: Path) -> None:
    assert data.audit(data.load(path)).identical == data.Identical(
        groups=3,
        images=7,
        groups_across={"train+val": 1, "train+test": 1, "val+test": 1},
        groups_train_and_rest=2,
        val_in_train=1,
        test_in_train=1,
        groups_with_two_labels=1,
        images_with_two_labels=2,
    )


def test_counts(path: Path) -> None:
    counts = data.audit(data.load(path)).counts

    assert list(counts["train"].items()) == [
        ("angry", 28),
        ("disgust", 0),
        ("fear", 0),
        ("happy", 0),
        ("sad", 0),
        ("surprise", 0),
        ("neutral", 0),
    ]
    assert (counts["test"]["angry"], counts["test"]["sad"], counts["test"]["neutral"]) == (4, 1, 2)


def test_mean_and_std_are_those_of_the_training_images(path: Path) -> None:
    dataset = data.load(path)
    found = data.audit(dataset)
    training = np.asarray(dataset.images[:28]) / 255

    assert found.mean == pytest.approx((training.mean(),), abs=1e-9)
    assert found.std == pytest.approx((training.std(),), abs=1e-9)


def test_mean_and_std_of_each_channel(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("test/happy/a.png", "test/sad/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(random.integers((0, 50, 100), (50, 100, 256), (20, 20, 3), dtype=np.uint8)).save(
            tmp_path / name
        )
    dataset = data.load(tmp_path)
    found = data.audit(dataset)
    pixels = np.asarray(dataset.images) / 255

    assert (found.color, found.height, found.width) == ("rgb", 20, 20)
    assert found.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)).tolist(), abs=1e-9)
    assert found.std == pytest.approx(pixels.std(axis=(0, 1, 2)).tolist(), abs=1e-9)


app = typer.Typer()
app.command("info")(info)


def test_the_command_prints_one_json_object(path: Path) -> None:
    result = CliRunner().invoke(app, [str(path), "--json"])

    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed.pop("command") == "data info"
    assert printed == json.loads(json.dumps(dataclasses.asdict(data.audit(data.load(path)))))


def test_the_command_prints_what_fits_a_terminal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, [path.name])

    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for fact in (
        "faces.csv",
        "FER2013 table",
        "48 x 48 pixels, grey",
        "disgust",
        "3, with 7 images",
        "1 images of test",
    ):
        assert fact in result.stdout


def test_drawn_faces_are_marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edgefer.data.find", lambda path, groups, reading: data.builtin(train=20, val=10, test=10))

    assert "synthetic faces" in CliRunner().invoke(app, []).stdout


def test_images_of_one_split_that_are_nearly_those_of_another_are_counted() -> None:
    faces = builtin(train=40, val=1, test=0)
    images = np.asarray(faces.images[:40])
    brighter = np.clip(images * 0.8 + 20, 0, 255).astype(np.uint8)
    dataset = dataclasses.replace(
        faces,
        images=np.concatenate([images, brighter[:10]]),
        labels=np.concatenate([faces.labels[:40], faces.labels[:10]]),
        splits=np.repeat(np.array([0, 2], np.uint8), [40, 10]),
        rows=np.arange(50),
    )
    found = data.audit(dataset)
    assert found.identical.test_in_train == 0
    near = found.near_duplicates
    assert (near.test_in_train, near.val_in_train, near.groups_across["train+test"]) == (10, 0, 10)
