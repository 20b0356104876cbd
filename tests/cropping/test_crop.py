"""`edgefer data crop`: faces in whole pictures become training data, even if the process is killed in between."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import edgefer
from edgefer import data
from edgefer.cli.main import app
from tests.helpers import sources, videos
from tests.helpers.pictures import happy, lay

pytestmark = pytest.mark.usefixtures("yunet")


def photos(top: Path, fer2013: Path, folders: tuple[str, ...] = ("bored", "engaged"), count: int = 8) -> Path:
    """Write photographs with a large and a small face; the last one has none."""
    faces = happy(fer2013)
    for number in range(count):
        large, small = faces[number % 8], faces[(number + 1) % 8]
        picture = lay([(large, 30 + 20 * number, 60, 200), (small, 460, 100, 110)], roll=20 * (number % 2))
        sources.write_picture(top / folders[number % len(folders)] / f"{number}.png", picture)
    sources.write_picture(top / folders[0] / "empty.png", np.full((300, 400), 90, np.uint8))
    return top


def crop(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["data", "crop", *map(str, words), "--json"])
    assert done.exit_code == 0, done.stdout
    return json.loads(done.stdout)


def files(top: Path) -> dict[str, bytes]:
    return {file.relative_to(top).as_posix(): file.read_bytes() for file in top.rglob("*.png")}


def test_a_face_is_cut_out_as_predict_judges_it(fer2013: Path, tmp_path: Path) -> None:
    whole = photos(tmp_path / "photos", fer2013)

    found = crop(whole, tmp_path / "faces")

    assert found["folders"] == {"bored": 4, "engaged": 4}
    assert found["without_face"] == ["bored/empty.png"]
    with edgefer.load("edgefer-nano") as network:
        for name in ("bored/0.png", "engaged/1.png"):  # upright and rotated
            first, *_ = network.predict_faces(whole / name)[0]
            [cut] = network.predict(tmp_path / "faces" / name)
            assert cut.probabilities == pytest.approx(first.probabilities, abs=1e-6)
    assert data.load(tmp_path / "faces").classes == ("bored", "engaged")


def test_all_faces_are_cut_out_where_that_is_asked_for(fer2013: Path, tmp_path: Path) -> None:
    one, other, *_ = happy(fer2013)
    for name in ("sad", "happy"):
        sources.write_picture(tmp_path / "photos" / name / "1.png", lay([(one, 30, 60, 240), (other, 400, 200, 120)]))

    found = crop(tmp_path / "photos", tmp_path / "faces", "--all")

    assert {*files(tmp_path / "faces")} == {
        *("sad/1.png", "sad/1-face2.png", "happy/1.png", "happy/1-face2.png"),
    }
    assert found["faces"] == 4


def test_what_a_killed_process_left_is_gone_on_with(fer2013: Path, tmp_path: Path) -> None:
    whole = photos(tmp_path / "photos", fer2013)
    crop(whole, tmp_path / "once")
    killed = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from edgefer.cropping import crop, sources
from edgefer.faces.detector import open_detector

def die():
    os.kill(os.getpid(), signal.SIGKILL)

with sources.of_data(Path(sys.argv[1])) as found:
    found[3] = replace(found[3], read=die)
    crop.cut(found, Path(sys.argv[2]), open_detector(), crop.Settings(), len(found))
"""
    done = subprocess.run([sys.executable, "-c", killed, str(whole), str(tmp_path / "faces")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(files(tmp_path / "faces")) == 3
    with (tmp_path / "faces" / "edgefer-crop" / "done.jsonl").open("a") as journal:
        journal.write('{"key": "torn')  # as if killed in the middle of a line

    found = crop(whole, tmp_path / "faces")

    assert found["resumed"] == 3
    assert files(tmp_path / "faces") == files(tmp_path / "once")
    assert not [*(tmp_path / "faces").rglob(".*")]


def test_a_face_that_a_person_removed_stays_removed(fer2013: Path, tmp_path: Path) -> None:
    whole = photos(tmp_path / "photos", fer2013)
    crop(whole, tmp_path / "faces")
    (tmp_path / "faces" / "bored" / "2.png").unlink()
    sources.write_picture(whole / "bored" / "new.png", lay([(happy(fer2013)[0], 50, 50, 180)]))

    found = crop(whole, tmp_path / "faces")

    assert found["pictures"] - found["resumed"] == 1
    assert {"bored/new.png", "bored/2.png"} & {*files(tmp_path / "faces")} == {"bored/new.png"}


def test_the_sheet_shows_the_files_and_names_what_has_no_face(fer2013: Path, tmp_path: Path) -> None:
    whole = photos(tmp_path / "photos", fer2013)
    (whole / "bored" / "bad.png").write_bytes(b"nothing")

    found = crop(whole, tmp_path / "faces")

    sheet = Path(found["sheet"])
    page = sheet.read_text()
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert len(shown) == 8
    assert all((sheet.parent / name).is_file() for name in shown)
    assert "bored/empty.png" in page
    assert str(tmp_path) not in page + "".join(file.read_text() for file in sheet.parent.iterdir())
    assert found["damaged"] == ["bored/bad.png is not a supported picture (.bmp, .gif, .jpeg, .jpg, .pgm, .png, "
        ".pnm, .ppm, .tif, .tiff, .webp)"]  # fmt: skip
    assert (sheet.parent / "without-face.txt").read_text() == "bored/empty.png\n"


def test_labels_splits_and_people_of_a_list_become_folders_and_names(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = ["file,emotion,usage,subject"]
    for number in range(24):
        face = random.integers(0, 256, (40, 40), np.uint8)  # so small that predict treats it as a single face
        sources.write_picture(tmp_path / "all" / "pictures" / f"{number}.png", face)
        split = ("Training", "PublicTest", "PrivateTest")[number // 8]
        lines.append(f"pictures/{number}.png,{('Anger', 'bored')[number % 2]},{split},{'abcd'[number % 4]}")
    (tmp_path / "all" / "list.csv").write_text("\n".join(lines))
    before = data.load(tmp_path / "all" / "list.csv")

    crop(tmp_path / "all" / "list.csv", tmp_path / "faces")

    after = data.load(tmp_path / "faces")
    assert after.classes == before.classes == ("angry", "bored")
    assert [np.bincount(each.splits).tolist() for each in (before, after)] == [[8, 8, 8]] * 2
    [first] = (tmp_path / "faces" / "test" / "bored").glob("person*_17.png")
    lines[1] = lines[1].removesuffix(",a") + ",aa"  # a person before b
    (tmp_path / "all" / "list.csv").write_text("\n".join(lines))
    crop(tmp_path / "all" / "list.csv", tmp_path / "later")
    assert (tmp_path / "later" / "test" / "bored" / first.name).is_file()  # b has b's old number


def test_codes_in_file_names_stay_so_that_people_are_kept_apart(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for person in ("F01", "F02", "M01", "M02"):
        for code in ("AN", "HA"):
            for angle in ("S", "HL", "HR"):
                face = random.integers(0, 256, (40, 40), np.uint8)
                sources.write_picture(tmp_path / "kdef" / f"A{person}" / f"A{person}{code}{angle}.JPG", face)

    crop(tmp_path / "kdef", tmp_path / "faces")

    dataset = data.load(tmp_path / "faces")
    assert dataset.classes == ("angry", "happy")
    assert dataset.division is not None
    assert dataset.division.by == "person"


def test_frames_of_a_video_get_the_label_that_is_said(fer2013: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    frames = [videos.two_faces(fer2013)[0]] * 30
    video = videos.write(tmp_path / "me.mp4", frames)

    found = crop(video, tmp_path / "faces", "--label", "engaged", "--every", "0.5")
    again = crop(video, tmp_path / "faces", "--label", "engaged", "--every", "0.5")

    assert found["folders"] == {"engaged": 4}
    assert (again["resumed"], again["faces"]) == (4, 4)
    assert {each.shape for each in map(np.asarray, map(Image.open, (tmp_path / "faces").rglob("*.png")))} < {
        (side, side, 3) for side in range(90, 170)
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("photos", "photos/faces"), "photos/faces lies in photos; name a folder outside it"),
        (("nowhere", "faces"), "nowhere does not exist"),
        (("0", "faces"), "give one with --label"),
        (("photos", "faces", "--label", "sad"), "--label is for a video or camera"),
        (("photos", "other"), "other exists already; name another folder with DST"),
        (("photos", "file"), "file exists already; name another folder with DST"),
        (("same.csv", "faces"), "labels a/b and a:b would share the folder a_b; rename one"),
        (("ours.csv", "faces"), "edgefer-crop cannot be a folder name; use another label"),
        (("photos", "faces"), "found no face in 2 pictures"),
    ],
)
def test_what_cannot_be_cut_is_an_error_of_one_line(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sad", "happy"):
        sources.write_picture(tmp_path / "photos" / name / "1.png", np.full((300, 400), 90, np.uint8))
    sources.write_picture(tmp_path / "other" / "1.png")
    (tmp_path / "file").touch()
    for name, labels in (("same", ("a/b", "a:b")), ("ours", ("sad", "edgefer-crop"))):
        rows = "".join(f"photos/{each}/1.png,{label}\n" for each, label in zip(("sad", "happy"), labels, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"path,label\n{rows}")

    done = CliRunner().invoke(app, ["data", "crop", *words])

    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_faces_that_were_cut_otherwise_are_not_mixed(fer2013: Path, tmp_path: Path) -> None:
    whole = photos(tmp_path / "photos", fer2013, count=2)
    crop(whole, tmp_path / "faces")

    done = CliRunner().invoke(app, ["data", "crop", str(whole), str(tmp_path / "faces"), "--size", "64"])

    assert done.exit_code == 2
    assert "has faces cropped with other settings (every_face False" in done.stderr


def test_after_no_face_was_found_the_same_folder_takes_other_settings(fer2013: Path, tmp_path: Path) -> None:
    for name in ("sad", "happy"):
        sources.write_picture(tmp_path / "photos" / name / "1.png", np.full((300, 400), 90, np.uint8))
    words = ["data", "crop", str(tmp_path / "photos"), str(tmp_path / "faces")]
    assert "try a smaller --min-face" in CliRunner().invoke(app, words).stderr
    sources.write_picture(tmp_path / "photos" / "sad" / "2.png", lay([(happy(fer2013)[0], 50, 50, 180)]))

    found = crop(*words[2:], "--min-face", "30")

    assert (found["pictures"], found["resumed"], found["faces"]) == (3, 0, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_names_that_are_no_text_or_as_long_as_can_be_are_names(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("sad/1.png", os.fsdecode(b"happy/\xff.png"), f"sad/{250 * 'x'}.png", f"sad/{250 * 'x'}.jpg"):
        face = random.integers(0, 256, (40, 40), np.uint8)
        sources.write_picture(tmp_path / "photos" / name, face)
    assert crop(tmp_path / "photos", tmp_path / "faces")["faces"] == 4
    assert crop(tmp_path / "photos", tmp_path / "faces")["resumed"] == 4
    assert len(files(tmp_path / "faces")) == 4
    assert "../happy/%FF.png" in (tmp_path / "faces" / "edgefer-crop" / "sheet.html").read_text()


def test_all_faces_of_a_recording_stay_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(72):
        name = f"day{'abcdef'[number % 6]}-{number:06}{('', '-face2', '-other2', '-other2-face3')[number // 6 % 4]}.png"
        face = random.integers(0, 256, (40, 40), np.uint8)
        sources.write_picture(tmp_path / ("sad", "happy")[number // 36] / name, face)
    dataset = data.load(tmp_path)
    assert dataset.groups is not None
    assert len({*dataset.groups.tolist()}) == 6
