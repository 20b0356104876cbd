"""A search's page in a real Chromium: on a phone and a desktop, in light and dark mode."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgefer.search import page
from edgefer.search.result import SearchResult, TrialRow
from tests.helpers import browser as browsers
from tests.helpers.browser import Browser

HOSTILE = "<script>document.title='ran'</script>"

pytestmark = browsers.MARKS


def row(number: int, accuracy: float | None, latency: float, size: int, front: bool = False) -> TrialRow:
    return TrialRow(
        number=number,
        kind="stopped early" if accuracy is None else "measured",
        as_it_is=number == 0,
        settings=["model.args.widths=[16, 32, 48]", f"train.batch_size={number + 32}"],
        command=f"edgefer train mine --set 'model.args.widths=[16, 32, 48]' --set train.batch_size={number + 32}",
        folder=f"trial-{number:04d}",
        on_front=front,
        accuracy=accuracy,
        latency=latency,
        bytes=size,
        fp32_accuracy=accuracy,
        fp32_latency=2 * latency,
        parameters=75_000,
        epochs=5,
        seconds=61.5,
        cpu=f"A CPU, {number % 2}",
        retries=number,
        error=None,
    )


def result(name: str = "mine") -> SearchResult:
    refused = dataclasses.replace(row(4, None, 0.1, 9), kind="no network", latency=None, bytes=None, error=name)
    return SearchResult(
        study="mine",
        recipe=name,
        data=name,
        digest="d" * 64,
        synthetic=True,
        images=3589,
        settings=("train.precision=fp32",),
        space={"model.args.widths": ["[8]", "[16]"], "train.batch_size": {"low": 32, "high": 64}},
        calibration="stratified-300",
        trials=[
            row(0, 0.55, 0.3, 90_000),
            row(1, 0.57, 0.2, 80_000, True),
            row(2, 0.4, 0.1, 9_000, True),
            row(3, None, 0.3, 90_000),
            refused,
        ],
        unfinished=1,
        importances={"accuracy": {"model.args.widths": 0.9, "train.batch_size": 0.1}},
        versions={"optuna": "5"},
    )


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1400, False)], ids=["phone, dark", "desk, light"])
@pytest.mark.parametrize("name", ["mine", HOSTILE])
def test_a_page_fits_its_screen_and_axe_finds_nothing(
    browser: Browser, tmp_path: Path, name: str, width: int, dark: bool
) -> None:
    browsers.open_and_check(browser, page.write(result(name), tmp_path), width, dark)
    assert browser.run("document.title") == f"edgefer search: mine on {name}"
    assert browsers.violations(browser) == []


def test_each_trial_of_the_table_leads_to_its_command(browser: Browser, tmp_path: Path) -> None:
    browser.open(page.write(result(), tmp_path))
    links = "[...document.querySelectorAll('tbody a')].map((each) => document.querySelector(each.hash).textContent)"
    assert browser.run(links) == [f"Trial {each}{', on the front' * (each in (1, 2))}" for each in range(5)]
    notes = browser.run("document.querySelector('.notes').textContent")
    assert "Latencies are of 2 kinds of CPU" in notes
    assert "1 trial more to come" in notes
