"""The cache: used the second time, never incomplete, not trusted if damaged, and optional."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefer import console, data, paths
from edgefer.data import cache
from edgefer.errors import InputError, MissingRequirement
from tests.helpers import sources


@pytest.fixture(autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EDGEFER_CACHE", str(folder))
    return folder / "data"


@pytest.fixture
def not_read_again(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function; once called, no source can be read any more."""

    def stop() -> None:
        def no(*args: object) -> None:
            raise AssertionError("the source was read again")

        monkeypatch.setattr(cache, "store", no)
        monkeypatch.setattr(cache, "hold", no)

    return stop


def entries(place: Path) -> list[Path]:
    return list(place.glob("v*"))


@pytest.mark.parametrize("layout", ["csv", "folder", "zip"])
def test_the_second_time_it_is_mapped(layout: str, tmp_path: Path, not_read_again: Callable[[], None]) -> None:
    rows = sources.small()
    folder = sources.write_folder(tmp_path / "faces", rows)
    path = {
        "csv": sources.write_csv(tmp_path / "a.csv", rows),
        "folder": folder,
        "zip": sources.write_zip(tmp_path / "a.zip", folder),
    }[layout]
    first = data.load(path)
    not_read_again()

    second = data.load(path)

    assert isinstance(second.images, np.memmap)
    assert np.array_equal(second.images, rows.images)
    for name in ("labels", "splits", "rows"):
        assert np.array_equal(getattr(second, name), getattr(first, name))
    assert (second.digest, second.classes, second.layout, second.name) == (
        first.digest,
        first.classes,
        first.layout,
        first.name,
    )


def test_the_same_content_under_another_name(tmp_path: Path, not_read_again: Callable[[], None]) -> None:
    data.load(sources.write_csv(tmp_path / "a.csv", sources.small()))
    not_read_again()

    moved = data.load((tmp_path / "a.csv").rename(tmp_path / "b.csv"))

    assert (moved.name, moved.origin) == ("b", str(tmp_path / "b.csv"))


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SETTLED_NS", 0)  # as if the file were older
    rows = sources.small()
    rows.images[4, 10, 10] = 150
    path = sources.write_csv(tmp_path / "a.csv", rows)
    time.sleep(0.02)  # more than a tick of the file system's clock
    before = path.stat()
    data.load(path)
    rows.images[4, 10, 10] = 160
    sources.write_csv(path, rows)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size

    assert np.array_equal(data.load(path).images, rows.images)


def test_a_large_file_is_not_hashed_each_time(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sources.write_csv(tmp_path / "a.csv", sources.small())
    monkeypatch.setattr(cache, "_SETTLED_NS", 0)
    digest = data.load(path).digest
    opened: list[Path] = []
    real = Path.open

    def noted(path: Path, *arguments: Any, **named: Any) -> object:
        opened.append(path)
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", noted)

    assert data.load(path).digest == digest
    assert path not in opened


def test_a_file_written_just_now_is_hashed_again(tmp_path: Path, place: Path) -> None:
    data.load(sources.write_csv(tmp_path / "a.csv", sources.small()))

    assert list(place.glob("hashes/*")) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda faces: sources.write_picture(faces / "train" / "sad" / "Training_00099.png", seed=5),
        lambda faces: min((faces / "train" / "sad").iterdir()).unlink(),
        lambda faces: sources.write_picture(min((faces / "train" / "sad").iterdir()), seed=5),
        lambda faces: min((faces / "train" / "sad").iterdir()).rename(faces / "train" / "fear" / "Training_00099.png"),
    ],
    ids=["added", "removed", "written again", "moved"],
)
def test_a_folder_that_changed_is_read_again(change: Callable[[Path], object], tmp_path: Path) -> None:
    faces = sources.write_folder(tmp_path, sources.small())
    digest = data.load(faces).digest

    change(faces)

    assert data.load(faces).digest != digest


def test_folders_that_look_the_same_from_outside(tmp_path: Path) -> None:
    """Unpacked from an archive, all pictures may have the same names, sizes and times."""
    for folder, shade in (("a", 10), ("b", 20)):
        for name in ("happy/x.bmp", "sad/x.bmp"):
            picture = sources.write_picture(tmp_path / folder / name, np.full((48, 48), shade, dtype=np.uint8))
            os.utime(picture, ns=(10**18, 10**18))
        time.sleep(0.02)  # more than a tick of the file system's clock

    assert [int(data.load(tmp_path / folder).images[0, 0, 0]) for folder in ("a", "b")] == [10, 20]


