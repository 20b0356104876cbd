"""The ledger in a bench's report, in a real Chromium: phone, dark mode, print, screen reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.bench.result import BenchResult
from edgefer.claims import ledger, page
from edgefer.claims.verdicts import decide
from edgefer.report import html as report
from tests.helpers import benches
from tests.helpers import browser as browsers
from tests.helpers.browser import Browser

PAGES = ("report", "ledger")

pytestmark = browsers.MARKS


@pytest.fixture(scope="module")
def pages(small: BenchResult, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a report with the ledger, and the ledger alone: one full training, one reduced, a hostile name."""
    folder = tmp_path_factory.mktemp("pages")
    bench = benches.of(small, benches.training("b2-two-stage"), 0.66)
    strange = benches.training("b0-attention", ["preprocessing.size=64", "model.args.x='<script>alert(1)</script>'"])
    held = decide(ledger.read(), None, [("a.json", bench), ("<b>.json", benches.of(small, strange, 0.4))])
    texts = {
        "report": report.render_html(bench, None, report.Section(page.section(held), page.style())),
        "ledger": page.html(held),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_the_ledger_fits_its_screen_and_fetches_nothing(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browsers.open_and_check(browser, pages[name], width, dark)


def test_what_stands_out_comes_first_and_the_rest_is_folded(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"])
    verdicts = browser.run(
        "[...document.querySelectorAll('.claims .verdict')].filter((each) => each.checkVisibility())"
        ".map((each) => each.textContent)"
    )
    assert verdicts[0] == "contradicted"
    assert set(verdicts[-10:]) == {"contradicted"}
    folded = browser.run("[...document.querySelectorAll('.claims details')].map((each) => each.open)")
    assert len(folded) == sum(bool(each.claims) for each in decide(ledger.read()).documents)
    assert not any(folded)
    shown = browser.run("document.getElementById('claims.b2.accuracy').textContent")
    assert "65.99" in shown  # 4,737 of 7,178
    assert "one seed" in shown
    beside = browser.run("document.getElementById('claims.attention.happy.recall').textContent")
    assert "not as written: 0.400" in beside
    assert "64 px instead of 224" in beside


@pytest.mark.parametrize("name", PAGES)
def test_names_from_a_file_run_nothing(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name])
    assert browser.run("document.scripts.length") == (1 if name == "report" else 0)
    assert "<script>alert(1)</script>" in browser.run(
        "document.querySelector('.claims .remarks + .remarks').textContent"
    )


def test_on_a_phone_a_claim_is_a_block_that_stays_a_row_of_a_table(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=400)
    row = "document.getElementById('claims.b2.accuracy')"
    assert browser.run(f"getComputedStyle({row}).display") == "block"
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node.get("role", {}).get("value") for node in tree if not node.get("ignored")]
    assert "rowheader" in roles
    assert roles.count("cell") > 100


def test_paper_shows_the_whole_ledger(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=800, dark=True, paper=True)
    rows = "[...document.querySelectorAll('.claims .ledger tbody tr')].filter((each) => each.checkVisibility()).length"
    assert browser.run(rows) == len(ledger.read().claim)
    browser.open(pages["ledger"], width=800, dark=True, paper=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1400, False)], ids=["phone, dark", "desk, light"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_in_the_ledger(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browser.open(pages[name], width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert browsers.violations(browser) == []
