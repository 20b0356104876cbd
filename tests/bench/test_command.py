"""`edgefer bench` on the command line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgefer import bundle, console, data, paths
from edgefer.bench import result as schema
from edgefer.bench.result_file import read
from edgefer.cli.main import app
from edgefer.labels import LABELS
from tests.helpers import samples

QUICK = ["--data", "faces", "--seconds", "0.1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Go to a folder with class folders of grey images in ``faces``, and a bundle trained on them as the newest."""
    monkeypatch.chdir(tmp_path)
    dataset = samples.dataset(each=35)
    for split, name in enumerate(("train", "val", "test")):
        for row in (dataset.splits == split).nonzero()[0]:
            place = Path("faces", name, LABELS[dataset.labels[row]])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(dataset.images[row]).save(place / f"{row}.png")
    digest = data.load(Path("faces")).digest
    origin = bundle.DataEntry(name="greys", digest=digest, synthetic=False)
    paths.mark_latest(samples.write(paths.new_run("compress", "grey"), data=origin).path)
    yield tmp_path
    console.enable(False)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", *arguments])


def test_the_newest_bundle_is_measured_and_the_result_kept(folder: Path) -> None:
    done = _run(*QUICK)
    assert done.exit_code == 0, done.output
    run = paths.latest("bench")
    assert run is not None
    assert sorted(file.name for file in run.iterdir()) == ["report.html", "result.json"]
    result = schema.BenchResult.model_validate_json((run / "result.json").read_text())
    assert result.data.images == 35
    assert not any("was trained on" in warning for warning in result.warnings)
    assert f"{result.networks[0].latency.p50:.3f}" in done.stdout
    assert str(run / "report.html") in done.stdout


def test_json_is_one_object_and_nothing_else(folder: Path) -> None:
    samples.write(Path("a"), name="a")
    done = _run("a", "--json", "--out", "here", *QUICK)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert [bundle["path"] for bundle in printed["bundles"]] == ["a"]
    kept = json.loads(Path("here/result.json").read_text())
    assert printed["command"] == "bench"
    assert printed["networks"] == kept["networks"]
    assert printed["report"] == "here/report.html"
    assert paths.latest("bench") is None  # `latest` points to runs, not to an outside folder
    assert not Path("latest").exists()


def test_without_the_report_extra_the_result_is_still_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for module in ("edgefer.report.html", "edgefer.pages.page"):  # imported by an earlier test
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.delattr(module, raising=False)
    done = _run("--out", "here", *QUICK)
    assert done.exit_code == 0, done.output
    assert [file.name for file in Path("here").iterdir()] == ["result.json"]
    assert "pip install 'edgefer[report]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--device", "tpu"], 2, "unknown device 'tpu'"),
        (["nowhere"], 2, "nowhere is not there"),
        (["--data", "nothing"], 2, "nothing"),
        (["--data", "faces", "--split", "holdout"], 2, "holdout"),
        (["--out", "faces"], 2, "faces exists already"),
        (["--threads", "0"], 2, "threads"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder: Path, arguments: list[str], code: int, message: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not Path("runs/bench").exists()


def test_without_a_bundle_edgefers_own_is_measured_and_that_is_said(folder: Path) -> None:
    shutil.rmtree("runs")
    done = _run("--data", "faces", "--split", "nowhere")  # then the faces are read, and nothing is measured
    assert done.exit_code == 2
    assert "no bundle given and none in runs/compress: using edgefer-base" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--dla", "0", "--no-cuda-graphs"],
            "--device cpu does not use a GPU; omit --dla, --no-cuda-graphs",
        ),
        (["--measure", "speed"], "--measure takes robustness or throughput, not speed"),
        (["--protocol", "five-crop"], "--protocol takes one-crop, flip, ten-crop, not five-crop"),
    ],
)
def test_options_that_would_be_ignored_are_refused(folder: Path, options: list[str], said: str) -> None:
    done = _run(*QUICK, *options)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_faces_are_named_by_row_and_shown_where_a_report_is_asked_for_them(folder: Path) -> None:
    done = _run(*QUICK, "--out", "here", "--json")
    assert done.exit_code == 0, done.output
    Path("printed.json").write_text(done.stdout, encoding="utf-8")
    assert read(Path("printed.json")) == read(Path("here"))
    mistakes = json.loads(done.stdout)["mistakes"]
    assert mistakes
    asked = ["report", "here", "--html", "page.html", "--with-faces", "--data", "faces"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    text = Path("page.html").read_text(encoding="utf-8")
    assert text.count('<img src="data:image/png;base64,') == len(mistakes)
    assert "These are people" in text
    assert "data:image" not in Path("here/report.html").read_text(encoding="utf-8").partition("<style>")[2]