def overwritten(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda entry: (entry / name).write_bytes(content)


def cut(name: str) -> Callable[[Path], object]:
    return lambda entry: os.truncate(entry / name, (entry / name).stat().st_size - 1)


def meta(**changes: object) -> Callable[[Path], object]:
    def change(entry: Path) -> None:
        known = json.loads((entry / "meta.json").read_text())
        (entry / "meta.json").write_text(json.dumps({**known, **changes}))

    return change


def labels(value: int) -> Callable[[Path], object]:
    def change(entry: Path) -> None:
        known = np.load(entry / "labels.npy")
        known[3] = value
        np.save(entry / "labels.npy", known)

    return change


def replaced_by_a_file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("not a folder")


DAMAGE = {
    "images cut": cut("images.npy"),
    "labels cut": cut("labels.npy"),
    "images gone": lambda entry: (entry / "images.npy").unlink(),
    "images of zeros": lambda entry: (entry / "images.npy").write_bytes(bytes((entry / "images.npy").stat().st_size)),
    "meta gone": lambda entry: (entry / "meta.json").unlink(),
    "meta empty": overwritten("meta.json", b""),
    "meta no object": overwritten("meta.json", b"[1]"),
    "meta of bytes": overwritten("meta.json", b"\xff\xfe"),
    "another shape": meta(shape=[42, 48, 47]),
    "no classes": meta(classes=[]),
    "a label of no class": labels(7),
    "a negative label": labels(-1),
    "no folder": replaced_by_a_file,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_cache_is_built_again(damage: Callable[[Path], object], tmp_path: Path, place: Path) -> None:
    rows = sources.small()
    path = sources.write_csv(tmp_path / "a.csv", rows)
    data.load(path)
    (entry,) = entries(place)
    damage(entry)

    again = data.load(path)

    assert isinstance(again.images, np.memmap)
    assert np.array_equal(again.images, rows.images)
    assert np.array_equal(again.labels, rows.emotions)
    assert [file.name for file in place.iterdir() if file.name != "hashes"] == [entry.name]


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was run')",)


def test_nothing_in_the_cache_is_unpickled(tmp_path: Path, place: Path) -> None:
    path = sources.write_csv(tmp_path / "a.csv", sources.small())
    data.load(path)
    (entry,) = entries(place)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (42,)})
    content = file.getvalue() + pickle.dumps(_Bomb())
    (entry / "labels.npy").write_bytes(content)
    meta(bytes={**json.loads((entry / "meta.json").read_text())["bytes"], "labels": len(content)})(entry)

    assert np.array_equal(data.load(path).labels, sources.small().emotions)


def test_two_processes_at_once(tmp_path: Path, place: Path) -> None:
    rows = sources.small()
    path = sources.write_csv(tmp_path / "a.csv", rows)
    script = f"""
import sys, time
from edgefer.data import load
from edgefer.data import cache
put = cache._put
def late(*args):  # both are ready to put their folder in place before the first one does
    open({str(tmp_path)!r} + "/ready-" + sys.argv[1], "w").close()
    import pathlib
    while len(list(pathlib.Path({str(tmp_path)!r}).glob("ready-*"))) < 2:
        time.sleep(0.005)
    put(*args)
cache._put = late
print(load({str(path)!r}).digest)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([sys.executable, "-c", script, name], env=environment, stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    digests = [process.communicate()[0].strip() for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert digests == [data.load(path).digest] * 2
    # hashes/ only exists if the machine was so slow that the file counts as settled.
    assert [entry for entry in place.iterdir() if entry.name != "hashes"] == entries(place)
    assert len(entries(place)) == 1


def test_without_a_place_for_the_cache_it_works_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sources.small()
    folder = sources.write_folder(tmp_path / "faces", rows)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(console, "_enabled", True)
    for path in (sources.write_csv(tmp_path / "a.csv", rows), folder, sources.write_zip(tmp_path / "a.zip", folder)):
        dataset = data.load(path)

        assert np.array_equal(dataset.images, rows.images)
        assert np.array_equal(dataset.labels, rows.emotions)
        said = capsys.readouterr().err
        assert "cache cannot be written" in said
        assert str(path) in said


def test_a_full_disk(tmp_path: Path, place: Path) -> None:
    """A file size limit simulates a disk that fills up while the images are written."""
    rows = sources.small()
    path = sources.write_csv(tmp_path / "a.csv", rows)
    script = f"""
import resource, signal
from edgefer import console
from edgefer.data import load
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
console.enable()
print(load({str(path)!r}).digest)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert "cache cannot be written" in done.stderr
    assert entries(place) == []
    assert list(place.glob(".*")) == []
    assert done.stdout.strip() == data.load(path).digest


def test_neither_disk_nor_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sources.write_csv(tmp_path / "a.csv", sources.small())
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_memory", lambda: 100_000)

    with pytest.raises(MissingRequirement, match="EDGEFER_CACHE"):
        data.load(path)


def test_an_error_half_way_leaves_nothing(tmp_path: Path, place: Path) -> None:
    rows = sources.small()
    path = sources.write_csv(tmp_path / "a.csv", rows)
    with path.open("a") as file:
        for _ in range(12):  # so that blocks are written before the error
            file.writelines(line + "\n" for line in sources.rows(rows))
        file.write("3,7 7 7,Training\n")

    with pytest.raises(InputError, match="row 546 "):
        data.load(path)

    assert [file for file in place.iterdir() if file.name != "hashes"] == []


def test_what_killed_processes_left_is_removed(tmp_path: Path, place: Path) -> None:
    with paths.part_beside(place / "v1-file-new", folder=True) as living:
        killed = place / living.name.replace("new", "old")
        killed.mkdir(parents=True)
        (killed / "images.npy").write_text("half")
        paths._swept.clear()  # another process starts

        data.load(sources.write_csv(tmp_path / "a.csv", sources.small()))

        assert not killed.exists()
        assert living.exists()


def test_images_cannot_be_changed_by_accident(tmp_path: Path) -> None:
    dataset = data.load(sources.write_csv(tmp_path / "a.csv", sources.small()))

    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0] = 0
