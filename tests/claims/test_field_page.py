"""The page "What FER papers claim" in a real Chromium: sorting, filters, and a plain table without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.claims import field_page
from edgefer.claims.result import ClaimsResult
from tests.helpers import browser as browsers
from tests.helpers.browser import Browser

pytestmark = browsers.MARKS

DECIDED = Path(__file__).parents[2] / "benchmarks" / "results" / "claims.json"
SHOWN = "[...document.querySelectorAll('#field tbody tr')].filter((row) => row.checkVisibility()).map((row) => row.id)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("field")
    result = ClaimsResult.model_validate_json(DECIDED.read_text(encoding="utf-8"))
    for name, content in field_page.write(result).items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder / field_page.PAGE


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1400, False)], ids=["phone, dark", "desk, light"])
def test_it_fits_its_screen_and_axe_finds_nothing(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browsers.open_and_check(browser, page, width, dark)
    assert browsers.violations(browser) == []


def test_it_filters_by_verdict_text_and_field(browser: Browser, page: Path) -> None:
    browser.open(page)
    every = browser.run(SHOWN)
    change = """(name, value) => {
        const each = document.querySelector(`[name=${name}]`);
        each[each.type === "checkbox" ? "checked" : "value"] = value;
        each.dispatchEvent(new Event("input", { bubbles: true }));
    }"""
    browser.run(f"({change})('verdict', 'other protocol')")
    others = browser.run(SHOWN)
    assert 5 < len(others) < len(every)
    browser.run(f"({change})('text', 'ten crops  lethesec')")
    assert "resnet18-lethesec.accuracy" in browser.run(SHOWN)
    assert "rmn.accuracy" not in browser.run(SHOWN)
    browser.run(f"({change})('text', ''); ({change})('verdict', ''); ({change})('field', true)")
    alone = browser.run(SHOWN)
    assert "deepface.accuracy" in alone
    assert "b2.accuracy" not in alone
    assert browser.run("document.querySelector('output').textContent") == f"{len(alone)} of {len(every)} rows"


def test_it_sorts_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelectorAll('#field thead button')[1].focus()")
    browser.press("Enter")
    browser.press("Enter")
    assert browser.run("document.querySelectorAll('#field th')[1].getAttribute('aria-sort')") == "descending"
    numbers = browser.run(
        "[...document.querySelectorAll('#field tbody tr')].slice(0, 5)"
        ".map((row) => parseFloat(row.cells[1].dataset.sort))"
    )
    assert numbers[0] > 1e6  # parameters
    assert numbers == sorted(numbers, reverse=True)


def test_without_scripts_it_is_a_table(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    shot = browser.send("DOM.getDocument", depth=-1)["root"]
    text = str(shot)
    assert "vgg-khaireddin.accuracy" in text
    assert "'hidden'" in text  # the filters, which would do nothing
