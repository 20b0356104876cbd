"""Every layout in which users have FER2013 and other faces."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import data
from edgefer.data.dataset import SPLITS, USAGES
from edgefer.errors import InputError
from edgefer.labels import LABELS
from tests.helpers import sources


def bare_zip(path: Path, rows: sources.Small) -> Path:
    return sources.write_zip(path / "faces.zip", sources.write_folder(path / "unpacked", rows))


def zip_with_top_folder(path: Path, rows: sources.Small) -> Path:
    folder = sources.write_folder(path / "unpacked", rows)
    packed = sources.write_zip(path / "faces.zip", folder, "fer2013/images/")
    with zipfile.ZipFile(packed, "a") as archive:  # added by a Mac
        archive.writestr("__MACOSX/fer2013/._train", b"\x00")
        archive.writestr("fer2013/images/train/.DS_Store", b"\x00")
    return packed


def zip_with_table(path: Path, rows: sources.Small) -> Path:
    table = sources.write_csv(path / "fer2013.csv", rows)
    with zipfile.ZipFile(path / "challenge.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("example_submission.csv", "x\n")
        archive.write(table, "challenge/fer2013.csv")
    table.unlink()
    return path / "challenge.zip"


def folder_with_table(path: Path, rows: sources.Small) -> Path:
    (path / "fer2013").mkdir()
    sources.write_csv(path / "fer2013" / "fer2013.csv", rows)
    return path


def folder_with_zip(path: Path, rows: sources.Small) -> Path:
    bare_zip(path, rows).rename(path / "fer2013.zip")
    shutil.rmtree(path / "unpacked")
    return path


def folder_in_folder(path: Path, rows: sources.Small) -> Path:
    sources.write_folder(path / "archive" / "fer2013", rows)
    return path


def table_with_extras(path: Path, rows: sources.Small) -> Path:
    """Write a spreadsheet's version: a byte order mark, quotes, another column, empty lines."""
    lines = [f'"{a}","{b}",{c},x' for a, b, c in (line.split(",") for line in sources.rows(rows))]
    text = "\n".join(["emotion,pixels,Usage,note", *lines]) + "\n\n\n"
    (path / "faces.csv").write_text(text, encoding="utf-8-sig")
    return path / "faces.csv"


LAYOUTS: list[Callable[[Path, sources.Small], Path]] = [
    lambda path, rows: sources.write_csv(path / "fer2013.csv", rows),
    lambda path, rows: sources.write_icml_csv(path / "icml_face_data.csv", rows),
    lambda path, rows: sources.write_tar(path / "fer2013.tar.gz", rows),
    sources.write_folder,
    bare_zip,
    zip_with_top_folder,
    zip_with_table,
    folder_with_table,
    folder_with_zip,
    folder_in_folder,
    table_with_extras,
]


@pytest.mark.parametrize("write", LAYOUTS, ids=lambda write: write.__name__)
def test_all_layouts_of_fer2013_give_the_same_arrays(write: Callable[..., Path], tmp_path: Path) -> None:
    rows = sources.small()
    (tmp_path / "a").mkdir()

    dataset = data.load(write(tmp_path / "a", rows))

    assert np.array_equal(dataset.images, rows.images)
    assert np.array_equal(dataset.labels, rows.emotions)
    assert [USAGES[split] for split in dataset.splits] == rows.usages
    assert np.array_equal(dataset.rows, np.arange(len(rows.usages)))
    assert dataset.classes == LABELS
    assert dataset.carved == ()
    assert dataset.digest == data.load(sources.write_csv(tmp_path / "same.csv", rows)).digest


def test_the_digest_tells_other_data(tmp_path: Path) -> None:
    rows = sources.small()
    digest = data.load(sources.write_csv(tmp_path / "a.csv", rows)).digest
    rows.images[3, 20, 20] ^= 1

    assert data.load(sources.write_csv(tmp_path / "b.csv", rows)).digest != digest

    rows.images[3, 20, 20] ^= 1
    rows.usages[0] = "PublicTest"

    assert data.load(sources.write_csv(tmp_path / "c.csv", rows)).digest != digest


def test_names_decide_the_split_not_folders(tmp_path: Path) -> None:
    folder = sources.write_folder(tmp_path / "a", sources.small())
    everything = tmp_path / "flat"
    for picture in folder.rglob("*.png"):
        (everything / picture.parent.name).mkdir(parents=True, exist_ok=True)
        picture.rename(everything / picture.parent.name / picture.name)

    dataset = data.load(everything)

    assert [USAGES[split] for split in dataset.splits] == sources.small().usages


def test_synonyms_of_the_classes(tmp_path: Path) -> None:
    folders = ("Anger", "DISGUSTED", "3_fearful", "happiness", "sadness", "surprised", "calm")

    dataset = data.load(sources.class_folders(tmp_path, dict.fromkeys(folders, 8)))

    assert dataset.classes == LABELS
    assert np.bincount(dataset.labels).tolist() == [8] * 7


