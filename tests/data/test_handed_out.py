"""Data sets in the layouts they are handed out in: an imitation of each, with the names and columns of its own page."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgefer import data
from edgefer.cli.main import app
from edgefer.data.dataset import SPLITS
from edgefer.errors import InputError
from edgefer.labels import LABELS, ORDERS, canonical
from tests.helpers import sources

Made = tuple[Path, list[tuple[str, str | None]]]  # a path, and of each picture in order its label and its split


def faces(count: int) -> Iterator[np.ndarray]:
    """Yield pictures that differ."""
    yield from np.random.default_rng(count).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def raf_db(top: Path) -> Made:
    order = ORDERS["raf-db"]
    said = [(f"{split}_{number:05}.jpg", 1 + number % 7) for split in ("train", "test") for number in range(1, 22)]
    (top / "EmoLabel").mkdir()
    (top / "EmoLabel" / "list_patition_label.txt").write_text("".join(f"{name} {code}\n" for name, code in said))
    for (name, _), face in zip(said, faces(len(said)), strict=True):
        sources.write_picture(top / "Image" / "aligned" / name.replace(".jpg", "_aligned.jpg"), face)
    return top, [(order[code], name.partition("_")[0]) for name, code in said]


def affectnet_folders(top: Path) -> Made:
    order, rows = ORDERS["affectnet"], []
    for name, split in (("train_set", "train"), ("val_set", "test")):
        (top / name / "annotations").mkdir(parents=True)
        for number, face in enumerate(faces(16)):
            sources.write_picture(top / name / "images" / f"{number}.jpg", face)
            np.save(top / name / "annotations" / f"{number}_exp.npy", np.array(str(number % 8)))
            np.save(top / name / "annotations" / f"{number}_val.npy", np.array("0.5"))
        rows += [
            (order[int(each.stem[:-4]) % 8], split) for each in sorted((top / name / "annotations").glob("*_exp.npy"))
        ]
    return top, rows


def affectnet_tables(top: Path) -> Made:
    order, rows = ORDERS["affectnet"], []
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    for name, split in (("training", "train"), ("validation", "test")):
        lines = [header]
        for number, face in enumerate(faces(20)):
            code = number % 10  # 8 and 9 are none and uncertain
            sources.write_picture(top / "Manually_Annotated_Images" / split / f"{number}.jpg", face)
            lines.append(f"{split}/{number}.jpg,1,1,40,40,3.5;4.5,{code},0.1,0.2")
            rows += [(order[code], split)] if code < 8 else []
        (top / f"{name}.csv").write_text("\n".join(lines))
    return top, rows


def expw(top: Path) -> Made:
    lines = []
    for number, face in enumerate(faces(14)):
        sources.write_picture(top / "image" / "origin" / f"{number}.jpg", np.pad(face, 30))
        lines.append(f"{number}.jpg 0 30 30 78 78 {80 + number}.5 {number % 7}")
    (top / "label").mkdir()
    (top / "label" / "label.lst").write_text("\n".join(lines))
    return top, [(LABELS[number % 7], None) for number in range(14)]


def ck(top: Path) -> Made:
    rows: list[tuple[str, str | None]] = []
    for person in range(1, 8):
        folder = f"S{person:03}/001"
        for frame, face in enumerate([*faces(100 + person)][:6], 1):
            name = f"S{person:03}_001_{frame:08}.png"
            sources.write_picture(top / "cohn-kanade-images" / folder / name, face)
        (top / "Emotion" / folder).mkdir(parents=True)
        (top / "Emotion" / folder / f"S{person:03}_001_00000006_emotion.txt").write_text(f"   {person}.0000000e+00\n")
        rows += [("neutral", None)] + [(ORDERS["ck+"][person], None)] * 3
    return top, rows


def kdef(top: Path) -> Made:
    codes = {
        "AF": "fear",
        "AN": "angry",
        "DI": "disgust",
        "HA": "happy",
        "NE": "neutral",
        "SA": "sad",
        "SU": "surprise",
    }
    names = sorted(
        f"A{person}{code}{angle}" for person in ("F01", "F02", "M01") for code in codes for angle in ("S", "HL")
    )
    for name, face in zip(names, faces(len(names)), strict=True):
        sources.write_picture(top / name[:4] / f"{name}.JPG", face)
    return top, [(codes[name[4:6]], None) for name in names]


def jaffe(top: Path) -> Made:
    codes = {
        "AN": "angry",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happy",
        "NE": "neutral",
        "SA": "sad",
        "SU": "surprise",
    }
    names = sorted(
        f"{person}.{code}{take}.{39 + take}" for person in ("KA", "KL", "YM") for code in codes for take in (1, 2)
    )
    for name, face in zip(names, faces(len(names)), strict=True):
        sources.write_picture(top / f"{name}.tiff", face)
    return top, [(codes[name[3:5]], None) for name in names]


def table_of_paths(top: Path) -> Made:
    """Write what a lab has: columns of its own, paths of another machine, a semicolon, words."""
    words = ("Engaged", "bored", "Happiness")
    lines = ["Nr;Bild;Klasse;split"]
    for number, face in enumerate(faces(18)):
        sources.write_picture(top / "pictures" / f"{number}.png", face)
        lines.append(f"{number};D:\\lab\\pictures\\{number}.png;{words[number % 3]};{SPLITS[number // 6]}")
    (top / "faces.csv").write_text("\n".join(lines), encoding="utf-16")
    rows = [(canonical(words[number % 3]) or words[number % 3], SPLITS[number // 6]) for number in range(18)]
    return top / "faces.csv", rows


def table_without_header(top: Path) -> Made:
    for number, face in enumerate(faces(8)):
        sources.write_picture(top / f"{number}.png", face)
    (top / "list.csv").write_bytes(b"\r".join(f"{n}.png,{('sad', 'happy')[n % 2]}".encode() for n in range(8)))
    return top / "list.csv", [(("sad", "happy")[n % 2], None) for n in range(8)]


def metadata_jsonl(top: Path) -> Made:
    rows: list[tuple[str, str | None]] = []
    for split in ("train", "test"):
        lines = []
        for number, face in enumerate(faces(6)):
            sources.write_picture(top / split / f"{number}.png", face)
            lines.append(json.dumps({"file_name": f"{number}.png", "label": ("yes", "no")[number % 2], "age": number}))
        (top / split / "metadata.jsonl").write_text("\n".join(lines))
        rows += [(("yes", "no")[number % 2], split) for number in range(6)]
    return top, [row for row in rows if row[1] == "test"] + [row for row in rows if row[1] == "train"]


def pixels_without_usage(top: Path) -> Made:
    lines = ["emotion,pixels", *(f"{n % 7},{' '.join(map(str, face.ravel()))}" for n, face in enumerate(faces(28)))]
    (top / "train.csv").write_text("\n".join(lines))
    return top / "train.csv", [(LABELS[n % 7], None) for n in range(28)]


def lists_of_pixels(top: Path) -> Made:
    """Write words, lists in brackets, semicolons, CR alone, another size."""
    words = ("bored", "engaged")
    lines = ["label;pixels", *(f"{words[n % 2]};{face[:20, :20].ravel().tolist()}" for n, face in enumerate(faces(16)))]
    (top / "mine.csv").write_bytes("\r".join(lines).encode("utf-16"))
    return top / "mine.csv", [(words[n % 2], None) for n in range(16)]


def npz(top: Path) -> Made:
    images = np.stack(list(faces(20)))
    names = np.array(["bored", "engaged"])
    parts = {"train": slice(0, 12), "val": slice(12, 16), "test": slice(16, 20)}
    arrays: dict[str, Any] = {f"{split}_images": images[part] for split, part in parts.items()}
    arrays |= {f"{split}_labels": np.arange(20)[part, None] % 2 for split, part in parts.items()}
    np.savez(top / "faces.npz", label_names=names, **arrays)
    rows = [(names[n % 2], "train") for n in range(12)]
    return top / "faces.npz", rows + [(names[n % 2], split) for split in ("val", "test") for n in range(4)]


def keras_npz(top: Path) -> Made:
    images = np.stack(list(faces(16)))[..., None]
    labels = np.eye(2)[np.arange(16) % 2]
    np.savez_compressed(top / "k.npz", x_train=images[:12], y_train=labels[:12], x_test=images[12:], y_test=labels[12:])
    return top / "k.npz", [(str(n % 2), "train" if n < 12 else "test") for n in range(16)]


def webdataset(top: Path) -> Made:
    rows = []
    for split in ("test", "train"):
        with tarfile.open(top / f"fer-{split}-000000.tar", "w") as archive:
            for number, face in enumerate(faces(6)):
                for ending, content in (("cls", str(number % 2).encode()), ("png", sources.png(face))):
                    member = tarfile.TarInfo(f"{number:06}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
                rows.append((str(number % 2), split))
    return top, rows


def parquet(top: Path) -> Made:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    (top / "data").mkdir()
    rows = []
    for split in ("test", "train"):
        pictures = [{"bytes": sources.png(face), "path": f"{n}.png"} for n, face in enumerate(faces(10))]
        info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["bored", "engaged"]}}}}
        made = pyarrow.table({"image": pictures, "label": [n % 2 for n in range(10)]})
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
        files.write_table(made, top / "data" / f"{split}-00000-of-00001.parquet", row_group_size=4)
        rows += [(("bored", "engaged")[n % 2], split) for n in range(10)]
    return top, rows


def arrow(top: Path) -> Made:
    pyarrow = pytest.importorskip("pyarrow")
    made = pyarrow.table({
        "image": [{"bytes": sources.png(face), "path": None} for face in faces(10)],
        "label": [n % 2 for n in range(10)],
    })  # fmt: skip
    with pyarrow.ipc.new_stream(str(top / "data-00000-of-00001.arrow"), made.schema) as out:
        out.write_table(made, max_chunksize=3)
    features = {"label": {"_type": "ClassLabel", "names": ["bored", "engaged"]}}
    (top / "dataset_info.json").write_text(json.dumps({"features": features}))
    return top, [(("bored", "engaged")[n % 2], None) for n in range(10)]


MADE = [
    *(raf_db, affectnet_folders, affectnet_tables, expw, ck, kdef, jaffe, table_of_paths, table_without_header),
    *(metadata_jsonl, pixels_without_usage, lists_of_pixels, npz, keras_npz, webdataset, parquet, arrow),
]


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_each_layout_is_read_in_place(make: Callable[[Path], Made], tmp_path: Path) -> None:
    path, rows = make(tmp_path)

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
def test_people_in_file_names_are_kept_apart(make: Callable[[Path], Made], tmp_path: Path) -> None:
    dataset = data.load(make(tmp_path)[0])

    assert dataset.division is not None
    assert dataset.division.by == "person"


def test_a_face_of_expw_is_what_its_box_says(tmp_path: Path) -> None:
    dataset = data.load(expw(tmp_path)[0])

    assert dataset.images.shape == (14, 48, 48)
    stored = np.asarray(Image.open(tmp_path / "image" / "origin" / "3.jpg"))[30:78, 30:78]
    assert np.array_equal(dataset.images[3], stored)


def test_numbers_are_guessed_and_named_by_an_option(tmp_path: Path) -> None:
    counts = {f"train/{number}": 3 for number in range(1, 8)}
    dataset = data.load(sources.class_folders(tmp_path, counts))
    assert dataset.classes == tuple("1234567")
    with pytest.raises(InputError, match=r"1 surprise, 2 fear, .*confirm that with --labels raf-db"):
        data.check_named(dataset)

    named = data.load(tmp_path, labels="raf-db")

    assert named.classes == LABELS
    assert named.classes[named.labels[0]] == "surprise"
    done = CliRunner().invoke(app, ["data", "info", str(tmp_path)], env={"COLUMNS": "200"})
    assert "confirm that with --labels raf-db" in done.stdout
    done = CliRunner().invoke(app, ["train", "--data", str(tmp_path), "--no-export-check"])
    assert done.exit_code == 2
    assert "--labels raf-db" in done.stderr


def test_labels_are_renamed_merged_and_dropped(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"anger": 4, "fear": 4, "Happiness": 4, "contempt": 4})

    dataset = data.load(tmp_path, renames="fear=negative,anger=negative,happy=positive,contempt=")

    assert dataset.classes == ("negative", "positive")
    assert sum(len(data.split(dataset, name)) for name in SPLITS) == 12
    with pytest.raises(InputError, match="--map names rage, wrath, which"):
        data.load(tmp_path, renames="rage=angry,wrath=angry")


def test_a_description_stands_for_data_and_options(tmp_path: Path) -> None:
    path, _ = table_of_paths(tmp_path)
    file = tmp_path / "described.toml"

    done = CliRunner().invoke(
        app, ["data", "info", str(path), "--label-column", "split", "--path-column", "bild", "--save", str(file)]
    )

    assert done.exit_code == 0, done.stderr
    assert 'path = "faces.csv"' in file.read_text()
    assert data.load(file).classes == ("test", "train", "val")
    (tmp_path / "odd.toml").write_text('path = "faces.csv"\ncolour = "red"\n')
    with pytest.raises(InputError, match=r"describes no data set .it has colour"):
        data.load(tmp_path / "odd.toml")


def test_all_damaged_files_are_listed(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"bored": 4, "engaged": 4})
    for name in ("bored/1.png", "engaged/0.png", "engaged/3.png"):
        (tmp_path / name).write_bytes(b"nothing")

    done = CliRunner().invoke(app, ["data", "info", str(tmp_path)])

    assert done.exit_code == 2
    assert all(name in done.stdout for name in ("bored/1.png", "engaged/0.png", "engaged/3.png"))


def test_all_missing_files_and_bad_rows_are_counted(tmp_path: Path) -> None:
    path, _ = table_of_paths(tmp_path)
    (tmp_path / "pictures" / "4.png").unlink()
    (tmp_path / "pictures" / "7.png").unlink()
    with pytest.raises(InputError, match=r"2 of 18 listed pictures are not there, such as .*4.png, .*7.png"):
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
