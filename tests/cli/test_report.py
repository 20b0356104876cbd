"""`edgefer report`: what a finished bench comes out as, from its `result.json` alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgefer import console
from edgefer.cli.main import app

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
BENCH = RESULTS / "fer2013" / "compact" / "report.json"  # bench.json there is of format 1


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
