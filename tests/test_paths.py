"""Output paths: unwritable ones are refused before the work, not after it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from edgefer import console, paths, public
from edgefer.errors import InputError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def _made(kind: str) -> Path:
    if kind == "the current folder":
        return Path()
    if kind == "below a file":
        Path("file").touch()
        return Path("file/out")
    Path("empty").mkdir()
    Path("link").symlink_to("empty" if kind == "a link" else "nowhere")
    return Path("link")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("the current folder", "is the current folder, which a new folder cannot replace"),
        ("a link", "is a link, which"),
        ("a link to nothing", "is a link to nowhere, which does not exist"),
        ("below a file", "file is a file"),
    ],
)
def test_a_folder_that_a_new_one_cannot_take_the_place_of_is_refused(kind: str, said: str) -> None:
    place = _made(kind)
    with pytest.raises(InputError, match=said):
        paths.check_unused(place)
    with pytest.raises(InputError, match=said), paths.write_folder_atomically(place):
        raise AssertionError("it is not even begun")


def test_an_empty_mounted_folder_is_refused_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mounted").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "mounted")  # mounting needs root
    with pytest.raises(InputError, match="is a mount point"):
        paths.check_unused(Path("mounted"))
    paths.check_empty(Path("mounted"), "--annotate")  # files can be added to it


def test_an_empty_folder_and_one_that_is_not_there_are_fine() -> None:
    Path("empty").mkdir()
    for place in (Path("empty"), Path("new/deep")):
        with paths.write_folder_atomically(place) as part:
            (part / "file").touch()
        assert (place / "file").is_file()


def test_what_is_marked_as_the_latest_is_found_and_latest_itself_can_be_named() -> None:
    for name in ("first", "second"):
        run = paths.new_run("train", name)
        paths.mark_latest(run)
        assert paths.latest("train") == run
    paths.mark_latest(Path("runs/train/latest"))
    assert paths.latest("train") == run


def test_the_folder_that_one_is_in_can_be_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    run = paths.new_run("train", "net").absolute()
    monkeypatch.chdir(run)
    paths.mark_latest(Path())
    assert (run.parent / "latest").resolve() == run


def test_a_folder_that_is_kept_empty_is_no_error() -> None:
    paths.remove_if_empty(Path())  # the current folder
    Path("empty").mkdir()
    paths.remove_if_empty(Path("empty"))
    assert not Path("empty").exists()


@pytest.mark.parametrize("locked", ["the folder", "what it lies in"])
def test_a_folder_that_is_filled_must_take_files_and_one_that_is_replaced_must_lie_in_one_that_does(
    locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root can write everywhere, and CI may run tests as root."""
    Path("drive/empty").mkdir(parents=True)
    closed = Path("drive/empty" if locked == "the folder" else "drive").absolute()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).absolute() != closed)
    refused = pytest.raises(InputError, match="is not writable")
    with refused if locked == "the folder" else nullcontext():
        paths.check_empty(Path("drive/empty"), "--annotate")
    with refused:
        paths.check_unused(Path("drive/empty"))


def test_a_run_that_a_link_elsewhere_leads_to_is_the_latest_where_it_lies() -> None:
    run = paths.new_run("train", "net")
    Path("mine").symlink_to(run)
    paths.mark_latest(Path("mine"))
    assert paths.latest("train") == run
    assert not Path("latest").is_symlink()


def test_a_file_is_the_old_one_until_the_new_one_is_whole() -> None:
    file = Path("file")
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), paths.write_atomically(file) as part:  # noqa: PT012
        part.write_text("ne")
        assert file.read_text() == "old"
        raise ZeroDivisionError
    assert [(each.name, each.read_text()) for each in Path().iterdir()] == [("file", "old")]
    with paths.write_atomically(file) as part:
        part.write_text("new")
        assert file.read_text() == "old"
    assert [(each.name, each.read_text()) for each in Path().iterdir()] == [("file", "new")]


