"""`edgefer bench` across data sets, protocols and groups of people, on faces of FER2013."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner
from typer.testing import Result as Ran

from edgefer import console, data
from edgefer.bench import submission
from edgefer.bench.measurement import bench
from edgefer.bench.result import BenchResult
from edgefer.bench.result_file import checked, read
from edgefer.bundle import load
from edgefer.cli.main import app
from edgefer.compare.pairs import NamedResult, compare
from edgefer.errors import InputError
from edgefer.evaluation import metrics, views
from edgefer.labels import LABELS

WORDS = ["edgefer-nano", "--seconds", "0.1", "--json"]
PROTOCOLS = ["--protocol", "ten-crop", "--protocol", "flip", "--protocol", "one-crop"]


def run(*arguments: str) -> Ran:
    done = CliRunner().invoke(app, ["bench", *WORDS, *arguments])
    console.enable(False)
    return done


def write(top: Path, images: np.ndarray, labels: np.ndarray, places: np.ndarray, split: str = "test") -> None:
    for place in places:
        folder = top / split / LABELS[labels[place]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[place]).save(folder / f"{split}{place}.png")


def first_rows(source: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images of FER2013 and their labels, without reading the rest."""
    with zipfile.ZipFile(source) as archive:
        names = [name for name in archive.namelist() if "/Training_" in name][:count]
        images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
    return images, np.array([LABELS.index(name.split("/")[-2]) for name in names])


