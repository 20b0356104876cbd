"""Wrong and damaged sources: one line that names file and row, and nothing left in the cache."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import data
from edgefer.errors import EdgeferError, InputError
from tests.helpers import sources


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EDGEFER_CACHE", str(cache))
    yield
    assert [file for file in cache.glob("data/*") if file.name != "hashes"] == []


def refused(path: Path, *words: str) -> str:
    """Load `path` and return the message; it must contain all the words."""
    with pytest.raises(InputError) as caught:
        data.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    return message


# Tables


def table(path: Path, change: Callable[[list[str]], object], header: str = "emotion,pixels,Usage") -> Path:
    """Write a table; `change` edits the rows."""
    rows = sources.rows(sources.small())
    change(rows)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def with_pixels(pixels: str) -> Callable[[list[str]], object]:
    return lambda rows: rows.__setitem__(17, f"3,{pixels},Training")


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (" ".join(["7"] * 2303), ("2,303 pixels", "2,304")),
        (" ".join(["7"] * 2305), ("2,305 pixels", "2,304")),
        ("", ("0 pixels", "2,304")),
        (" ".join(["7"] * 100 + ["x7"] + ["7"] * 2203), ("pixel 100", "'x7'")),
        (" ".join(["256"] + ["7"] * 2303), ("pixel 0", "256")),
        (" ".join(["7"] * 2303 + ["-1"]), ("pixel 2303", "-1")),
        (" ".join(["7"] * 2303 + ["7.0"]), ("pixel 2303", "7.0")),
        (" ".join(["7"] * 2303 + ["99999999999999999999999"]), ("pixel 2303", "9999", "more than 255")),
    ],
)
def test_wrong_pixels(pixels: str, words: tuple[str, ...], tmp_path: Path) -> None:
    refused(table(tmp_path / "fer2013.csv", with_pixels(pixels)), "fer2013.csv, row 17 (line 19)", *words)


@pytest.mark.parametrize("label", ["9", "7", "-1", "", "happy"])
def test_wrong_label(label: str, tmp_path: Path) -> None:
    path = table(tmp_path / "fer2013.csv", lambda rows: rows.__setitem__(5, label + rows[5][1:]))

    refused(path, "fer2013.csv, row 5 (line 7)", f"label '{label}'", "0 to 6")


@pytest.mark.parametrize("usage", ["Test", "training", "Trainin", ""])
def test_wrong_usage(usage: str, tmp_path: Path) -> None:
    path = table(tmp_path / "fer2013.csv", lambda rows: rows.__setitem__(0, rows[0].rpartition(",")[0] + "," + usage))

    refused(path, "row 0 (line 2)", f"Usage '{usage}'", "PublicTest")


def test_a_row_that_ends_early(tmp_path: Path) -> None:
    path = table(tmp_path / "fer2013.csv", lambda rows: rows.__setitem__(41, rows[41].rpartition(",")[0]))

    refused(path, "row 41 (line 43)", "2 columns")


@pytest.mark.parametrize(("header", "column"), [("pixels,Usage", "emotion"), ("emotion,Usage", "pixels")])
def test_missing_column(header: str, column: str, tmp_path: Path) -> None:
    refused(table(tmp_path / "train.csv", lambda rows: None, header), "train.csv", f"no column '{column}'", header[:7])


def test_a_table_with_a_header_alone(tmp_path: Path) -> None:
    refused(table(tmp_path / "fer2013.csv", list.clear), "fer2013.csv", "no rows")


def test_a_table_that_is_one_endless_line(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n3," + "7 " * 1_000_000)

    refused(tmp_path / "fer2013.csv", "line 2", "longer than")


def test_something_else_called_csv(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_bytes(bytes(range(256)) * 20)

    refused(tmp_path / "fer2013.csv", "fer2013.csv")


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013.zip", "fer2013.tar.gz"])
def test_an_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()

    refused(tmp_path / name, name, "is empty")


# Archives


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    folder = sources.write_folder(tmp_path / "folder", sources.small())
    return sources.write_zip(tmp_path / "fer2013.zip", folder)


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_zip(packed: Path, share: float) -> None:
    refused(cut(packed, share), "fer2013.zip", "damaged or incomplete", "download it again")


@pytest.mark.parametrize("share", [0.0005, 0.5, 0.9999])
def test_truncated_tar(share: float, tmp_path: Path) -> None:
    refused(
        cut(sources.write_tar(tmp_path / "fer2013.tar.gz", sources.small()), share),
        "fer2013.tar.gz",
        "download it again",
    )


def test_a_tar_with_one_bit_changed(tmp_path: Path) -> None:
    path = sources.write_tar(tmp_path / "fer2013.tar.gz", sources.small())
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # in the checksum: the rows themselves look right
    path.write_bytes(content)

    refused(path, "fer2013.tar.gz", "incorrect data check", "download it again")


def test_a_zip_with_one_bit_changed(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        entry = archive.infolist()[20]
    content = bytearray(packed.read_bytes())
    content[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 1
    packed.write_bytes(content)

    refused(packed, f"fer2013.zip: {entry.filename}", "download it again")


@pytest.mark.parametrize("name", ["../x.png", "train/../../x.png", "/etc/x.png", "C:/x.png", "..\\x.png"])
def test_zip_entries_that_climb_out(packed: Path, name: str) -> None:
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(name, b"x")

    refused(packed, "fer2013.zip", repr(name), "points outside the archive")


def test_tar_entries_that_climb_out(tmp_path: Path) -> None:
    sources.write_csv(tmp_path / "table.csv", sources.small())
    with tarfile.open(tmp_path / "fer2013.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "table.csv", "../fer2013.csv")

    refused(tmp_path / "fer2013.tar.gz", "'../fer2013.csv'", "points outside the archive")


def test_encrypted_zip(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    for start in positions(content, b"PK\x03\x04"):
        content[start + 6] |= 1  # the flag "encrypted", in the entry and in the directory
    for start in positions(content, b"PK\x01\x02"):
        content[start + 8] |= 1
    packed.write_bytes(content)

    refused(packed, "fer2013.zip", "encrypted")


def positions(content: bytearray, signature: bytes) -> list[int]:
    found, start = [], -1
    while (start := content.find(signature, start + 1)) >= 0:
        found.append(start)
    return found


def test_a_zip_entry_that_claims_to_be_gigantic(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    struct.pack_into("<I", content, positions(content, b"PK\x01\x02")[30] + 24, 3_000_000_000)
    packed.write_bytes(content)

    refused(packed, "fer2013.zip", "would expand to 3.0 GB", "do not trust")


def test_a_table_in_a_zip_that_claims_to_be_gigantic(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("fer2013.csv", "emotion,pixels,Usage\n")
    content = bytearray((tmp_path / "x.zip").read_bytes())
    struct.pack_into("<I", content, positions(content, b"PK\x01\x02")[0] + 24, 4_000_000_000)
    (tmp_path / "x.zip").write_bytes(content)

    refused(tmp_path / "x.zip", "x.zip", "4.0 GB")


def test_archives_without_a_data_set(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("notes/readme.txt", "x")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("readme.txt"))

    refused(tmp_path / "x.zip", "x.zip", "no data set", "fer2013.csv")
    refused(tmp_path / "x.tar.gz", "x.tar.gz", "no fer2013.csv")


# Pictures


def in_folder_and_zip(tmp_path: Path, name: str, content: bytes) -> Iterator[Path]:
    """Yield a folder and a zip of class folders; the file `name` has this content."""
    folder = sources.write_folder(tmp_path / "folder", sources.small())
    (folder / name).write_bytes(content)
    yield folder
    yield sources.write_zip(tmp_path / "faces.zip", folder)


@pytest.fixture
def picture() -> str:
    rows = sources.small()
    number = int(np.flatnonzero(rows.emotions == 3)[1])
    return f"train/happy/Training_{number:05}.png"


def test_an_image_that_is_no_image(picture: str, tmp_path: Path) -> None:
    for path in in_folder_and_zip(tmp_path, picture, b"<html>404 Not Found</html>"):
        refused(path, picture, "not a supported picture")


def test_an_empty_image(picture: str, tmp_path: Path) -> None:
    for path in in_folder_and_zip(tmp_path, picture, b""):
        refused(path, picture, "is empty")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_truncated_image(share: float, picture: str, tmp_path: Path) -> None:
    content = sources.png(sources.small().images[0])
    for path in in_folder_and_zip(tmp_path, picture, content[: int(len(content) * share)]):
        refused(path, picture)


def test_an_image_with_too_many_pixels(picture: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    for path in in_folder_and_zip(tmp_path, picture, file.getvalue()):
        refused(path, picture, "pixels")


def test_an_image_with_more_than_16_bits(picture: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((48, 48), 70_000, dtype=np.int32)).save(file, "TIFF")
    for path in in_folder_and_zip(tmp_path, picture, file.getvalue()):
        refused(path, picture, "16 bits")


# Folders


def test_an_empty_class(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"train/happy": 2, "train/sad": 2, "test/happy": 2})
    (tmp_path / "train" / "fear").mkdir()

    refused(tmp_path, str(tmp_path / "train" / "fear"), "no pictures")


def test_an_empty_class_in_a_zip(tmp_path: Path) -> None:
    folder = sources.class_folders(tmp_path / "a", {"happy": 2, "sad": 2})
    (folder / "fear").mkdir()

    refused(sources.write_zip(tmp_path / "a.zip", folder), "a.zip: fear", "no pictures")


def test_a_class_without_training_pictures(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"train/happy": 2, "train/sad": 2, "test/fear": 2})

    refused(tmp_path, "fear", "not for training")


def test_one_class_alone(tmp_path: Path) -> None:
    refused(sources.class_folders(tmp_path, {"happy": 2}), "happy", "alone")


@pytest.mark.parametrize("inside", [(), ("readme.txt",), ("a.png", "b.png")])
def test_a_folder_without_class_folders(inside: tuple[str, ...], tmp_path: Path) -> None:
    for name in inside:
        sources.write_picture(tmp_path / "here" / name) if name.endswith("png") else (tmp_path / name).touch()
    (tmp_path / "here").mkdir(exist_ok=True)

    refused(tmp_path / "here", str(tmp_path / "here"), "no data set", "angry")


def test_a_split_folder_without_class_folders(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"train/happy": 2, "train/sad": 2})
    (tmp_path / "test").mkdir()

    refused(tmp_path, str(tmp_path / "test"), "no class folders")


def test_pictures_outside_of_class_folders(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"train/happy": 2, "train/sad": 2})
    sources.write_picture(tmp_path / "train" / "stray.png")

    refused(tmp_path, "stray.png", "outside the class folders")


def test_class_folders_beside_split_folders(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"train/happy": 2, "train/sad": 2, "happy": 2})

    refused(tmp_path, str(tmp_path), "next to train")


def test_a_folder_inside_a_class_folder(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"happy": 2, "sad": 2, "sad/more": 2})

    refused(tmp_path, str(tmp_path / "sad" / "more"), "inside a class or person folder")


def test_some_names_with_a_row_and_some_without(tmp_path: Path) -> None:
    folder = sources.write_folder(tmp_path, sources.small())
    sources.write_picture(folder / "train" / "sad" / "mine.png")

    refused(folder, str(folder / "train" / "sad" / "mine.png"), "<Usage>_<row>")


# Paths


def test_what_does_not_exist(tmp_path: Path) -> None:
    refused(tmp_path / "no.csv", str(tmp_path / "no.csv"), "does not exist")


def test_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").symlink_to(tmp_path / "gone.csv")

    refused(tmp_path / "fer2013.csv", "fer2013.csv", "broken link")


def test_a_broken_link_among_the_pictures(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"happy": 2, "sad": 2})
    (tmp_path / "sad" / "9.png").symlink_to(tmp_path / "gone.png")

    refused(tmp_path, str(tmp_path / "sad" / "9.png"), "broken link")


@pytest.mark.parametrize("name", ["fer2013.npz", "model.onnx", "face.png"])
def test_a_file_of_an_unknown_kind(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(sources.png(np.zeros((48, 48), dtype=np.uint8)))

    refused(tmp_path / name, name, "not a data set", ".tar.gz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fer2013.csv")

    refused(tmp_path / "fer2013.csv", "not a data set")


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"happy": 2, "sad": 2, "evil\x1b[2J\nname": 2})

    assert "\x1b" not in refused(tmp_path, "evil\\x1b[2J\\nname")


# Permissions

AS_ANOTHER = """
import os, shutil, sys
from edgefer import data
from edgefer.errors import InputError
loaded, closed = sys.argv[1:]
data.load(loaded)  # as the owner it works; and what is imported late is imported now
shutil.rmtree(os.environ["EDGEFER_CACHE"])
os.makedirs(os.environ["EDGEFER_CACHE"], mode=0o777)
os.chmod(os.environ["EDGEFER_CACHE"], 0o777)
os.chmod(closed, 0)
if os.geteuid() == 0:  # root may read everything
    os.setgid(65534)
    os.setuid(65534)
