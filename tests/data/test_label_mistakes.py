"""Labels by mistake: misspelt, missing, unprintable; and invalid label lists."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import console, data, labels, limits
from edgefer.data.reading import Reading, description
from edgefer.errors import InputError
from tests.helpers import sources


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "has no labels; write one per line"), ("² engaged, x\n1 b\n2 c\n", "line 1: expected a label")],
)
def test_a_list_of_labels_that_is_none_is_refused(content: str, said: str, tmp_path: Path) -> None:
    sources.class_folders(tmp_path / "faces", {"0": 4, "1": 4, "2": 4})
    (tmp_path / "names.txt").write_text(content, encoding="utf-8")

    with pytest.raises(InputError, match=said):
        data.load(tmp_path / "faces", labels=str(tmp_path / "names.txt"))


def test_a_list_of_labels_may_be_longer_than_a_name_of_a_file(tmp_path: Path) -> None:
    sources.class_folders(tmp_path / "faces", {"0": 4, "1": 4, "2": 4})
    names = ",".join(f"a name of {'many' * 20} letters {number}"[-60:] for number in range(3)) + "," + "x" * 300

    assert len(data.load(tmp_path / "faces", labels=names).classes) == 3
    (tmp_path / "faces.toml").write_text(f'path = "faces"\nlabels = "{names}"\n')
    assert len(data.load(tmp_path / "faces.toml").classes) == 3


@pytest.mark.parametrize("name", ["x" * (labels.MAX_LENGTH + 1), "a\nb", "a\0"])
def test_a_new_name_that_cannot_be_a_label_is_refused_before_a_training(name: str, tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"bored": 4, "happy": 4})

    with pytest.raises(InputError, match="cannot be a label") as error:
        data.load(tmp_path, renames=f"bored={name}")
    assert "\n" not in str(error.value)


def test_a_label_near_to_an_expression_is_said_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sources.class_folders(tmp_path, {"bored": 4, "happy": 4, "neutal": 4})
    monkeypatch.setattr(console, "_enabled", True)

    data.find(tmp_path)
    said = capsys.readouterr().err
    mended = data.find(tmp_path, reading=Reading(renames="neutal=neutral"))

    assert "kept as they are: bored, neutal; if misspelled: --map 'neutal=neutral'" in said
    assert mended.classes == ("happy", "neutral", "bored")
    assert "misspelt" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["engaged", "bored", "drowsy", "positive", "negative", "content", "tired", "confused"])
def test_words_of_their_own_are_near_to_no_expression(word: str) -> None:
    assert labels.near(word) is None


def test_numbers_that_only_look_like_digits_are_no_labels_of_raf_db(tmp_path: Path) -> None:
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text("train_1.jpg ²\n", encoding="utf-8")

    with pytest.raises(InputError, match="labels ², but 1 to 7 are possible"):
        data.load(tmp_path)


def test_a_table_with_a_label_that_is_never_trained_is_refused_as_folders_are(tmp_path: Path) -> None:
    rows = [("happy", "train"), ("sad", "test")] * 3
    pixels = " ".join(["7"] * 16)
    (tmp_path / "faces.csv").write_text(
        "label,split,pixels\n" + "".join(f"{label},{split},{pixels}\n" for label, split in rows)
    )

    with pytest.raises(InputError, match="pictures of sad, but not for training"):
        data.load(tmp_path / "faces.csv")


def parquet(path: Path, said: list[object], names: list[str] | None = None) -> Path:
    """Write pictures and labels like Hugging Face."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    rng = np.random.default_rng(len(said))
    pictures = []
    for number in range(len(said)):
        file = path.parent / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(file)
        pictures.append({"bytes": file.read_bytes(), "path": None})
        file.unlink()
    made = arrow.table({"image": pictures, "label": said})
    if names is not None:
        features = {"info": {"features": {"label": {"names": names}}}}
        made = made.replace_schema_metadata({b"huggingface": json.dumps(features).encode()})
    files.write_table(made, path)
    return path


@pytest.mark.parametrize(
    ("said", "names"),
    [(["happy", "sad", None, "sad"], None), ([0, 1, -1, 1], ["happy", "sad"]), ([0, 1, 2, 1], ["happy", "sad"])],
)
def test_a_row_without_a_label_makes_no_label(said: list[object], names: list[str] | None, tmp_path: Path) -> None:
    path = parquet(tmp_path / "faces.parquet", said * 4, names)

    with pytest.raises(InputError, match=r"4 of 16 rows have no label, such as .*#2"):
        data.load(path)