@pytest.fixture(scope="module")
def place(fer2013: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a data set of FER2013's faces, one with three of its classes, and a table of people."""
    top = tmp_path_factory.mktemp("across")
    images, labels = first_rows(fer2013, 700)
    write(top / "faces", images, labels, np.arange(210))
    few = [210 + np.flatnonzero(labels[210:] == label)[:7] for label in range(len(LABELS))]
    write(top / "faces", images, labels, np.concatenate(few), "train")
    three = [LABELS.index(name) for name in ("happy", "sad", "surprise")]
    write(top / "lab", images, labels, np.flatnonzero(np.isin(labels, three))[-60:])
    with (top / "people.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "age", "sex", "camera"])
        for number in range(200):  # the last ten have no row
            name = f"{LABELS[labels[number]]}/test{number}.png"
            table.writerow([name, 18 + number % 50, "fm"[number % 2], "rare" if number < 7 else "usual"])
    return top


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """Return the folder of a bench over all of them."""
    before = Path.cwd()
    os.chdir(place)
    try:
        done = run("--data", "faces", "--data", "lab", "--groups", "people.csv", *PROTOCOLS, "--out", "kept")
    finally:
        os.chdir(before)
    assert done.exit_code == 0, done.output
    return place / "kept"


@pytest.fixture(scope="module")
def result(folder: Path) -> BenchResult:
    return read(folder)


def test_each_data_set_has_a_row_for_each_protocol_and_the_first_figures_are_one_crop_alone(
    place: Path, result: BenchResult
) -> None:
    (entry,) = result.networks
    said = [(each.data, each.protocol, each.quality.images) for each in entry.evaluations]
    assert said == [
        ("faces", "flip", 210),
        ("faces", "ten-crop", 210),
        *(("lab", protocol, 60) for protocol in ("one-crop", "flip", "ten-crop")),
    ]
    assert result.protocol.views == "one"
    assert result.protocol.further_views == ["flip", "ten-crop"]
    plain = bench([load("edgefer-nano")], data.load(place / "faces"), seconds=0.01, probes=[])
    assert plain.networks[0].quality == entry.quality
    assert plain.networks[0].evaluations == []

    for each in entry.evaluations:
        matrix = np.array(each.confusion)
        assert matrix.sum() == each.quality.images
        assert each.quality.macro_f1 == pytest.approx(metrics.macro_f1(matrix))
        assert (each.shared is None) == (each.data == "faces")
    one = entry.evaluations[2]
    assert one.shared is not None
    assert one.shared.accuracy >= one.quality.accuracy
    (lab,) = result.further_data
    assert (lab.title, lab.shared_classes) == ("lab", ("happy", "sad", "surprise"))
    assert any(line.startswith("lab: evaluated on the 3 classes") for line in result.warnings)


def test_its_command_measures_the_same_again(result: BenchResult) -> None:
    assert "--data faces --split test" in result.repeat
    assert "--data lab --protocol flip --protocol ten-crop --groups people.csv" in result.repeat


def test_groups_are_matched_by_the_end_of_paths_and_those_without_a_row_are_counted(result: BenchResult) -> None:
    table = result.groups
    assert table is not None
    assert (table.key, table.columns) == ("path", ["age", "sex", "camera"])
    assert (table.matched, table.unmatched, table.unused) == (200, 10, 0)
    age, sex, camera = result.networks[0].groups
    assert [each.group for each in age.groups] == [f"{n} to {n + 9}" for n in (20, 30, 40, 50, 60)]
    assert [each.group for each in age.small] == ["10 to 19"]
    assert [(each.group, each.images) for each in sex.groups] == [("f", 100), ("m", 100)]
    assert sex.gap is not None
    assert sex.gap.difference == pytest.approx(abs(sex.groups[0].accuracy.estimate - sex.groups[1].accuracy.estimate))
    assert [(each.group, each.images) for each in camera.small] == [("rare", 7)]
    assert camera.gap is None
    right = sum(each.accuracy.estimate * each.images for each in sex.groups)
    assert right + 10 >= result.networks[0].quality.accuracy * 210 >= right


def test_it_is_shown_wherever_a_result_is(folder: Path, tmp_path: Path) -> None:
    def report(*words: str) -> str:
        done = CliRunner().invoke(app, ["report", str(folder), *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in (page, report("--markdown")):
        assert "Accuracy across data sets" in text
        assert "3 of 7" in text
        assert "sex: worst gap" in text
        assert "camera: too few to rank: rare (7 images)" in text
        assert "Recall by group" in text
    assert "Across data sets and people" in page
    report("--csv", str(tmp_path / "all.csv"))
    with (tmp_path / "all.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["evaluations.lab.ten-crop.accuracy"]) > 0
    assert 0 <= float(row["groups.sex.f.accuracy"]) <= 1
    assert 0 < float(row["groups.sex.gap.p_corrected"]) <= 1


def test_compare_holds_row_against_row_and_says_what_one_has_alone(folder: Path, result: BenchResult) -> None:
    (entry,) = result.networks
    alone = entry.model_copy(update={"evaluations": [], "groups": []})
    protocol = result.protocol.model_copy(update={"further_views": []})
    plain = result.model_copy(update={"networks": [alone], "protocol": protocol, "further_data": [], "groups": None})
    held = compare(NamedResult(folder, result), NamedResult(folder, plain))
    assert "data lab; protocol flip, ten-crop; groups by age, sex, camera: in A only, so not compared" in held.notes
    same = compare(NamedResult(folder, result), NamedResult(folder, result))
    metrics_of = {each.metric: each for each in same.networks[0].changes}
    assert metrics_of["evaluations.lab.ten-crop.accuracy"].interval is not None
    (lab,) = result.further_data
    other = result.model_copy(update={"further_data": [lab.model_copy(update={"digest": "0" * 64})]})
    with pytest.raises(InputError, match="digest of lab"):
        compare(NamedResult(folder, result), NamedResult(folder, other))


def test_groups_of_people_are_in_no_submission(result: BenchResult) -> None:
    sent = submission.make(result, "no fan, on a desk").result
    assert sent.groups is None
    assert sent.networks[0].groups == []
    assert sent.networks[0].evaluations == result.networks[0].evaluations


@pytest.mark.parametrize(
    "change",
    [
        {"evaluations.0.data": "elsewhere"},
        {"evaluations.0.protocol": "one-crop"},
        {"evaluations.0.quality.accuracy": 1.5},
        {"evaluations.0.confusion": [[1]]},
        {"groups.1.groups.0.accuracy.high": 2.0},
        {"groups.1.gap.p": 0.0},
        {"groups.1.unknown": -1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_with_figures_that_no_bench_has_is_refused(folder: Path, change: dict[str, object]) -> None:
    raw = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    ((path, value),) = change.items()
    *parents, last = path.split(".")
    part = raw["networks"][0]
    for each in parents:
        part = part[int(each) if each.isdigit() else each]
    part[last] = value
    with pytest.raises(InputError, match="are inconsistent"):
        checked(raw, folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "faces", "--data", "nowhere"], "nowhere does not exist"),
        (["--data", "faces", "--data", "faces"], "faces has the same 210 images of test as faces; name each data set"),
        (["--data", "faces", "--data", "letters"], "letters has the classes a, b"),
        (["--data", "faces", "--data", "lab", "--split", "train"], "has no images for the split 'train'"),
        (["--data", "faces", "--groups", "nowhere.csv"], "nowhere.csv is not a file"),
        (["--data", "faces", "--groups", "strangers.csv"], "no row of strangers.csv names a picture of faces's split"),
    ],
)
def test_what_is_wrong_ends_in_one_line_before_anything_is_measured(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(place)
    for name in ("a", "b"):
        shutil.copytree("lab/test/happy", f"letters/test/{name}", dirs_exist_ok=True)
    Path("strangers.csv").write_text("path,sex\nhome/1.png,f\n")
    done = run(*words, "--out", "never")
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert "evaluating" not in done.stderr
    assert json.loads(done.stdout)["error"]
    assert not Path("never").exists()


def test_flip_is_the_mean_over_an_image_and_its_mirror_image(place: Path) -> None:
    rows = data.split(data.load(place / "lab"), "test")
    spec = load("edgefer-nano").manifest.preprocessing

    def left(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return inputs[:, 0, :, :7].mean(1)

    def right(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return left(inputs[..., ::-1])

    one, other = (views.logits(side, spec, rows, "one-crop") for side in (left, right))
    assert np.abs(one - other).max() > 0.1
    for side in (left, right):
        np.testing.assert_allclose(views.logits(side, spec, rows, "flip"), (one + other) / 2, atol=1e-4)
