"""How commands end: output for people, output for scripts, and the exit code."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from edgefer import console
from edgefer.cli.ending import Group, resumable
from edgefer.errors import Diverged, GateFailed, InputError, MissingExtra, MissingRequirement
from tests.helpers import sources


def run(error: BaseException, *args: str) -> Result:
    """Run a command that raises `error`."""
    app = typer.Typer(cls=Group)

    @app.command()
    def fail(as_json: bool = typer.Option(False, "--json")) -> None:
        raise error

    @app.command()
    def other() -> None: ...

    return CliRunner().invoke(app, ["fail", *args])


def edgefer(*args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgefer", *args], capture_output=True, text=True, env={**os.environ, **settings}
    )


def missing(package: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {package!r}", name=package)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (GateFailed("INT8 is 2 points worse"), 1, "INT8 is 2 points worse"),
        (InputError("a.csv, row 3: label 9"), 2, "a.csv, row 3: label 9"),
        (MissingRequirement("no GPU here"), 3, "no GPU here"),
        (MissingExtra("torch", "train"), 3, "torch is not installed; run: pip install 'edgefer[train]'"),
        (missing("nncf.torch"), 3, "nncf is not installed; run: pip install 'edgefer[compress]'"),
        (ImportError("libcudart.so: no such file", name="torch._C"), 3, "torch is installed but does not load"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 3, "no space is left on the disk for runs/x"),
        (PermissionError(errno.EACCES, "Permission denied", "faces.zip"), 2, "faces.zip: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.toml"), 2, "x.toml: No such file"),
        (Diverged("the loss is not finite"), 1, "the loss is not finite"),
        (MemoryError(), 3, "out of memory"),
        (
            type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
            3,
            "out of memory",
        ),  # in the form of torch's
        (OSError(errno.EFBIG, "File too large", "runs/x"), 3, "no space is left on the disk for runs/x"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line_an_exit_code_and_json_where_asked(error: BaseException, code: int, line: str) -> None:
    plain, as_json = run(error), run(error, "--json")
    assert plain.exit_code == as_json.exit_code == code
    assert plain.stdout == ""
    assert plain.stderr.startswith(f"edgefer: {line}")
    assert len(plain.stderr.splitlines()) == 1
    told = json.loads(as_json.stdout)
    assert told == {"error": plain.stderr.removeprefix("edgefer: ").rstrip("\n"), "exit_code": code}


def test_a_bug_is_called_a_bug_and_leaves_its_traceback_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run(ValueError("two\nlines"))
    assert result.exit_code == 70
    assert result.stderr.startswith("edgefer: this is a bug in edgefer (ValueError: two lines)")
    assert len(result.stderr.splitlines()) == 1
    (file,) = tmp_path.iterdir()
    assert str(file) in result.stderr
    assert re.search(r"test_ending.py.*\n.*raise error", file.read_text())


def test_a_missing_module_of_our_own_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFER_TRACEBACK", "1")
    result = run(missing("edgefer.nothing"))
    assert result.exit_code == 70
    assert "Traceback" in result.stderr


def test_a_wrong_option_is_typers_message_and_exit_code_2() -> None:
    done = edgefer("train", "--epochs", "none")
    assert done.returncode == 2
    assert "--epochs" in done.stderr
    assert done.stdout == ""
    done = edgefer("train", "--epochs", "none", "--json")
    assert done.returncode == 2
    assert "--epochs" in json.loads(done.stdout)["error"]


def test_an_unknown_recipe_is_wrong_input() -> None:
    done = edgefer("recipes", "no-such-recipe")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("edgefer: ")
    assert "no-such-recipe" in done.stderr


def test_a_full_disk_under_stdout_is_no_traceback() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "edgefer", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3
    assert done.stderr.startswith("edgefer: no space is left on the disk")


def test_a_full_disk_under_json_is_no_traceback_either(tmp_path: Path) -> None:
    table = sources.write_csv(tmp_path / "fer2013.csv", sources.small())
    command = f"{sys.executable} -m edgefer data info {table} --json > /dev/full"
    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("edgefer: no space is left on the disk")
    assert "Traceback" not in done.stderr


def test_a_table_whose_reader_leaves_early_does_not_look_like_a_missed_bound(tmp_path: Path) -> None:
    Image.new("L", (48, 48)).save(tmp_path / "a.png")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m edgefer predict {tmp_path}/a.png | true; exit ${{PIPESTATUS[0]}}"],
        stderr=subprocess.PIPE,
    )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(("out", "code"), [("| true", 141), ("> /dev/full", 3)])
def test_a_table_is_written_to_its_file_whoever_reads_what_is_printed(tmp_path: Path, out: str, code: int) -> None:
    Image.new("L", (48, 48)).save(tmp_path / "a.png")
    line = f"{sys.executable} -m edgefer predict {tmp_path}/a.png --csv {tmp_path}/a.csv {out}; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], stderr=subprocess.PIPE).returncode == code
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_json_of_an_error_is_printed_where_stderr_is_full(tmp_path: Path) -> None:
    line = f"{sys.executable} -m edgefer predict {tmp_path}/none.png --json 2> /dev/full"
    done = subprocess.run(["bash", "-c", line], stdout=subprocess.PIPE, text=True)
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)


def test_an_error_that_nobody_reads_keeps_its_exit_code(tmp_path: Path) -> None:
    line = f"{sys.executable} -m edgefer predict {tmp_path}/none.png 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line]).returncode == 2


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_a_closed_stdout_or_stderr_is_nothing_to_stumble_over(tmp_path: Path, closed: str) -> None:
    Image.linear_gradient("L").resize((40, 40)).save(tmp_path / "a.png")
    line = f"{sys.executable} -m edgefer predict {tmp_path}/a.png --csv {tmp_path}/a.csv {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_names_that_the_terminal_has_no_letters_for_are_printed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path is wrapped somewhere
    for name in ("\u65e5\u672c.png", ":smile:.png"):
        Image.linear_gradient("L").resize((40, 40)).save(name)
    done = edgefer("predict", ".", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u65e5\\u672c.png" in done.stdout
    assert ":smile:.png" in done.stdout


@pytest.mark.parametrize("command", ["recipes", "--help", "train --help", "--version"])
def test_a_reader_that_leaves_early_is_no_error(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "edgefer", *command.split()], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--help > /dev/full", 3),
        ("data info --help > /dev/full", 3),
        ("--version > /dev/full", 3),
        ("train --epochs none 2> /dev/full", 2),
        ("nothing 2>&1 | true", 2),
    ],
)
def test_help_and_refusals_that_cannot_be_printed_are_no_traceback(command: str, code: int) -> None:
    line = f"{sys.executable} -m edgefer {command}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == (code == 3)
    assert done.stderr.startswith("edgefer: no space is left on the disk" if code == 3 else "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_command_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    script = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests under nohup ignore it
from edgefer import predictions
from edgefer.cli.main import run_command
def wait(*arguments):
    print("waiting", file=sys.stderr, flush=True)
    time.sleep(200)
predictions.annotate = wait
run_command()
"""
    Image.linear_gradient("L").resize((48, 48)).save(tmp_path / "a.png")
    command = [sys.executable, "-c", script, "predict", str(tmp_path / "a.png"), "--annotate", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "waiting" not in (line := process.stderr.readline()):
            assert line, "it ended before"
        assert list((tmp_path / "out").iterdir())
        process.send_signal(number)
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (130, "edgefer: interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_signal_before_the_command_line_is_read_is_one_line_too() -> None:
    script = """
import os, signal
from edgefer.cli import main
main.app = lambda **named: os.kill(os.getpid(), signal.SIGTERM)
main.run_command()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "edgefer: interrupted\n")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full", "run/.last.json.0123abcd.edgefer-part"), MemoryError()]
)
def test_what_was_saved_before_the_disk_or_the_memory_was_full_can_be_gone_on_with(error: Exception) -> None:
    said = r"^(no space is left on the disk for run;|out of memory).*resume with: resume$"
    with pytest.raises(MissingRequirement, match=said), resumable(lambda: "resume"):
        raise error
    with pytest.raises(type(error)), resumable(lambda: None):  # nothing was
        raise error
    with pytest.raises(InputError, match=r"^wrong$"), resumable(lambda: "resume"):
        raise InputError("wrong")


def test_ctrl_c_ends_with_130_and_one_line(tmp_path: Path) -> None:
    script = """
import time, typer
from edgefer.cli.ending import Group
app = typer.Typer(cls=Group)
@app.callback()
def root(): ...
@app.command()
def wait():
    print("waiting", flush=True)
    time.sleep(200)
app()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert err == "edgefer: interrupted\n"


@pytest.mark.parametrize("name", ["FORCE_COLOR", "GITHUB_ACTIONS"])
def test_a_log_that_is_to_be_coloured_gets_colours_and_nothing_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8")
    guarded: Any = console.Guarded(stream)
    Console(file=guarded, force_terminal=True, color_system="standard").print("[bold]all[/bold]")
    guarded.write("\x1b]0;title\n")
    stream.flush()
    assert written.getvalue() == b"\x1b[1mall\x1b[0m\n\\x1b]0;title\n"


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert edgefer("--version").stdout == f"edgefer {version('edgefer')}\n"
