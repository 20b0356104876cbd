"""`edgefer bench --host` through a real sshd: the same figures as a local bench, and nothing left on either side."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import edgefer
from edgefer import bundle, console, data, paths
from edgefer.bench import remote
from edgefer.bench import result as schema
from edgefer.cli.main import app
from edgefer.errors import MissingRequirement
from edgefer.labels import LABELS
from tests.helpers import samples, sshd

# Names with special meaning for a shell or scp.
BUNDLE = 'it\'s a $(touch pwned) "bundle";\n`id` -r *'
FACES = "faces: $HOME & 'co'\t"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    folder = tmp_path_factory.mktemp("sshd")
    sshd.real_edgefer(folder / "bin")
    with sshd.serve(folder) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Go to a folder with class folders and a bundle trained on them, both with difficult names."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    dataset = samples.dataset(each=35)
    for split, name in enumerate(("train", "val", "test")):
        for row in np.flatnonzero(dataset.splits == split):
            file = Path(FACES, name, LABELS[dataset.labels[row]], f"{row}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(dataset.images[row]).save(file)
    origin = bundle.DataEntry(name="greys", digest=data.load(FACES).digest, synthetic=False)
    samples.write(Path(BUNDLE), data=origin)
    yield place
    console.enable(False)


VERSION = f'[ "$1" = --version ] && echo edgefer {edgefer.__version__} && exit; '


def more_data() -> list[str]:
    """Write a second data set and a table of groups; return the options that name them."""
    for name in ("happy", "sad"):
        shutil.copytree(Path(FACES, "test", name), Path("o'ther", "test", name))
    lines = [
        f"{file.relative_to(FACES).as_posix()},{place % 2}"
        for place, file in enumerate(sorted(Path(FACES).rglob("*.png")))
    ]
    Path("people.csv").write_text("\n".join(["path,side", *lines]))
    return ["--data", "o'ther", "--groups", "people.csv", "--protocol", "flip"]


def run(server: sshd.Server, *arguments: str) -> Result:
    words = ["bench", BUNDLE, "--host", "orin", "--data", FACES]
    return CliRunner(env={"EDGEFER_SSH_CONFIG": str(server.config)}).invoke(
        app, [*words, "--seconds", "0.1", *arguments]
    )


def assert_nothing_is_left(server: sshd.Server) -> None:
    assert server.left() == []
    assert not Path("runs").exists()
    assert sorted(file.name for file in Path().iterdir()) == sorted((BUNDLE, FACES))


def test_a_bench_there_has_the_figures_of_a_bench_here(server: sshd.Server, folder: Path) -> None:
    more = more_data()
    there = run(server, *more)
    assert there.exit_code == 0, there.output
    kept = paths.latest("bench")
    assert kept is not None
    assert sorted(file.name for file in kept.iterdir()) == ["report.html", "result.json"]
    assert server.left() == []
    here = CliRunner().invoke(app, ["bench", BUNDLE, "--data", FACES, *more, "--seconds", "0.1", "--out", "here"])
    assert here.exit_code == 0, here.output

    one, other = (
        schema.BenchResult.model_validate_json((run / "result.json").read_text()) for run in (kept, Path("here"))
    )
    assert one.data == other.data
    assert one.data.leak_free_images == 25
    assert one.bundles == other.bundles
    for entry, same in zip(one.networks, other.networks, strict=True):
        for field in ("network", "sha256", "quality", "leak_free", "per_class", "confusion", "runtime", "groups"):
            assert getattr(entry, field) == getattr(same, field)
        assert [each.quality for each in entry.evaluations] == [each.quality for each in same.evaluations]
    assert (one.further_data[0].digest, one.groups) == (other.further_data[0].digest, other.groups)
    assert one.networks[0].groups[0].small
    assert not any("was trained on" in warning for warning in one.warnings)
    assert (one.host, other.host) == ("orin", None)
    typed = ["bash", "-c", f"printf '%s\\0' {one.repeat}"]  # shlex does not parse $'...'
    words = subprocess.run(typed, capture_output=True, text=True, check=True).stdout.split("\0")
    assert words[:3] == ["edgefer", "bench", BUNDLE]
    assert words[words.index("--data") + 1] == FACES
    assert words[words.index("--host") + 1] == "orin"
    assert [words[place + 1] for place, word in enumerate(words) if word == "--data"] == [FACES, "o'ther"]
    assert words[words.index("--groups") + 1] == "people.csv"
    assert f"{one.networks[0].latency.p50:.3f}" in there.stdout  # the table
    assert "orin: data: " in there.stderr  # the output there
    assert "report.html" not in there.stderr
    assert not list(folder.rglob("pwned"))


def test_an_answer_from_there_is_checked_like_any_stranger_s(tmp_path: Path, folder: Path) -> None:
    here = CliRunner().invoke(app, ["bench", BUNDLE, "--data", FACES, "--seconds", "0.1", "--out", str(tmp_path / "a")])
    assert here.exit_code == 0, here.output
    file = tmp_path / "a" / "result.json"
    said = json.loads(file.read_text())

    def answer(**changes: object) -> schema.BenchResult:
        file.write_text(json.dumps({**said, **changes}))
        return remote._read(file, "orin", said["data"]["digest"], [bundle.load(BUNDLE)])

    escape = answer(machine={**said["machine"], "cpu": "\x1b]52;c;ZXZpbA==\x07"})
    assert escape.machine.cpu == r"\x1b]52;c;ZXZpbA==\x07"
    cut = [{**each, "confusion": each["confusion"][:3]} for each in said["networks"]]
    changes: dict[str, Any]
    for changes in ({"networks": []}, {"networks": cut}, {"kind": "edgefer projection"}):
        with pytest.raises(MissingRequirement, match="orin did not return the result of this bench"):
            answer(**changes)


@pytest.mark.slow
def test_json_and_out_are_as_for_a_bench_here(server: sshd.Server, folder: Path) -> None:
    done = run(server, BUNDLE, "--json", "--out", "kept", "--split", "public+private")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert [entry["path"] for entry in printed["bundles"]] == [BUNDLE, BUNDLE]
    assert printed["networks"] == json.loads(Path("kept/result.json").read_text())["networks"]
    assert (printed["host"], printed["report"], printed["data"]["images"]) == ("orin", "kept/report.html", 70)
    assert server.left() == []


def started(server: sshd.Server) -> subprocess.Popen[str]:
    """Start a long bench in a separate process and wait until it runs on the host."""
    words = ["bench", BUNDLE, "--host", "orin", "--data", FACES, "--seconds", "600"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgefer", *words],
        env={
            **os.environ,
            "EDGEFER_SSH_CONFIG": str(server.config),
            "PYTHONPATH": str(Path(edgefer.__file__).parents[1]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sshd.wait_until(lambda: process.poll() is not None or list(server.temporary.glob("*/pid")) != [])
    return process


def running(server: sshd.Server) -> int:
    """Return edgefer's process on the host."""
    (pid,) = server.temporary.glob("*/pid")
    sshd.wait_until(lambda: pid.read_text().strip() != "")
    return int(pid.read_text())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_what_ends_the_bench_here_ends_it_there(sent: signal.Signals, server: sshd.Server, folder: Path) -> None:
    process = started(server)
    there = running(server)
    process.send_signal(sent)
    out, err = process.communicate()
    assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    assert out == ""
    assert "Traceback" not in err
    if sent == signal.SIGKILL:  # its empty run folder is left for the next bench to remove
        with paths.run_folder(None, "bench", "next"):
            pass
        Path("runs/bench").rmdir()  # which fails if a run is left in it
        Path("runs").rmdir()
    assert_nothing_is_left(server)
    sshd.wait_until(lambda: not Path("/proc", str(there)).exists())


