"""Data sets in their distributed layouts: an imitation of each, with its documented names and columns."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefer.data.dataset import SPLITS
from edgefer.labels import LABELS, ORDERS, canonical
from tests.helpers import sources

Made = tuple[Path, list[tuple[str, str | None]]]  # a path, then the label and split of each picture in order


class Lab:
    """Makes the pictures of an imitation: noise with a label here, and a factor for their number."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self._random = np.random.default_rng(7)

    def face(self, label: str) -> np.ndarray:
        """Return another picture of a label, uint8, (48, 48)."""
        return self._random.integers(0, 256, (48, 48), dtype=np.uint8)


def raf_db(top: Path, lab: Lab) -> Made:
    order = ORDERS["raf-db"]
    said = [
        (f"{split}_{number:05}.jpg", 1 + number % 7)
        for split in ("train", "test")
        for number in range(1, 21 * lab.times + 1)
    ]
    (top / "EmoLabel").mkdir()
    (top / "EmoLabel" / "list_patition_label.txt").write_text("".join(f"{name} {code}\n" for name, code in said))
    for name, code in said:
        sources.write_picture(top / "Image" / "aligned" / name.replace(".jpg", "_aligned.jpg"), lab.face(order[code]))
    return top, [(order[code], name.partition("_")[0]) for name, code in said]


def affectnet_folders(top: Path, lab: Lab) -> Made:
    order, rows = ORDERS["affectnet"], []
    for name, split in (("train_set", "train"), ("val_set", "test")):
        (top / name / "annotations").mkdir(parents=True)
        for number in range(16 * lab.times):
            sources.write_picture(top / name / "images" / f"{number}.jpg", lab.face(order[number % 8]))
            np.save(top / name / "annotations" / f"{number}_exp.npy", np.array(str(number % 8)))
            np.save(top / name / "annotations" / f"{number}_val.npy", np.array("0.5"))
        rows += [
            (order[int(each.stem[:-4]) % 8], split) for each in sorted((top / name / "annotations").glob("*_exp.npy"))
        ]
    return top, rows


def affectnet_tables(top: Path, lab: Lab) -> Made:
    order, rows = ORDERS["affectnet"], []
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    for name, split in (("training", "train"), ("validation", "test")):
        lines = [header]
        for number in range(20 * lab.times):
            code = number % 10  # 8 and 9 are none and uncertain
            face = lab.face(order.get(code, "neutral"))
            sources.write_picture(top / "Manually_Annotated_Images" / split / f"{number}.jpg", face)
            lines.append(f"{split}/{number}.jpg,1,1,40,40,3.5;4.5,{code},0.1,0.2")
            rows += [(order[code], split)] if code < 8 else []
        (top / f"{name}.csv").write_text("\n".join(lines))
    return top, rows


def expw(top: Path, lab: Lab) -> Made:
    lines = []
    for number in range(14 * lab.times):
        face = lab.face(LABELS[number % 7])
        sources.write_picture(top / "image" / "origin" / f"{number}.jpg", np.pad(face, 30))
        lines.append(f"{number}.jpg 0 30 30 78 78 {80 + number % 20}.5 {number % 7}")
    (top / "label").mkdir()
    (top / "label" / "label.lst").write_text("\n".join(lines))
    return top, [(LABELS[number % 7], None) for number in range(14 * lab.times)]


def ck(top: Path, lab: Lab) -> Made:
    rows: list[tuple[str, str | None]] = []
    for person in range(1, 7 * lab.times + 1):
        folder, code = f"S{person:03}/001", 1 + (person - 1) % 7
        for frame in range(1, 7):
            name = f"S{person:03}_001_{frame:08}.png"
            face = lab.face("neutral" if frame < 4 else ORDERS["ck+"][code])
            sources.write_picture(top / "cohn-kanade-images" / folder / name, face)
        (top / "Emotion" / folder).mkdir(parents=True)
        (top / "Emotion" / folder / f"S{person:03}_001_00000006_emotion.txt").write_text(f"   {code}.0000000e+00\n")
        rows += [("neutral", None)] + [(ORDERS["ck+"][code], None)] * 3
    return top, rows


