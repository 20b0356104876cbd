"""Which data a command uses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefer import console, data
from edgefer.errors import InputError
from tests.helpers import sources


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(console, "_enabled", True)


def write_zip(path: Path) -> Path:
    folder = sources.write_folder(path.with_name("unpacked"), sources.small())
    sources.write_zip(path, folder)
    shutil.rmtree(folder)
    return path


def test_the_path_given_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("data").mkdir()
    sources.write_csv(Path("data/fer2013.csv"), sources.small())
    monkeypatch.setenv("EDGEFER_DATA", str(sources.write_csv(tmp_path / "named.csv", sources.small())))
    given = sources.write_csv(tmp_path / "given.csv", sources.small())

    assert data.find(given).origin == str(given)
    assert capsys.readouterr().err == f"data: given (42 images) from {given}\n"


def test_then_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("data").mkdir()
    sources.write_csv(Path("data/fer2013.csv"), sources.small())
    named = sources.write_csv(tmp_path / "named.csv", sources.small())
    monkeypatch.setenv("EDGEFER_DATA", str(named))

    assert data.find().origin == str(named)
    assert "EDGEFER_DATA" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("fer2013.csv", lambda path: sources.write_csv(path, sources.small())),
        ("icml_face_data.csv", lambda path: sources.write_icml_csv(path, sources.small())),
        ("fer2013.zip", write_zip),
        ("fer2013.tar.gz", lambda path: sources.write_tar(path, sources.small())),
        ("", lambda path: sources.write_folder(path, sources.small())),
    ],
)
def test_then_the_data_folder(name: str, write: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir()
    write(Path("data") / name)
    capsys.readouterr()

    dataset = data.find()

    assert (len(dataset), dataset.origin) == (42, str(Path("data") / name))
    assert capsys.readouterr().err == f"data: {dataset.name} (42 images) from {dataset.origin}\n"


def test_then_the_synthetic_faces(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir()
    Path("data/notes.csv").write_text("something else")
    few = data.builtin(train=20, val=10, test=10)
    monkeypatch.setattr("edgefer.data.faces.builtin", lambda: few)

    assert data.find() is few
    (line,) = capsys.readouterr().err.splitlines()
    assert "synthetic faces (40 images" in line
    assert "--data" in line


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_variable_is_none(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data").mkdir()
    sources.write_csv(Path("data/fer2013.csv"), sources.small())
    if value is not None:
        monkeypatch.setenv("EDGEFER_DATA", value)

    assert data.find().origin == "data/fer2013.csv"


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFER_DATA", "/nowhere/fer2013.csv")

    with pytest.raises(InputError, match=r"/nowhere/fer2013.csv does not exist.*EDGEFER_DATA"):
        data.find()


def test_damaged_data_is_not_replaced_by_synthetic_faces() -> None:
    Path("data").mkdir()
    Path("data/fer2013.zip").write_bytes(b"PK\x03\x04 cut")

    with pytest.raises(InputError, match=r"fer2013\.zip"):
        data.find()