def test_a_connection_that_is_cut_half_way(server: sshd.Server, folder: Path) -> None:
    process = started(server)
    there = running(server)
    server.cut()
    out, err = process.communicate()
    assert process.returncode == 3
    assert err.splitlines()[-1].startswith("edgefer: lost the connection to orin")
    assert out == ""
    assert_nothing_is_left(server)
    sshd.wait_until(lambda: not Path("/proc", str(there)).exists())


@pytest.mark.skipif(os.getuid() != 0, reason="a small disk takes root to mount")
def test_a_full_disk_there(tmp_path: Path, folder: Path) -> None:
    sshd.real_edgefer(tmp_path / "bin")
    mount = f'mount -t tmpfs -o size=16k tmpfs {shlex.quote(str(tmp_path / "tmp"))} && exec "$@"'
    with sshd.serve(tmp_path, within=["unshare", "--mount", "sh", "-c", mount, "sh"]) as server:
        done = run(server, "--json")
        seen_there = Path(f"/proc/{server.process.pid}/root{server.temporary}")
        assert list(seen_there.iterdir()) == []
    assert done.exit_code == 3
    assert "orin has no space left in " in done.stderr
    assert "MB; free some" in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 3
    assert_nothing_is_left(server)


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ("echo 'edgefer: upload/bundle-1 has no network for jetson' >&2; exit 2", 2, f"orin: {BUNDLE} has no network"),
        ("echo 'edgefer: pycuda is not installed' >&2; exit 3", 3, "orin: pycuda is not installed"),
        ("echo 'edgefer: a bound was missed' >&2; exit 1", 1, "orin: a bound was missed"),
        ("echo 'edgefer: this is a bug in edgefer' >&2; exit 70", 70, "orin: this is a bug"),
        ("echo 'No such option: --split' >&2; exit 2", 2, "see its output above"),
        ("kill -9 $$", 3, "was killed there (exit code 137)"),
        ("kill -INT $$", 3, "was killed there (exit code 130)"),
        ("exit 5", 3, "ended with exit code 5"),
        ("exit 0", 3, "copying the result from orin failed"),
        ("mkdir out; echo '{}' >out/result.json", 3, "did not return the result of this bench"),
        ("printf 'edgefer: a\\033[2Jb\\n' >&2; exit 2", 2, r"a\x1b[2Jb"),
    ],
)
def test_how_it_ended_there_is_passed_on(lines: str, code: int, words: str, tmp_path: Path, folder: Path) -> None:
    sshd.program(tmp_path / "bin", "edgefer", VERSION + lines)
    (tmp_path / "bin" / "mkdir").symlink_to("/bin/mkdir")
    with sshd.serve(tmp_path) as server:
        done = run(server)
        assert done.exit_code == code, done.output
        assert " ".join(words.split()) in done.stderr
        assert done.stdout == ""
        assert "\x1b" not in done.stderr
        assert_nothing_is_left(server)