def kdef(top: Path, lab: Lab) -> Made:
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
        f"A{person}{code}{angle}"
        for person in ("F01", "F02", "M01", *(f"M{number:02}" for number in range(2, 2 * lab.times)))
        for code in codes
        for angle in ("S", "HL")
    )
    for name in names:
        sources.write_picture(top / name[:4] / f"{name}.JPG", lab.face(codes[name[4:6]]))
    return top, [(codes[name[4:6]], None) for name in names]


def jaffe(top: Path, lab: Lab) -> Made:
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
        f"{person}.{code}{take}.{39 + take}"
        for person in ("KA", "KL", "YM", *(f"N{letter}" for letter in "ABCDEFGHIJ"[: 2 * lab.times - 2]))
        for code in codes
        for take in (1, 2)
    )
    for name in names:
        sources.write_picture(top / f"{name}.tiff", lab.face(codes[name[3:5]]))
    return top, [(codes[name[3:5]], None) for name in names]


def table_of_paths(top: Path, lab: Lab) -> Made:
    """Write a lab's table: custom columns, paths of another machine, a semicolon, words."""
    words = ("Engaged", "bored", "Happiness")
    lines = ["Nr;Bild;Klasse;split"]
    for number in range(18 * lab.times):
        sources.write_picture(top / "pictures" / f"{number}.png", lab.face(words[number % 3]))
        split = SPLITS[number // (6 * lab.times)]
        lines.append(f"{number};D:\\lab\\pictures\\{number}.png;{words[number % 3]};{split}")
    (top / "faces.csv").write_text("\n".join(lines), encoding="utf-16")
    labels = [canonical(word) or word for word in words]
    rows = [(labels[number % 3], SPLITS[number // (6 * lab.times)]) for number in range(18 * lab.times)]
    return top / "faces.csv", rows


def table_without_header(top: Path, lab: Lab) -> Made:
    rows = [(("sad", "happy")[number % 2], None) for number in range(8 * lab.times)]
    for number, (label, _) in enumerate(rows):
        sources.write_picture(top / f"{number}.png", lab.face(label))
    (top / "list.csv").write_bytes(b"\r".join(f"{n}.png,{label}".encode() for n, (label, _) in enumerate(rows)))
    return top / "list.csv", [*rows]


def metadata_jsonl(top: Path, lab: Lab) -> Made:
    rows: list[tuple[str, str | None]] = []
    for split in ("train", "test"):
        lines = []
        for number in range(6 * lab.times):
            label = ("yes", "no")[number % 2]
            sources.write_picture(top / split / f"{number}.png", lab.face(label))
            lines.append(json.dumps({"file_name": f"{number}.png", "label": label, "age": number}))
        (top / split / "metadata.jsonl").write_text("\n".join(lines))
        rows += [(("yes", "no")[number % 2], split) for number in range(6 * lab.times)]
    return top, [row for row in rows if row[1] == "test"] + [row for row in rows if row[1] == "train"]


def pixels_without_usage(top: Path, lab: Lab) -> Made:
    rows = [(LABELS[number % 7], None) for number in range(28 * lab.times)]
    lines = [f"{n % 7},{' '.join(map(str, lab.face(label).ravel()))}" for n, (label, _) in enumerate(rows)]
    (top / "train.csv").write_text("\n".join(["emotion,pixels", *lines]))
    return top / "train.csv", [*rows]


def lists_of_pixels(top: Path, lab: Lab) -> Made:
    """Write words, lists in brackets, semicolons, CR alone, another size."""
    words = ("bored", "engaged")
    rows = [(words[number % 2], None) for number in range(16 * lab.times)]
    lines = [f"{label};{lab.face(label)[4:44, 4:44].ravel().tolist()}" for label, _ in rows]
    (top / "mine.csv").write_bytes("\r".join(["label;pixels", *lines]).encode("utf-16"))
    return top / "mine.csv", [*rows]


def npz(top: Path, lab: Lab) -> Made:
    names, times = ["bored", "engaged"], lab.times
    images = np.stack([lab.face(names[number % 2]) for number in range(20 * times)])
    parts = {"train": slice(0, 12 * times), "val": slice(12 * times, 16 * times), "test": slice(16 * times, 20 * times)}
    arrays: dict[str, Any] = {f"{split}_images": images[part] for split, part in parts.items()}
    arrays |= {f"{split}_labels": np.arange(20 * times)[part, None] % 2 for split, part in parts.items()}
    np.savez(top / "faces.npz", label_names=np.array(names), **arrays)
    return top / "faces.npz", [(names[n % 2], split) for split, part in parts.items() for n in range(20 * times)[part]]


def keras_npz(top: Path, lab: Lab) -> Made:
    count, split = 16 * lab.times, 12 * lab.times
    images = np.stack([lab.face(str(number % 2)) for number in range(count)])[..., None]
    labels = np.eye(2)[np.arange(count) % 2]
    np.savez_compressed(
        top / "k.npz", x_train=images[:split], y_train=labels[:split], x_test=images[split:], y_test=labels[split:]
    )
    return top / "k.npz", [(str(n % 2), "train" if n < split else "test") for n in range(count)]


def webdataset(top: Path, lab: Lab) -> Made:
    rows = []
    for split in ("test", "train"):
        with tarfile.open(top / f"fer-{split}-000000.tar", "w") as archive:
            for number in range(6 * lab.times):
                face = lab.face(str(number % 2))
                for ending, content in (("cls", str(number % 2).encode()), ("png", sources.png(face))):
                    member = tarfile.TarInfo(f"{number:06}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
                rows.append((str(number % 2), split))
    return top, rows


def parquet(top: Path, lab: Lab) -> Made:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    (top / "data").mkdir()
    rows = []
    for split in ("test", "train"):
        words = [("bored", "engaged")[number % 2] for number in range(10 * lab.times)]
        pictures = [{"bytes": sources.png(lab.face(word)), "path": f"{n}.png"} for n, word in enumerate(words)]
        info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["bored", "engaged"]}}}}
        made = pyarrow.table({"image": pictures, "label": [n % 2 for n in range(10 * lab.times)]})
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
        files.write_table(made, top / "data" / f"{split}-00000-of-00001.parquet", row_group_size=4)
        rows += [(word, split) for word in words]
    return top, rows


def arrow(top: Path, lab: Lab) -> Made:
    pyarrow = pytest.importorskip("pyarrow")
    words = [("bored", "engaged")[number % 2] for number in range(10 * lab.times)]
    made = pyarrow.table({
        "image": [{"bytes": sources.png(lab.face(word)), "path": None} for word in words],
        "label": [number % 2 for number in range(10 * lab.times)],
    })  # fmt: skip
    with pyarrow.ipc.new_stream(str(top / "data-00000-of-00001.arrow"), made.schema) as out:
        out.write_table(made, max_chunksize=3)
    features = {"label": {"_type": "ClassLabel", "names": ["bored", "engaged"]}}
    (top / "dataset_info.json").write_text(json.dumps({"features": features}))
    return top, [(word, None) for word in words]


def oulu_casia(top: Path, lab: Lab) -> Made:
    """Write Oulu-CASIA's sequences: oulu.fi/cmvs, OriginalImg/VL/Strong/P001/Anger/000.jpeg."""
    words = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
    for person in range(1, 4 * lab.times + 1):
        for word in words:
            for frame in range(2):
                path = top / "OriginalImg" / "VL" / "Strong" / f"P{person:03}" / word / f"{frame:03}.jpeg"
                sources.write_picture(path, lab.face(word))
    return top, [(canonical(word) or "", None) for _ in range(4 * lab.times) for word in words for _ in range(2)]


def ferg(top: Path, lab: Lab) -> Made:
    """Write FERG-DB's characters: grail.cs.washington.edu/projects/deepexpr, aia/aia_anger/aia_anger_1.png."""
    words = ("anger", "joy", "neutral", "sadness")
    rows: list[tuple[str, str | None]] = []
    for name in ("aia", "bonnie", "jules", "malcolm"):
        for word in words:
            for number in range(3 * lab.times):
                path = top / "FERG_DB_256" / name / f"{name}_{word}" / f"{name}_{word}_{number}.png"
                sources.write_picture(path, lab.face(word))
                rows.append((canonical(word) or "", None))
    return top, rows


def sfew(top: Path, lab: Lab) -> Made:
    """Write SFEW 2.0's aligned faces: Train_Aligned_Faces/Angry/... (Dhall et al., EmotiW 2015)."""
    rows = []
    for split in ("Train", "Val"):
        for word in ("Angry", "Happy", "Neutral", "Sad"):
            for number in range(4 * lab.times):
                path = top / f"{split}_Aligned_Faces" / word / f"film_{number}.png"
                sources.write_picture(path, lab.face(word))
                rows.append((word.lower(), split.lower()))
    return top, rows


def mma(top: Path, lab: Lab) -> Made:
    """Write MMA's folders: kaggle.com/datasets/mahmoudima/mma-facial-expression, MMAFEDB/train/angry/..."""
    rows = []
    for split in ("test", "train", "valid"):
        for word in ("angry", "happy", "neutral"):
            for number in range(3 * lab.times):
                path = top / "MMAFEDB" / split / word / f"{number}{word}.jpg"
                sources.write_picture(path, lab.face(word))
                rows.append((word, split.replace("valid", "val")))
    return top, rows


def rafd(top: Path, lab: Lab) -> Made:
    """Write RaFD's names: rafd.socsci.ru.nl, Rafd090_01_Caucasian_female_angry_frontal.jpg."""
    words = ("angry", "contemptuous", "fearful", "happy")
    names = [f"{number:02}_Caucasian_female_{word}" for number in range(1, 4 * lab.times + 1) for word in words]
    for name in names:
        sources.write_picture(top / f"Rafd090_{name}_frontal.jpg", lab.face(name.rpartition("_")[2]))
    return top, [(canonical(name.rpartition("_")[2]) or "", None) for name in names]


def table_of_boxes(top: Path, lab: Lab) -> Made:
    """Write a list of faces in whole pictures, two of them in each."""
    lines = ["image,xmin,ymin,xmax,ymax,emotion"]
    rows: list[tuple[str, str | None]] = []
    for number in range(8 * lab.times):
        faces = [lab.face(word) for word in ("bored", "engaged")]
        whole = np.hstack([np.pad(face, 20) for face in faces])
        sources.write_picture(top / "images" / f"{number}.png", whole)
        lines += [f"{number}.png,20,20,68,68,bored", f"{number}.png,108.0,20,156,68,engaged"]
        rows += [("bored", None), ("engaged", None)]
    (top / "faces.csv").write_text("\n".join(lines))
    return top / "faces.csv", rows


def roboflow(top: Path, lab: Lab) -> Made:
    """Write Roboflow's export "Multi-Label Classification": docs.roboflow.com, _classes.csv in each split's folder."""
    rows = []
    for split in ("train", "test"):
        lines = ["filename, bored, engaged"]
        for number in range(8 * lab.times):
            label = ("bored", "engaged")[number % 2]
            sources.write_picture(top / split / f"{number}_png.rf.{number:08x}.jpg", lab.face(label))
            lines.append(f"{number}_png.rf.{number:08x}.jpg, {1 - number % 2}, {number % 2}")
            rows.append((label, split))
        (top / split / "_classes.csv").write_text("\n".join(lines))
    return top, [row for row in rows if row[1] == "test"] + [row for row in rows if row[1] == "train"]


MADE = [
    *(raf_db, affectnet_folders, affectnet_tables, expw, ck, kdef, jaffe, table_of_paths, table_without_header),
    *(metadata_jsonl, pixels_without_usage, lists_of_pixels, npz, keras_npz, webdataset, parquet, arrow),
]
# Further layouts found in practice.
LATER = [oulu_casia, ferg, sfew, mma, rafd, table_of_boxes, roboflow]