def test_what_is_renamed_is_on_the_disk_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power loss could leave the new name without content."""
    done = []
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("written"))
    replace = Path.replace

    def noted(path: Path, to: Path) -> Path:
        done.append("renamed")
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", noted)
    with paths.write_atomically(Path("file")) as part:
        part.write_text("new")
    assert done[:2] == ["written", "renamed"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from edgefer import console, paths, public
file, folder = Path("results/file"), Path("results/folder")
with paths.write_atomically(file) as part, paths.write_folder_atomically(folder) as parts:
    part.write_text("half"), (parts / "file").write_text("half")
    with paths.run_folder(None, "bench", "net"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def _kill_one() -> None:
    assert subprocess.run([sys.executable, "-c", _KILLED], check=False).returncode < 0


def test_what_a_killed_process_left_is_removed_by_the_next_write_into_the_folder() -> None:
    _kill_one()
    assert len(list(Path("results").iterdir())) == 2
    (mine := Path("results/.file.mine")).touch()
    with paths.write_atomically(Path("results/other")) as part:
        part.touch()
        living = {part.name}
        _kill_one()
        assert {path.name for path in Path("results").iterdir()} > living  # of a running process
    assert mine.exists()
    assert Path("results/other").exists()


def test_what_a_living_process_writes_is_left_alone() -> None:
    with paths.write_folder_atomically(Path("results/folder")) as part:
        (part / "file").touch()
        code = "from pathlib import Path; from edgefer import paths; paths.write_json(Path('results/other'), {}, 0)"
        subprocess.run([sys.executable, "-c", code], check=True)
    assert Path("results/folder/file").exists()
    assert sorted(path.name for path in Path("results").iterdir()) == ["folder", "other"]


def test_empty_runs_of_killed_processes_go_and_those_of_living_ones_stay() -> None:
    _kill_one()
    (killed,) = Path("runs/bench").iterdir()
    with paths.run_folder(None, "bench", "first") as first, paths.run_folder(None, "bench", "second") as second:
        assert set(Path("runs/bench").iterdir()) == {first, second}
        assert not killed.exists()
        (second / "result.json").touch()
    assert list(Path("runs/bench").iterdir()) == [second]


def test_a_folder_that_another_process_writes_is_refused() -> None:
    with paths.run_folder(Path("out"), "bench", "net") as out:
        with pytest.raises(InputError, match="another edgefer is writing out"), paths.run_folder(out, "bench", "net"):
            raise AssertionError("it is not even begun")
        with paths.write_folder_atomically(out) as part:
            (part / "file").touch()
    assert (out / "file").exists()


def test_a_link_to_a_folder_is_written_and_held_as_the_folder_itself() -> None:
    Path("disk").mkdir()
    Path("out").symlink_to("disk")
    with paths.run_folder(Path("out"), "train", "net") as out:
        (out / "file").touch()
        with pytest.raises(InputError, match="another edgefer"), paths.run_folder(Path("disk"), "train", "net"):
            raise AssertionError("it is not even begun")
    assert Path("disk/file").exists()


def test_a_folder_that_another_process_was_faster_to_write_is_left_to_it() -> None:
    def write_twice() -> None:
        with paths.write_folder_atomically(Path("out")), paths.write_folder_atomically(Path("out")) as part:
            (part / "first").touch()

    with pytest.raises(InputError, match="another process wrote out"):
        write_twice()
    assert [path.name for path in Path("out").iterdir()] == ["first"]
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_nothing_is_left_of_a_run_that_wrote_nothing() -> None:
    with paths.run_folder(None, "bench", "net"), paths.run_folder(Path("new/deep"), "bench", "net"):
        pass
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_where_the_users_cache_takes_no_files_a_temporary_one_is_used_and_a_line_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv(name, str(Path("file").absolute()))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(console, "_enabled", True)
    paths._own_temporary.cache_clear()
    console.say_once.cache_clear()
    assert paths.user_cache() == paths.user_cache() == tmp_path / f"edgefer-cache-{os.getuid()}"
    (line,) = capsys.readouterr().err.splitlines()
    assert "XDG_CACHE_HOME=FOLDER" in line

    paths._own_temporary.cache_clear()
    (tmp_path / f"edgefer-cache-{os.getuid()}").chmod(0o777)  # another user may have put code into it
    assert paths.user_cache().stat().st_mode & 0o077 == 0
    paths._own_temporary.cache_clear()


def test_where_a_system_makes_no_links_latest_is_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs/bench/one").mkdir(parents=True)

    def refused(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    with pytest.raises(OSError, match="privilege"):
        paths.mark_latest(Path("runs/bench/one"))
    monkeypatch.setattr(paths, "os", Windows())
    console.enable(True)
    paths.mark_latest(Path("runs/bench/one"))
    console.enable(False)
    assert "latest is not written" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in Path("runs/bench").iterdir()] == ["one"]


class Windows:
    """The parts of `os` that `mark_latest` uses, like on Windows without developer mode."""

    name = "nt"

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def test_a_windows_path_is_a_place_on_a_machine() -> None:
    assert public.is_absolute("C:\\Users\\me\\fer2013.zip")
    assert public.is_absolute("\\\\server\\share\\faces")
    assert not public.is_absolute("fer2013.zip")
    assert not public.is_absolute("https://example.org/a.png")
    assert not public.is_absolute("a: note")