@pytest.mark.parametrize(("version", "code"), [("0.0.1", 3), ("99.1.0", 3), ("same", 2)])
def test_versions_are_compared(version: str, code: int, tmp_path: Path, folder: Path) -> None:
    told = f"{edgefer.__version__}.post9" if version == "same" else version
    sshd.program(tmp_path / "bin", "edgefer", f'[ "$1" = --version ] && echo edgefer {told} && exit; exit 2')
    with sshd.serve(tmp_path) as server:
        done = run(server)
    assert done.exit_code == code
    assert f"orin has edgefer {told}, this machine has {edgefer.__version__}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--host", "-oProxyCommand=touch pwned"], 2, "is not passed to ssh"),
        (["--host", "orin", "--device", "tpu"], 2, "unknown device 'tpu'"),
        (["--host", "orin", "--split", "holdout"], 2, "holdout"),
        (["--host", "orin:a\nb"], 2, "is not a path"),
        (["--host", "orin", "--out", FACES], 2, "exists already"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    arguments: list[str], code: int, words: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("ssh", "scp"):
        sshd.program(tmp_path / "tools", tool, f"touch {tmp_path}/started")
    monkeypatch.setenv("PATH", f"{tmp_path}/tools", prepend=":")
    done = CliRunner().invoke(app, ["bench", BUNDLE, "--data", FACES, *arguments])
    assert done.exit_code == code, done.output
    assert words in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "started").exists()
    assert not Path("runs").exists()


def test_a_bundle_of_other_classes_is_refused_before_anything_is_sent(server: sshd.Server, folder: Path) -> None:
    samples.write(Path("other"), labels=("happy", *LABELS[:3], *LABELS[4:]))
    done = run(server, "other")
    assert done.exit_code == 2
    assert "other has the classes happy" in done.stderr