try:
    data.load(loaded)
except InputError as error:
    print(error)
"""


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """Yield a folder that any user may enter; pytest's belong to the test's user."""
    with tempfile.TemporaryDirectory(prefix="edgefer-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for path in sorted(Path(folder).rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize("what", ["file", "folder", "class folder", "picture", "above"])
def test_no_permission_to_read(what: str, open_to_all: Path) -> None:
    folder = sources.write_folder(open_to_all / "faces", sources.small())
    table = sources.write_csv(open_to_all / "fer2013.csv", sources.small())
    happy = folder / "train" / "happy"
    picture = min(happy.iterdir())
    loaded, closed, named = {
        "file": (table, table, table),
        "folder": (folder, folder, folder),
        "class folder": (folder, happy, happy),
        "picture": (folder, picture, picture),
        "above": (folder / "train", folder, folder / "train"),
    }[what]

    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, loaded, closed],
        env={**os.environ, "EDGEFER_CACHE": str(open_to_all / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert str(named) in done.stdout
    assert "ermission denied" in done.stdout
    assert list((open_to_all / "cache").rglob("v*")) == []


# All kinds


@pytest.mark.parametrize("kind", ["csv", "zip", "tar.gz"])
def test_damage_anywhere_never_ends_in_a_traceback(kind: str, tmp_path: Path) -> None:
    rows = sources.small()
    write: Callable[[Path], Path] = {
        "csv": lambda path: sources.write_csv(path, rows),
        "zip": lambda path: sources.write_zip(path, sources.write_folder(tmp_path / "folder", rows)),
        "tar.gz": lambda path: sources.write_tar(path, rows),
    }[kind]
    path = write(tmp_path / f"fer2013.{kind}")
    whole = path.read_bytes()
    chance = random.Random(kind)
    messages = set()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        path.write_bytes(content)
        try:
            data.load(path)
        except EdgeferError as error:
            messages.add(str(error))
    for left in Path(os.environ["EDGEFER_CACHE"]).glob("data/v*"):  # damage in bytes that are never read
        for file in left.iterdir():
            file.unlink()
        left.rmdir()

    assert len(messages) > 3
    assert not any("\n" in message for message in messages)


def test_wide_messages_are_cut(tmp_path: Path) -> None:
    path = table(tmp_path / "fer2013.csv", with_pixels("7" * 60_000))

    assert len(refused(path, "row 17")) < len(str(path)) + 150


def test_all_that_lies_wrong_in_a_folder_is_named_at_once(tmp_path: Path) -> None:
    sources.class_folders(tmp_path, {"happy": 2, "sad": 2, "sad/more": 1})
    (tmp_path / "fear").mkdir()
    (tmp_path / "angry").mkdir()
    for name in ("a.png", "b.png"):
        sources.write_picture(tmp_path / name)

    said = refused(tmp_path, "a.png", "b.png", "outside the class folders", "sad/more", "a folder inside")
    assert f"{tmp_path}/angry, {tmp_path}/fear: no pictures" in said
