"""`edgefer predict` on the command line."""

from __future__ import annotations

import csv as tables
import errno
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import edgefer
from edgefer import bundle, inputs, predictions
from edgefer.cli.main import app
from edgefer.faces.face import Box
from edgefer.labels import LABELS
from edgefer.predictor import Prediction
from tests.helpers import samples

TRUTH = np.array([3, 0, 6])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    greys = samples.pictures(TRUTH)
    for grey, name in zip(greys, ("a.png", "b.JPG", "more/a.png"), strict=True):
        Image.fromarray(grey).resize((40, 40)).save(folder / name, quality=95)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return samples.write(tmp_path / "bundle").path


def predict(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def test_a_folder_a_pattern_and_a_file_are_answered_once_each(made: Path, pictures: Path) -> None:
    done = predict(pictures, pictures / "*.png", pictures / "b.JPG", "--bundle", made, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["bundle"] == "grey"
    files = [Path(line["file"]).relative_to(pictures).as_posix() for line in said["pictures"]]
    assert files == ["a.png", "b.JPG", "more/a.png"]
    assert [line["faces"][0]["label"] for line in said["pictures"]] == [LABELS[label] for label in TRUTH]
    face = said["pictures"][0]["faces"][0]
    assert list(face["probabilities"]) == list(LABELS)
    assert face["confidence"] == max(face["probabilities"].values())


def test_below_the_least_confidence_nobody_is_told_an_expression(made: Path, pictures: Path) -> None:
    certain = predict(pictures / "a.png", "--bundle", made, "--json", "--min-confidence", "1")
    assert [face["label"] for face in json.loads(certain.stdout)["pictures"][0]["faces"]] == ["unsure"]
    assert "unsure (happy)" in predict(pictures / "a.png", "--bundle", made, "--min-confidence", "1").output


def test_a_line_of_csv_and_a_picture_with_a_label_for_each_face(made: Path, pictures: Path, tmp_path: Path) -> None:
    table, folder = tmp_path / "out" / "faces.csv", tmp_path / "labelled"
    done = predict(pictures, "--bundle", made, "--csv", table, "--annotate", folder)
    assert done.exit_code == 0, done.output
    lines = list(tables.DictReader(table.read_text().splitlines()))
    assert [line["label"] for line in lines] == [LABELS[label] for label in TRUTH]
    assert sum(float(lines[0][label]) for label in LABELS) == pytest.approx(1, abs=1e-3)
    # Two pictures are called a; both copies exist.
    assert sorted(path.name for path in folder.iterdir()) == ["a-2.png", "a.png", "b.png"]
    copy = Image.open(folder / "b.png")
    assert (copy.width, copy.mode) == (200, "RGB")  # large enough to read the label
    assert [Path(line["annotated"]).name for line in lines] == ["a.png", "b.png", "a-2.png"]  # copies by picture
    again = predict(pictures, "--bundle", made, "--annotate", folder)
    assert again.exit_code == 2
    assert "exists already; name another folder with --annotate" in again.output
    blocked = predict(pictures, "--bundle", made, "--csv", folder)
    assert blocked.exit_code == 2
    assert "is a folder; name a file" in blocked.output


def test_one_bad_picture_does_not_stop_the_others(made: Path, pictures: Path) -> None:
    done = predict(pictures / "notes.txt", pictures / "a.png", "--bundle", made)
    assert done.exit_code == 2
    assert "happy" in done.output
    assert "1 of 2 pictures could not be read" in done.output
    as_json = predict(pictures / "notes.txt", pictures / "a.png", "--bundle", made, "--json")
    assert as_json.exit_code == 2
    report = json.loads(as_json.stdout)
    assert (report["error"], report["exit_code"]) == ("1 of 2 pictures could not be read", 2)
    assert "edgefer: 1 of 2 pictures could not be read" in as_json.stderr
    said = report["pictures"]
    assert "notes.txt is not a supported picture" in said[0]["error"]
    assert said[1]["error"] is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EFBIG, "File too large", "copy.png")])
