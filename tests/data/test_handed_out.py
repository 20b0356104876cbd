"""Data sets in their distributed layouts: an imitation of each, with its documented names and columns."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgefer import data
from edgefer.cli.main import app
from edgefer.data.dataset import SPLITS
from edgefer.errors import InputError
from edgefer.labels import LABELS
from tests.helpers import sources
from tests.helpers.handed_out import (
    LATER,
    MADE,
    Lab,
    Made,
    ck,
    expw,
    jaffe,
    kdef,
    roboflow,
    table_of_boxes,
    table_of_paths,
)


@pytest.mark.parametrize("make", [*MADE, *LATER], ids=lambda make: make.__name__)
def test_each_layout_is_read_in_place(make: Callable[[Path, Lab], Made], tmp_path: Path) -> None:
    path, rows = make(tmp_path, Lab())

    dataset = data.load(path)

    assert [dataset.classes[label] for label in dataset.labels] == [label for label, _ in rows]
    if rows[0][1] is not None:
        assert [SPLITS[split] for split in dataset.splits if split != 1] == [s for _, s in rows if s != "val"] or (
            dataset.carved == ("val",)
        )
    else:
        assert dataset.carved == ("val", "test")
    again = data.load(path)
    assert again.digest == dataset.digest
    assert again.layout == dataset.layout != ""


@pytest.mark.parametrize("make", [kdef, jaffe, ck], ids=lambda make: make.__name__)
def test_people_in_file_names_are_kept_apart(make: Callable[[Path, Lab], Made], tmp_path: Path) -> None:
    dataset = data.load(make(tmp_path, Lab())[0])

    assert dataset.division is not None
    assert dataset.division.by == "person"


def test_a_face_of_expw_is_what_its_box_says(tmp_path: Path) -> None:
    dataset = data.load(expw(tmp_path, Lab())[0])

    assert dataset.images.shape == (14, 48, 48)
    stored = np.asarray(Image.open(tmp_path / "image" / "origin" / "3.jpg"))[30:78, 30:78]
    assert np.array_equal(dataset.images[3], stored)


def test_a_face_of_a_table_is_what_its_box_says(tmp_path: Path) -> None:
    dataset = data.load(table_of_boxes(tmp_path, Lab())[0])

    stored = np.asarray(Image.open(tmp_path / "images" / "2.png"))
    assert np.array_equal(dataset.images[4], stored[20:68, 20:68])
    assert np.array_equal(dataset.images[5], stored[20:68, 108:156])
    assert dataset.division is not None
    assert dataset.division.by == "person"  # both faces of a picture are in the same split

    (tmp_path / "faces.csv").write_text("image,x,y,w,h,emotion\n0.png,1,2,x,4,sad\n1.png,1,2,3,0,happy\n")
    with pytest.raises(InputError, match="the boxes of rows 1, 2 are not rectangles"):
        data.load(tmp_path / "faces.csv")


def test_a_picture_with_two_labels_or_none_is_named(tmp_path: Path) -> None:
    roboflow(tmp_path, Lab())
    table = tmp_path / "train" / "_classes.csv"
    table.write_text(table.read_text() + "\nboth.jpg, 1, 1\nnone.jpg, 0, 0")

    with pytest.raises(InputError, match=r"2 pictures have no label or more than one .* both.jpg, none.jpg"):
        data.load(tmp_path)


def test_numbers_are_guessed_and_named_by_an_option(tmp_path: Path) -> None:
    counts = {f"train/{number}": 3 for number in range(1, 8)}
    dataset = data.load(sources.class_folders(tmp_path, counts))
    assert dataset.classes == tuple("1234567")
    with pytest.raises(InputError, match=r"1 surprise, 2 fear, .*confirm with --labels raf-db"):
        data.check_named(dataset)

    named = data.load(tmp_path, labels="raf-db")

    assert named.classes == LABELS
    assert named.classes[named.labels[0]] == "surprise"
    done = CliRunner().invoke(app, ["data", "info", str(tmp_path)], env={"COLUMNS": "200"})
    assert "confirm with --labels raf-db" in done.stdout
    done = CliRunner().invoke(app, ["train", "--data", str(tmp_path), "--no-export-check"])
    assert done.exit_code == 2
    assert "--labels raf-db" in done.stderr


def test_labels_are_renamed_merged_and_dropped(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"anger": 4, "fear": 4, "Happiness": 4, "contempt": 4})

    dataset = data.load(tmp_path, renames="fear=negative,anger=negative,happy=positive,contempt=")

    assert dataset.classes == ("negative", "positive")
    assert sum(len(data.split(dataset, name)) for name in SPLITS) == 12
    assert data.made_of(dataset, LABELS) == {"negative": ("angry", "fear"), "positive": ("happy",)}
    with pytest.raises(InputError, match="--map names rage, wrath, which"):
        data.load(tmp_path, renames="rage=angry,wrath=angry")


def test_a_description_stands_for_data_and_options(tmp_path: Path) -> None:
    path, _ = table_of_paths(tmp_path, Lab())
    file = tmp_path / "described.toml"

    done = CliRunner().invoke(
        app, ["data", "info", str(path), "--label-column", "split", "--path-column", "bild", "--save", str(file)]
    )

    assert done.exit_code == 0, done.stderr
    assert 'path = "faces.csv"' in file.read_text()
    assert data.load(file).classes == ("test", "train", "val")
    (tmp_path / "odd.toml").write_text('path = "faces.csv"\ncolour = "red"\n')
    with pytest.raises(InputError, match=r"does not describe a data set .it has unknown keys colour"):
        data.load(tmp_path / "odd.toml")


def test_all_damaged_files_are_listed(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"bored": 4, "engaged": 4})
    for name in ("bored/1.png", "engaged/0.png", "engaged/3.png"):
        (tmp_path / name).write_bytes(b"nothing")

    done = CliRunner().invoke(app, ["data", "info", str(tmp_path)])

    assert done.exit_code == 2
    assert all(name in done.stdout for name in ("bored/1.png", "engaged/0.png", "engaged/3.png"))


def test_all_damaged_members_of_an_archive_are_listed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        for number in range(6):
            picture = b"nothing" if number in (1, 4) else sources.png(Lab().face(""))
            for ending, content in (("cls", str(number % 2).encode()), ("png", picture)):
                member = tarfile.TarInfo(f"{number}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    done = CliRunner().invoke(app, ["data", "info", str(tmp_path / "faces.tar"), "--json"])

    assert done.exit_code == 2
    assert [each.partition(" is no")[0][-5:] for each in json.loads(done.stdout)["damaged"]] == ["1.png", "4.png"]


def test_all_missing_files_and_bad_rows_are_counted(tmp_path: Path) -> None:
    path, _ = table_of_paths(tmp_path, Lab())
    (tmp_path / "pictures" / "4.png").unlink()
    (tmp_path / "pictures" / "7.png").unlink()
    with pytest.raises(InputError, match=r"2 of 18 listed pictures are missing, such as .*4.png, .*7.png"):
        data.load(path)
    with pytest.raises(InputError, match=r"no column 'colour' .it has: Nr, Bild, Klasse, split"):
        data.load(path, label_column="colour")


def test_the_labels_of_a_recorded_training_come_back(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"anger": 9, "fear": 9, "happy": 9})
    named = data.load(tmp_path, renames="fear=negative,anger=negative,happy=positive")

    again = data.as_recorded(data.load(tmp_path), json.loads(json.dumps(data.record(named))))

    assert again.classes == ("negative", "positive")
    assert again.digest == named.digest
    assert np.array_equal(again.splits, named.splits)


def test_ferplus_by_the_paper_s_protocol(fer2013: Path) -> None:
    votes = fer2013.parent / "fer2013new.csv"
    if not votes.exists():
        pytest.skip("FER+ is not here; put fer2013new.csv beside fer2013.zip")

    dataset = data.load(fer2013, labels="ferplus")

    assert np.bincount(dataset.splits)[:3].tolist() == [25_060, 3_199, 3_153]
    assert dataset.classes == (*LABELS, "contempt")
    assert dataset.name == "FER+"
    assert data.load(fer2013, labels=str(votes)).digest == dataset.digest
    assert data.as_recorded(data.load(fer2013), data.record(dataset)).digest == dataset.digest