def test_only_the_classes_that_are_there_in_the_usual_order(tmp_path: Path) -> None:
    dataset = data.load(sources.class_folders(tmp_path, {"sad": 8, "happy": 9, "anger": 10}))

    assert dataset.classes == ("angry", "happy", "sad")
    assert np.bincount(dataset.labels).tolist() == [10, 9, 8]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "validation", "Testing"), ("train", "valid", "test")]
)
def test_folders_for_the_splits(names: tuple[str, str, str], tmp_path: Path) -> None:
    counts = {f"{level}/{name}": n for level, n in zip(names, (6, 3, 2), strict=True) for name in ("happy", "sad")}

    dataset = data.load(sources.class_folders(tmp_path, counts))

    assert np.bincount(dataset.splits).tolist() == [12, 6, 4]
    assert dataset.carved == ()
    assert (tmp_path.name, f"class folders {names[0]}/, {names[1]}/, {names[2]}/") == (dataset.name, dataset.layout)


def test_validation_images_are_taken_from_training_where_there_are_none(tmp_path: Path) -> None:
    counts = {"train/happy": 160, "train/sad": 40, "test/happy": 10, "test/sad": 10}

    dataset = data.load(sources.class_folders(tmp_path, counts, (8, 8)))

    assert dataset.carved == ("val",)
    assert counted(dataset) == {"train": [140, 35], "val": [20, 5], "test": [10, 10]}


def test_a_folder_without_splits_is_divided(tmp_path: Path) -> None:
    dataset = data.load(sources.class_folders(tmp_path, {"happy": 160, "sad": 40}, (8, 8)))

    assert dataset.carved == ("val", "test")
    assert counted(dataset) == {"train": [120, 30], "val": [20, 5], "test": [20, 5]}


def test_the_division_is_the_same_each_time(tmp_path: Path) -> None:
    counts = {"happy": 30, "sad": 30}
    first = data.load(sources.class_folders(tmp_path / "a", counts, (8, 8)))
    second = data.load(sources.class_folders(tmp_path / "b", counts, (8, 8)))

    assert np.array_equal(first.splits, second.splits)
    assert first.digest == second.digest


def test_test_images_alone_are_a_data_set(tmp_path: Path) -> None:
    dataset = data.load(sources.class_folders(tmp_path, {"test/happy": 3, "test/sad": 4}))

    assert counted(dataset) == {"train": [0, 0], "val": [0, 0], "test": [3, 4]}
    with pytest.raises(InputError, match="no images for the split 'train'"):
        data.split(dataset, "train")


def test_numbers_that_repeat_are_not_rows(tmp_path: Path) -> None:
    """Some copies of FER2013 have numbers that differ from the rows'."""
    for name, seed in (("happy/Training_7.png", 0), ("sad/Training_7.png", 1), ("sad/PublicTest_3.png", 2)):
        sources.write_picture(tmp_path / name, seed=seed)

    dataset = data.load(tmp_path)

    assert dataset.rows.tolist() == [0, 1, 2]
    assert dataset.splits.tolist() == [1, 0, 0]


def test_files_that_are_no_pictures_are_left_out(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"happy": 3, "sad": 3})
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "happy" / "list.txt").write_text("about")
    (tmp_path / "happy" / ".hidden.png").write_text("no picture")

    assert len(data.load(tmp_path)) == 6


def counted(dataset: data.Dataset) -> dict[str, list[int]]:
    return {
        split: np.bincount(dataset.labels[dataset.splits == i], minlength=len(dataset.classes)).tolist()
        for i, split in enumerate(SPLITS)
    }


def test_a_folder_of_pictures_that_is_no_split_is_refused_and_any_other_does_no_harm(tmp_path: Path) -> None:
    counts = {"train/happy": 20, "train/sad": 20, "validate/happy": 3, "validate/sad": 3}
    sources.class_folders(tmp_path / "set", counts, (8, 8))
    with pytest.raises(InputError, match=r"validate is not a known split \(dev, .*\); rename it or move it"):
        data.load(tmp_path / "set")
    (tmp_path / "set" / "validate").rename(tmp_path / "elsewhere")
    (tmp_path / "set" / "runs" / "train").mkdir(parents=True)
    (tmp_path / "set" / "runs" / "train" / "run.html").write_text("a page")
    assert data.load(tmp_path / "set").layout == "class folders train/"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures_that_are_added_hardly_move_others_between_the_splits(mode: str, tmp_path: Path) -> None:
    """Else a network continued with `--from` is evaluated on images that it was trained on."""
    sources.class_folders(tmp_path, {"happy": 200, "sad": 200}, (8, 8))
    before = {image.tobytes(): split for image, split in _images_and_splits(tmp_path)}
    sources.class_folders(tmp_path / "more", {"happy": 20, "sad": 24}, (8, 8))
    for picture in sorted((tmp_path / "more").rglob("*.png")):
        added = Image.open(picture).convert(mode)
        added.putpixel((0, 0), 9 if mode == "L" else (9, 99, 199))  # one colour picture makes all of them colour
        added.save(tmp_path / picture.parent.name / f"added-{picture.name}")
    shutil.rmtree(tmp_path / "more")
    after = _images_and_splits(tmp_path)
    assert len(after) == 444
    learned = [split for image, split in after if split and before.get(image.tobytes()) == 0]
    assert len(learned) <= 5  # of 112 in validation and test; a new split would mix three quarters of them
    assert sum(split > 0 for _, split in after) == 112


def _images_and_splits(folder: Path) -> list[tuple[np.ndarray, int]]:
    dataset = data.load(folder)
    grey = dataset.images if dataset.images.ndim == 3 else dataset.images[..., 0]
    return list(zip(grey, dataset.splits.tolist(), strict=True))
