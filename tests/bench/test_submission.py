"""Contributed measurements: what is sent, what is refused, and the ones in this repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefer.bench import submission
from edgefer.bench.measurement import bench
from edgefer.bench.result import BenchResult
from edgefer.cli.main import app
from edgefer.errors import InputError
from tests.helpers import results, samples

WORDS = "heat sink and fan; 15 W supply"
SENT = sorted((Path(__file__).parents[2] / "benchmarks" / "submissions").glob("*.json"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> BenchResult:
    mine = samples.write(tmp_path_factory.mktemp("bundles") / "mine")
    return bench([mine], samples.dataset(), seconds=0.01)


def write(folder: Path, found: submission.Submission, **changes: object) -> Path:
    path = folder / found.name
    path.write_text(json.dumps({**found.model_dump(mode="json"), **changes}))
    return path


def test_the_command_writes_a_file_that_ci_takes_and_says_what_to_do_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgefer.data.find", lambda path: samples.dataset())
    samples.write(tmp_path / "mine")
    done = CliRunner().invoke(app, ["bench", "mine", "--seconds", "0.1", "--submit", WORDS, "--out", "out"])
    assert done.exit_code == 0, done.output
    found = submission.read(Path("out/submission.json"))
    assert found.conditions == WORDS
    said = " ".join(done.stdout.split())
    assert f"copy out/submission.json to benchmarks/submissions/{found.name}" in said
    assert "open a pull request" in said


def test_words_that_say_nothing_are_refused_before_anything_is_measured() -> None:
    for words in ("fan", "x" * 301, "a fan\nand 15 W", "see /home/me/notes.txt for it"):
        done = CliRunner().invoke(app, ["bench", "--submit", words])
        assert done.exit_code == 2
        assert "--submit takes a line on cooling and power" in " ".join(done.stderr.split())


def test_figures_digests_protocol_and_state_of_the_device_are_those_of_the_bench(
    measured: BenchResult, tmp_path: Path
) -> None:
    found = submission.read(write(tmp_path, submission.make(measured, f"  {WORDS} ")))
    assert found.result.networks == measured.networks
    assert found.result.protocol == measured.protocol
    assert found.result.conditions == measured.conditions
    assert found.result.machine == measured.machine
    assert found.result.data == measured.data
    assert found.result.mistakes == []
    assert all(bundle.training is None for bundle in found.result.bundles)


def test_it_names_neither_folder_nor_host(measured: BenchResult, tmp_path: Path) -> None:
    spoken = measured.model_copy(
        update={
            "host": "me@orin",
            "repeat": "edgefer bench mine --host me@orin:venv/bin/edgefer --split test",
            "warnings": [
                "cannot read /home/me/x/engine.bin: permission denied; 3 images/s",
                "C:\\Users\\me\\faces",
                "cannot open:/home/me/x.so, see https://example.org/docs/x",
            ],
        }
    )
    found = submission.read(write(tmp_path, submission.make(spoken, WORDS)))
    assert found.result.host is None
    assert found.result.repeat == "edgefer bench mine --split test"
    assert found.result.warnings == [
        "cannot read engine.bin: permission denied; 3 images/s",
        "faces",
        "cannot open:x.so, see https://example.org/docs/x",
    ]


def test_the_device_is_the_board_or_the_card_else_the_cpu(measured: BenchResult) -> None:
    board = submission.make(results.on_jetson(measured), WORDS)
    assert "Orin" in board.device
    assert submission.make(measured, WORDS).device == measured.machine.cpu
    assert submission.make(measured, WORDS).name.endswith(
        f"-cpu-{measured.created[:16].lower().replace(':', '-')}.json"
    )


@pytest.mark.parametrize(
    "spoil", ["a figure", "the words", "two lines", "a folder", "the kind", "a field", "no JSON", "a result"]
)
def test_what_was_changed_by_hand_is_refused(measured: BenchResult, tmp_path: Path, spoil: str) -> None:
    path = write(tmp_path, submission.make(measured, WORDS))
    raw = json.loads(path.read_text())
    if spoil == "a figure":
        raw["result"]["networks"][0]["latency"]["fastest"] /= 2
    elif spoil == "the words":
        raw["conditions"] = "liquid nitrogen, and no limit"
    elif spoil == "two lines":
        raw["conditions"] = "a fan, and\n15 W for all of it"
        raw["digest"] = submission._digest(raw["conditions"], raw["result"])
    elif spoil == "a folder":
        raw["result"]["warnings"].append("see /home/me/notes.txt")
        raw["digest"] = submission._digest(raw["conditions"], raw["result"])
    elif spoil == "the kind":
        raw["kind"] = "edgefer bench"
    elif spoil == "a field":
        raw["email"] = "me@example.org"
    elif spoil == "a result":
        raw = raw["result"]
    path.write_text("{" if spoil == "no JSON" else json.dumps(raw))
    with pytest.raises(InputError, match=path.name):
        submission.read(path)


def test_how_a_file_is_laid_out_changes_nothing(measured: BenchResult, tmp_path: Path) -> None:
    path = write(tmp_path, submission.make(measured, WORDS))
    before = submission.read(path)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    assert submission.read(path) == before


def test_the_measurements_in_the_repository_are_whole_and_have_their_names() -> None:
    assert SENT
    assert {path.name: submission.read(path).name for path in SENT} == {path.name: path.name for path in SENT}
