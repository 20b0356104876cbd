"""`edgefer report`: a finished bench's outputs, from its `result.json` only."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgefer import console
from edgefer.bench import result_file
from edgefer.cli.main import app
from tests.helpers import results

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
BENCH = RESULTS / "fer2013" / "compact" / "report.json"  # the bench.json there has format 1


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    console.enable(False)


def report(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["report", *map(str, arguments)])


def test_tables_are_printed_and_nothing_is_written(here: Path) -> None:
    done = report(BENCH)
    assert done.exit_code == 0, done.output
    p50 = json.loads(BENCH.read_text())["networks"][0]["latency"]["p50"]
    assert f"{p50:.3f}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("width", [80, 120])
def test_tables_of_several_bundles_fit_and_break_no_name(width: int, tmp_path: Path) -> None:
    several = results.many(result_file.read(BENCH), 3)
    (tmp_path / "several.json").write_text(several.model_dump_json().replace("edgefer-variant-", "edgefer-net-"))
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["report", "several.json"])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= width
    accuracy = done.stdout.partition("Accuracy")[2].partition("Latency")[0]
    assert all(f"edgefer-net-{number} " in accuracy for number in (1, 2, 3))


def test_colours_are_readable_on_black_and_on_white_and_none_with_no_color() -> None:
    coloured = {"COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    shown = CliRunner(env={**coloured, "NO_COLOR": ""}).invoke(app, ["report", str(BENCH)]).stdout
    assert {"1", "35"} == set(re.findall(r"\x1b\[([1-9]\d*(?:;\d+)*)m", shown))  # bold and magenta
    plain = CliRunner(env={**coloured, "NO_COLOR": "1"}).invoke(app, ["report", str(BENCH)]).stdout
    assert "\x1b" not in plain
    assert plain.split() == re.sub(r"\x1b\[[\d;]*m", "", shown).split()


def test_it_is_printed_for_a_pull_request_and_written_for_a_spreadsheet_and_a_browser() -> None:
    pytest.importorskip("jinja2")
    done = report(BENCH, "--markdown", "--csv", "all.csv", "--html", "page.html")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("### edgefer bench\n")
    with Path("all.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == ["fp32", "int8-cpu"]
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "Deploy int8-cpu" in page


def test_several_results_make_one_table_of_figures_and_a_page_each() -> None:
    pytest.importorskip("jinja2")
    done = report(BENCH, BENCH, "--csv", "all.csv", "--html", "page.html", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["files"] == {"page": "page.html", "page-2": "page-2.html", "csv": "all.csv"}
    assert [len(each["networks"]) for each in said["results"]] == [2, 2]
    assert len(Path("all.csv").read_text(encoding="utf-8").splitlines()) == 5


def test_claims_stand_on_the_page_where_they_are_asked_for() -> None:
    pytest.importorskip("jinja2")
    assert report(BENCH, "--html", "without.html").exit_code == 0
    done = report(BENCH, "--html", "with.html", "--claims")
    assert done.exit_code == 0, done.output
    assert "What papers claim" in Path("with.html").read_text(encoding="utf-8")
    assert "What papers claim" not in Path("without.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nowhere.json"], "nowhere.json is not there"),
        ([RESULTS / "projection-jetson.json"], "it contains no measurement"),
        ([BENCH, "--markdown", "--json"], "choose one"),
        ([BENCH, "--csv", "."], "is a folder"),
        ([BENCH, "--html", "notes.txt"], "exists and is not an .html file"),
        ([BENCH, "--with-faces"], "need --html FILE"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(options: list[str | Path], said: str) -> None:
    Path("notes.txt").write_text("mine")
    done = report(*options)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert Path("notes.txt").read_text() == "mine"