def test_what_was_answered_before_the_end_is_shown_and_written(
    made: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def until_then(*arguments: Any) -> Iterator[predictions.PicturePrediction]:
        yield from itertools.islice(answering(*arguments), 2)
        raise error

    answering = predictions.predict_files
    monkeypatch.setattr(predictions, "predict_files", until_then)
    done = predict(pictures, "--bundle", made, "--csv", tmp_path / "faces.csv", "--json")
    report = json.loads(done.stdout)
    assert done.exit_code == report["exit_code"] == (130 if isinstance(error, KeyboardInterrupt) else 3)
    assert len(report["pictures"]) == 2
    assert len((tmp_path / "faces.csv").read_text().splitlines()) == 1 + 2


def test_a_table_that_cannot_be_written_leaves_the_answers_in_the_one_object_that_is_printed(
    made: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "faces.csv")

    monkeypatch.setattr(predictions, "write_csv", full)
    for files, said in (([pictures], "no space is left"), ([pictures, pictures / "notes.txt"], "1 of 4 pictures")):
        done = predict(*files, "--bundle", made, "--csv", tmp_path / "faces.csv", "--json")
        report = json.loads(done.stdout)
        assert report["error"].startswith(said)
        assert len(report["pictures"]) >= 3
        assert done.exit_code == report["exit_code"] != 0


def test_a_picture_too_large_for_the_memory_does_not_stop_the_others(
    made: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> np.ndarray:
        if path.name == "b.JPG":
            raise MemoryError
        return reading(path)

    reading = inputs.read
    monkeypatch.setattr(inputs, "read", full)
    done = predict(pictures, "--bundle", made, "--json")
    said = [line["error"] for line in json.loads(done.stdout)["pictures"]]
    assert [each is None for each in said] == [True, False, True]
    assert "b.JPG needs more memory than available; make it smaller" in said[1]


def test_folders_that_links_lead_to_are_looked_into_once(made: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(pictures)
    (tmp_path / "folder" / "again").symlink_to(pictures)
    (tmp_path / "folder" / "back").symlink_to(tmp_path)
    done = predict(tmp_path / "folder", "--bundle", made, "--json")
    assert len(json.loads(done.stdout)["pictures"]) == len(TRUTH)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.png"], "there is no picture nowhere.png"),
        (["*.nothing"], "there is no picture"),
        ([""], "a picture's name is empty"),
        (["x.png", "--csv", "o", "--annotate", "o"], "--csv and --annotate are both o"),
        (["x.png", "--annotate", "/dev/null/o"], "/dev/null is a file"),
        (["."], "contains no picture"),
        (["x" * 5000], "File name too long"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    done = predict(*arguments, "--bundle", made)
    assert done.exit_code == 2
    [line] = done.output.splitlines()
    assert said in line


def test_a_way_to_look_for_faces_that_is_none_is_refused(made: Path, pictures: Path) -> None:
    done = predict(pictures / "a.png", "--bundle", made, "--faces", "maybe")
    assert done.exit_code == 2
    assert "maybe" in done.output


def test_pipes_hidden_files_and_other_spellings_of_a_name_are_no_pictures_of_their_own(
    made: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    os.mkfifo("pipe.png")
    refused = predict("pipe.png", "--bundle", made)
    assert (refused.exit_code, "is a pipe or a device" in refused.output) == (2, True)
    Path("._a.png").write_bytes(b"what macOS writes beside a.png")
    Path(".trash").mkdir()
    Path("a.png").rename(".trash/c.png")
    done = predict(".", pictures / "b.JPG", "--bundle", made, "--json")
    assert done.exit_code == 0, done.output
    assert [line["file"] for line in json.loads(done.stdout)["pictures"]] == ["b.JPG", "more/a.png"]


def test_names_as_long_as_the_file_system_takes_are_annotated(made: Path, pictures: Path, tmp_path: Path) -> None:
    long = tmp_path / "long"
    long.mkdir()
    for name in ("n" * 251, "n" * 250 + "m", "é" * 125):
        (long / f"{name}.png").write_bytes((pictures / "a.png").read_bytes())
    done = predict(long, "--bundle", made, "--annotate", tmp_path / "labelled")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "labelled").iterdir())) == 3


def test_a_table_is_not_written_over_a_picture_or_into_a_file(made: Path, pictures: Path) -> None:
    before = (pictures / "a.png").read_bytes()
    done = predict(pictures, "--bundle", made, "--csv", pictures / "more" / ".." / "a.png")
    assert (done.exit_code, "exists and is not a .csv file; name another file" in done.output) == (2, True)
    assert (pictures / "a.png").read_bytes() == before
    done = predict(pictures, "--bundle", made, "--csv", pictures / "notes.txt" / "x.csv")
    assert (done.exit_code, "notes.txt is a file" in done.output) == (2, True)


def test_a_table_follows_a_link_and_leaves_pipes_and_devices_alone(made: Path, pictures: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = predict(pictures / "a.png", "--bundle", made, "--csv", tmp_path / "pipe")
    assert (done.exit_code, "is a pipe or a device; name a file" in done.output) == (2, True)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link.csv").symlink_to("target.csv")
    assert predict(pictures / "a.png", "--bundle", made, "--csv", tmp_path / "link.csv").exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "target.csv").read_text().splitlines()) == 2
    before = (pictures / "b.JPG").read_bytes()
    (tmp_path / "other.csv").symlink_to(pictures / "b.JPG")
    assert predict(pictures / "a.png", "--bundle", made, "--csv", tmp_path / "other.csv").exit_code == 2
    assert (pictures / "b.JPG").read_bytes() == before


def test_a_folder_that_takes_no_files_is_said_before_the_work(
    made: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root can write everywhere
    for option, place in (("--csv", "a.csv"), ("--annotate", "copies")):
        done = predict(pictures / "a.png", "--bundle", made, option, tmp_path / place)
        assert (done.exit_code, done.output.splitlines()) == (
            2,
            [f"edgefer: {option} {tmp_path / place} cannot be written: {tmp_path} is not writable"],
        )


def test_files_of_a_folder_that_are_no_pictures_are_counted(made: Path, pictures: Path) -> None:
    done = predict(pictures, "--bundle", made)
    assert re.search(r"skipped, because edgefer reads only .*\.jpg.*: 1 files such as \S+/notes\.txt", done.stderr)


def test_a_picture_without_a_face_comes_with_what_to_do(made: Path, tmp_path: Path, yunet: Path) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "wall.png")
    done = predict(tmp_path / "wall.png", "--bundle", made)
    assert done.exit_code == 0
    assert "no face found in 1 of 1; for pictures cropped to the face, use --faces never" in done.stderr


def test_a_small_picture_is_one_face_unless_it_has_no_face_s_shape_or_nothing_in_it(made: Path, yunet: Path) -> None:
    face = samples.pictures(TRUTH)[0]
    with edgefer.load(made) as predictor:
        for size, faces in {(47, 40): 1, (47, 94): 1, (47, 95): 0, (48, 48): 0}.items():
            picture = np.asarray(Image.fromarray(face).resize(size, Image.Resampling.NEAREST))
            assert len(predictor.predict_faces(picture)[0]) == faces, size
        for blank in (np.full((40, 40), 90, np.uint8), np.full((40, 40, 3), (200, 100, 50), np.uint8)):
            assert predictor.predict_faces(blank) == [[]]
            assert len(predictor.predict_faces(blank, "never")[0]) == 1


def test_a_bundle_that_is_none_of_edgefers_is_told_which_there_are(pictures: Path) -> None:
    done = predict(pictures / "a.png", "--bundle", "edgefer-giant")
    assert done.exit_code == 2
    assert "edgefer-giant is not there; a bundle is a folder" in done.output
    assert all(name in done.output for name in bundle.pretrained())


def test_names_with_markup_and_boxes_at_the_edge_are_drawn_and_printed_as_they_are(tmp_path: Path) -> None:
    from rich.console import Console

    face = Prediction("happy", {"happy": 0.9, "sad": 0.1}, 1.0, Box(290, 0, 10, 10))
    each = predictions.PicturePrediction(tmp_path / "[red]face[/red].png", [face], 1.0)
    console = Console(record=True, width=200, file=(tmp_path / "out").open("w"))
    console.print(predictions.table([each]))
    assert "[red]face[/red].png" in console.export_text()
    copy = predictions.annotate(Image.new("L", (300, 200)), [face])
    assert copy.size == (300, 200)
    assert np.asarray(copy)[:10, 240:285].any()  # the label is beside the box, inside the picture


@pytest.mark.parametrize("size", [(1, 1), (1, 800), (10_000, 1), (4000, 3000), (30, 40)])
def test_pictures_of_any_shape_are_annotated_within_bounds(size: tuple[int, int]) -> None:
    face = Prediction("happy", {"happy": 0.9, "sad": 0.1}, 1.0)
    copy = predictions.annotate(Image.new("L", size), [face, face])
    assert copy.width * copy.height <= 10_100_000


def test_a_face_below_the_least_confidence_is_unsure_in_the_picture_too() -> None:
    face = Prediction("happy", {"happy": 0.4, "sad": 0.3, "fear": 0.3}, 1.0)
    bare, unsure = (np.asarray(predictions.annotate(Image.new("L", (300, 200)), [face], least)) for least in (0.0, 0.5))
    assert (bare != unsure).any()


def test_labels_and_names_that_are_no_plain_text_are_shown_all_the_same(tmp_path: Path, made: Path) -> None:
    from rich.console import Console

    face = Prediction("[/x]", {"[/x]": 0.9, "[red]": 0.1}, 1.0)
    found = [
        predictions.PicturePrediction(Path(os.fsdecode(b"caf\xe9\x1b[2J.png")), [face], 1.0),
        predictions.PicturePrediction(Path("b"), [], 1.0, "no"),
    ]
    console = Console(record=True, width=200, file=(tmp_path / "out").open("w"))
    console.print(predictions.table(found))
    shown = console.export_text()
    assert "[/x]" in shown
    assert "\x1b" not in shown
    predictions.write_csv(tmp_path / "faces.csv", found, ["[/x]", "[red]"])
    lines = list(tables.DictReader((tmp_path / "faces.csv").read_text(errors="surrogateescape").splitlines()))
    assert [line["error"] for line in lines] == ["", "no"]


def test_what_lies_in_the_folder_does_not_stand_for_the_default_network(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgefer-base").mkdir()
    done = predict(pictures / "a.png", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bundle"] == "edgefer-base"


def test_a_pattern_that_fits_folders_alone_means_the_pictures_in_them(made: Path, pictures: Path) -> None:
    done = predict(pictures / "mo*", "--bundle", made, "--json")
    assert [Path(line["file"]).name for line in json.loads(done.stdout)["pictures"]] == ["a.png"]


def test_copies_go_into_a_folder_that_a_link_leads_to_if_it_is_there(
    made: Path, pictures: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk")
    nowhere = predict(pictures / "a.png", "--bundle", made, "--annotate", link)
    assert nowhere.exit_code == 2
    assert "create that folder first" in nowhere.output
    (tmp_path / "disk").mkdir()
    assert predict(pictures / "a.png", "--bundle", made, "--annotate", link).exit_code == 0
    assert (tmp_path / "disk" / "a.png").is_file()


def test_a_face_s_score_roll_and_place_stand_in_json_csv_and_the_copy(
    made: Path, tmp_path: Path, fer2013: Path, yunet: Path
) -> None:
    from tests.helpers.pictures import happy, lay

    Image.fromarray(lay([(happy(fer2013)[0], 200, 100, 200)], roll=35)).save(tmp_path / "turned.png")
    options = ("--bundle", made, "--json", "--csv", tmp_path / "a.csv", "--detector", yunet)
    done = predict(tmp_path / "turned.png", *options)
    assert done.exit_code == 0, done.output
    [face] = json.loads(done.stdout)["pictures"][0]["faces"]
    assert 0.5 < face["score"] <= 1
    assert 8 < face["roll"] < 50
    assert len(face["landmarks"]) == 5
    assert face["notes"] == []
    [line] = tables.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (float(line["score"]), float(line["roll"]), line["notes"]) == (face["score"], face["roll"], "")
    box = Box(200, 100, 200, 200)
    faces = [Prediction("happy", {"happy": 1.0}, 1.0, box, 0.9, roll) for roll in (0.0, 45.0)]
    straight, turned = (np.asarray(predictions.annotate(Image.new("L", (640, 480)), [face])) for face in faces)
    assert straight[200, 200].any()
    assert not turned[200, 200].any()
    assert turned[200, 300 - 141 : 300 - 135].any()  # the corner of the rotated square


def test_a_detector_that_is_not_there_is_said_in_one_line(made: Path, pictures: Path) -> None:
    done = predict(pictures / "a.png", "--bundle", made, "--faces", "always", "--detector", "nowhere.onnx")
    assert done.exit_code == 2
    [line] = done.output.splitlines()
    assert "nowhere.onnx is not there" in line
