"""A network is compressed and benched on the split of its pictures that it was trained on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgefer import bundle, data
from edgefer.bench import inputs
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.learning import checkpoint
from tests.helpers import lab

PATTERN = r"-q(\d+)x"
SMALL = ("model.args.widths=[8, 16]", "model.args.blocks=[1, 1]", "model.args.stem_stride=2", "train.batch_size=32",
         "train.precision=fp32")  # fmt: skip


def run(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


@dataclasses.dataclass
class Made:
    folder: Path
    known: dict[bytes, int]
    trained: dict[str, Any]
    compressed: dict[str, Any]

    def data(self) -> str:
        return str(self.folder / "set")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Train with --groups and compress without it: the pictures' names carry no groups."""
    folder = tmp_path_factory.mktemp("lab")
    known = lab.write(folder / "set", lambda p, e, f: f"{f}{e[:2]}-q{p}x")
    sets = [word for setting in SMALL for word in ("--set", setting)]
    where = ["--data", str(folder / "set")]
    trained = run("train", "quickstart", *where, "--groups", PATTERN, "--epochs", "1", "--no-page", "--threads", "1",
                  "--out", str(folder / "run"), *sets)  # fmt: skip
    compressed = run("compress", str(folder / "run"), *where, "--ptq", "--max-drop", "100", "--threads", "1",
                     "--out", str(folder / "bundle"))  # fmt: skip
    return Made(folder, known, trained, compressed)


def test_the_division_travels_from_training_to_bench_without_being_named_again(made: Made) -> None:
    measured = run("bench", str(made.folder / "bundle"), "--data", made.data(), "--seconds", "0.1", "--out",
                   str(made.folder / "bench"))  # fmt: skip

    rule = {"by": "person", "rule": f"--groups '{PATTERN}'", "groups": lab.PEOPLE, "cut": 0}
    assert made.trained["division"] == made.compressed["division"] == measured["data"]["division"] == rule
    assert made.trained["digest"] == measured["data"]["digest"]
    here = data.load(made.data(), groups=PATTERN)
    assert here.digest == made.trained["digest"]
    assert measured["data"]["images"] == len(data.split(here, "test"))
    people = {
        name: {made.known[image.tobytes()] for image in here.images[data.split(here, name).indices]}
        for name in ("train", "val", "test")
    }
    assert sum(map(len, people.values())) == lab.PEOPLE
    page = (made.folder / "bench" / "report.html").read_text()
    assert f"split by person: {lab.PEOPLE} people" in page
    assert not any("was trained on" in line for line in measured["warnings"])


def test_a_record_divides_the_same_pictures_as_they_were_and_no_others(made: Made, tmp_path: Path) -> None:
    said = checkpoint.read(made.folder / "run").data
    plain, wanted = data.load(made.data()), data.load(made.data(), groups=PATTERN)
    assert plain.digest != wanted.digest

    found = data.as_recorded(plain, said)

    assert found.digest == wanted.digest
    assert (found.splits == wanted.splits).all()
    assert found.division == wanted.division
    assert data.as_recorded(wanted, said) is wanted
    for wrong in (
        {**said, "pictures": "0" * 64},
        {**said, "digest": "0" * 64},
        {**said, "division": None},
        {**said, "division": {**said["division"], "splits": "AAAA"}},
        {**said, "division": {**said["division"], "splits": said["division"]["splits"][:-8] + "????????"}},
        {**said, "division": {**said["division"], "carved": 5}},
        {**said, "division": [1]},
    ):
        assert data.as_recorded(plain, wrong) is plain
    lab.write(tmp_path / "other", lambda p, e, f: f"{f}{e[:2]}-q{p}x", people=11)
    other = data.load(tmp_path / "other")
    assert data.as_recorded(other, said) is other


def test_a_bench_refuses_images_that_a_network_has_learned_under_another_division(made: Made) -> None:
    """The labels were corrected since, so the digest of the data no longer matches."""
    plain = data.load(made.data())
    corrected = dataclasses.replace(plain, digest="a" * 64, labels=np.roll(plain.labels, 1))
    opened = bundle.load(made.folder / "bundle")
    assert inputs.divided_as_for([opened], corrected) is corrected
    rows = data.split(corrected, "test")

    with pytest.raises(InputError, match=rf"has learned \d+ of the {len(rows)} images of test"):
        inputs.check_unseen(opened, corrected, rows)

    inputs.check_unseen(opened, data.load(made.data(), groups=PATTERN), rows)


def test_going_on_from_a_network_divides_as_it_was_divided(made: Made) -> None:
    sets = [word for setting in SMALL for word in ("--set", setting)]
    again = run("train", "quickstart", "--from", str(made.folder / "run"), "--data", made.data(), "--epochs", "1",
                "--no-page", "--threads", "1", "--out", str(made.folder / "again"), *sets)  # fmt: skip

    assert again["digest"] == made.trained["digest"]


def test_groups_are_refused_where_the_data_have_splits_of_their_own(tmp_path: Path) -> None:
    for name in ("train", "val", "test"):
        lab.write(tmp_path / "set" / name, lambda p, e, f: f"subject_{p}_{f}", people=3)

    words = [
        "train",
        "quickstart",
        "--data",
        str(tmp_path / "set"),
        "--groups",
        r"_(\d)_",
        "--out",
        str(tmp_path / "r"),
    ]
    result = CliRunner().invoke(app, words)

    assert result.exit_code == 2
    assert "has its own splits, which --groups does not change" in result.output
    info = run("data", "info", str(tmp_path / "set"), "--groups", r"subject_(\d)_")
    assert info["people"]["groups_across"] == {"train+val": 3, "train+test": 3, "val+test": 3}


def test_training_says_what_a_division_by_picture_is_worth(tmp_path: Path) -> None:
    lab.write(tmp_path / "set", lambda p, e, f: f"{f}{e[:2]}-q{p}x", people=8)
    sets = [word for setting in SMALL for word in ("--set", setting)]

    words = ["train", "quickstart", "--data", str(tmp_path / "set"), "--epochs", "1", "--no-page", "--threads", "1"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run"), *sets])

    assert result.exit_code == 0, result.output
    assert "split by picture: a person may occur in training and test" in result.stdout