def test_a_table_s_name_may_be_in_capitals(tmp_path: Path) -> None:
    assert data.load(parquet(tmp_path / "FACES.PARQUET", ["happy", "sad"] * 8)).classes == ("happy", "sad")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_rows_that_take_no_room_in_a_file_are_bounded(ending: str, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    path, rows = tmp_path / f"faces.{ending}", limits.ENTRIES + 1
    made = arrow.table({"image": arrow.nulls(rows), "label": arrow.nulls(rows)})
    if ending == "parquet":
        files.write_table(made, path)
    else:
        with arrow.OSFile(str(path), "wb") as sink, arrow.ipc.new_file(sink, made.schema) as writer:
            writer.write_table(made)

    with pytest.raises(InputError, match=r"has 500,001 rows, but at most 500,000 are possible"):
        data.load(path)


def test_a_description_names_files_relative_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.class_folders(tmp_path / "data" / "faces", {"0": 4, "1": 4})
    (tmp_path / "names.txt").write_text("bored\nengaged\n")
    (tmp_path / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    file = Path("notes", "faces.toml")

    file.write_text(description(Path("data", "faces"), Reading(labels="names.txt"), file))

    assert str(tmp_path) not in file.read_text()
    monkeypatch.chdir(os.sep)
    assert data.load(tmp_path / file).classes == ("bored", "engaged")


def expw(folder: Path, lines: str) -> Path:
    """Write an ExpW list over one picture with a black left half."""
    picture = np.zeros((48, 48), np.uint8)
    picture[:, 24:] = 255
    sources.write_picture(folder / "image" / "origin" / "a.png", picture)
    (folder / "label").mkdir()
    (folder / "label" / "label.lst").write_text(lines)
    return folder


def test_two_faces_of_one_number_in_expw_keep_their_own_boxes(tmp_path: Path) -> None:
    dataset = data.load(expw(tmp_path, "a.png 0 0 0 20 20 1 0\na.png 0 0 28 44 20 1 3\n"))

    black, white = dataset.images
    assert (int(black.max()), int(white.min())) == (0, 255)


def test_a_picture_listed_with_two_labels_is_refused(tmp_path: Path) -> None:
    for name in ("0", "1"):
        sources.write_picture(tmp_path / f"{name}.png", np.full((8, 8), 7, np.uint8))
    (tmp_path / "list.csv").write_text("path,label\n0.png,happy\n0.png,sad\n1.png,sad\n")

    with pytest.raises(InputError, match=r"0.png is listed as happy and as sad; keep one row"):
        data.load(tmp_path / "list.csv")


def test_a_tar_whose_pictures_all_lack_labels_says_so(tmp_path: Path) -> None:
    sources.write_picture(tmp_path / "0.png", np.full((8, 8), 7, np.uint8))
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        archive.add(tmp_path / "0.png", "0.png")

    with pytest.raises(InputError, match=r"1 pictures have no .cls, .txt or .json file"):
        data.load(tmp_path / "faces.tar")


def test_arrays_and_descriptions_that_hold_nothing_are_errors_of_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.zeros((4, 0)))
    with pytest.raises(InputError, match="expected one label per picture"):
        data.load(tmp_path / "a.npz")
    (tmp_path / "a.toml").write_text('path = "\\u0000"\n')
    with pytest.raises(InputError, match="null character"):
        data.load(tmp_path / "a.toml")
    sources.write_picture(tmp_path / "aff" / "train_set" / "images" / "0.jpg", np.full((8, 8), 7, np.uint8))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,), }".ljust(117) + b"\n"
    (tmp_path / "aff" / "train_set" / "annotations").mkdir()
    (tmp_path / "aff" / "train_set" / "annotations" / "0_exp.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header)
    with pytest.raises(InputError, match=r"0_exp.npy holds no expression"):
        data.load(tmp_path / "aff")


def test_arrays_stored_by_columns_and_empty_ones_are_read_as_they_are(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (16, 8, 6), dtype=np.uint8)
    said = np.array(["happy", "sad"] * 8)
    np.savez(tmp_path / "a.npz", images=np.asfortranarray(pictures), labels=said)
    np.savez(tmp_path / "empty.npz", images=np.zeros((0, 8, 6), np.uint8), labels=np.zeros(0, np.int64))

    dataset = data.load(tmp_path / "a.npz")

    assert np.array_equal(dataset.images, pictures)
    assert [dataset.classes[label] for label in dataset.labels] == said.tolist()
    with pytest.raises(InputError, match=r"images.npy has shape .0, 8, 6."):
        data.load(tmp_path / "empty.npz")


def test_votes_are_looked_for_beside_the_data_and_not_beside_their_description(tmp_path: Path) -> None:
    sources.class_folders(tmp_path / "data" / "faces", {"happy": 4, "sad": 4})
    (tmp_path / "faces.toml").write_text('path = "data/faces"\nlabels = "ferplus"\n')

    with pytest.raises(InputError, match=r"no fer2013new.csv next to .*data/faces"):
        data.load(tmp_path / "faces.toml")
    (tmp_path / "faces.toml").write_text('path = "data/faces"\n')
    assert data.load(tmp_path / "faces.toml").origin == str(tmp_path / "faces.toml")
