"""`edgefer claims` on the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgefer import console, paths
from edgefer.bench.result import BenchResult
from edgefer.claims import ledger
from edgefer.claims import result as schema
from edgefer.cli.main import app
from tests.helpers import benches

pytest.importorskip("jinja2")


@pytest.fixture(autouse=True)
def _light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Go to an empty folder, without FER2013 and without torch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "edgefer.claims.networks", raising=False)
    monkeypatch.delattr("edgefer.claims.networks", raising=False)
    monkeypatch.setitem(sys.modules, "timm", None)
    yield
    console.enable(False)


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["claims", *arguments])


def test_the_table_has_every_claim_and_fits_80_columns() -> None:
    done = run()
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for claim in ledger.read().claim:
        own = claim.id.partition(".")[2]
        assert any(line.startswith(own) for line in lines), claim.id
    words = " ".join(done.stdout.split())
    assert "not run: needs weights" in words
    assert "run: they need FER2013, named with --data" in words
    assert "pip install 'edgefer[train]'" in words
    assert "edgefer train b2-two-stage" in words


def test_it_writes_json_and_a_page_and_latest_does_not_lead_there() -> None:
    assert run().exit_code == 0
    (folder,) = Path("runs/claims").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["claims.html", "claims.json"]
    schema.ClaimsResult.model_validate_json((folder / "claims.json").read_text(encoding="utf-8"))
    assert paths.latest("claims") is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--page", "full"), "full exists already; name another folder with --page"),
        (("--page", "."), "name another folder with --page"),
        (("--out", "new", "--page", "new"), "--out new is written into a new folder of its own"),
        (("--out", "new/below", "--page", "new"), "--out new/below is written into a new folder of its own"),
        (("--todo", "--page", "new"), "--todo writes no file; omit --out and --page"),
    ],
)
def test_folders_that_cannot_be_written_are_told_before_anything_is(options: tuple[str, ...], said: str) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    done = run(*options)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert not Path("new").exists()


def test_json_is_one_object() -> None:
    done = run("--json", "--out", "here")
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert (printed["command"], printed["kind"]) == ("claims", "edgefer claims")
    assert printed["json"] == "here/claims.json"
    assert printed["html"] == "here/claims.html"
    assert printed["entries"] == json.loads(Path("here/claims.json").read_text(encoding="utf-8"))["entries"]


class Page(HTMLParser):
    """A page's content: ids, links, tags still open at its end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        self.ids += [str(given["id"])] if "id" in given else []
        self.links += [str(given["href"])] if "href" in given else []
        if tag not in ("meta", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_has_an_anchor_for_each_claim_and_needs_nothing_else() -> None:
    run("--out", "here")
    text = Path("here/claims.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert {claim.id for claim in ledger.read().claim} <= set(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme: dark" in text


def test_without_the_report_extra_there_is_no_page_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edgefer.claims.page", raising=False)
    monkeypatch.delattr("edgefer.claims.page", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = run("--out", "here")
    assert done.exit_code == 0
    assert [file.name for file in Path("here").iterdir()] == ["claims.json"]
    assert "no claims.html: jinja2 is not installed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--results", "nowhere.json"], "nowhere.json is not there"),
        (["--results", "full/file"], "full/file is not valid JSON"),
        (["--data", "nowhere.zip"], "nowhere.zip does not exist"),
        (["--out", "full"], "full exists already"),
    ],
)
def test_wrong_input_is_said_in_one_line(arguments: list[str], said: str) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not Path("runs").exists()


def test_data_that_are_not_fer2013_count_for_nothing() -> None:
    for split in ("train", "test"):
        for label in ("happy", "sad"):
            Path("faces", split, label).mkdir(parents=True)
            for number in range(8):
                Image.new("L", (48, 48), number).save(f"faces/{split}/{label}/{number}.png")
    done = run("--data", "faces")
    assert done.exit_code == 0, done.output
    assert "faces is not the original FER2013" in " ".join(done.stdout.split())


def test_a_finished_bench_stands_beside_the_claims(small: BenchResult) -> None:
    reduced = benches.of(small, benches.training("b2-two-stage", ["preprocessing.size=64"], 5), 0.6)
    Path("done").mkdir()
    Path("done/result.json").write_text(reduced.model_dump_json(), encoding="utf-8")
    done = run("--results", "done", "--out", "here")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = " ".join(done.stdout.split())
    assert "b (done): not as written: 64 px instead of 260, 5 epochs instead of 10" in words
    assert "measured, but not as written: 0.600 (0.569 to 0.631)" in words  # recall of angry
    held = schema.ClaimsResult.model_validate_json(Path("here/claims.json").read_text(encoding="utf-8"))
    entry = next(entry for entry in held.entries if entry.id == "b2.accuracy")
    assert (entry.verdict, entry.measured[0].source) == ("not run", "done")
    assert held.repeat == "edgefer claims --results done"
    page = Path("here/claims.html").read_text(encoding="utf-8")
    assert page.count("not as written: 0.600") > 7
    assert "5 epochs instead of 10" in page
