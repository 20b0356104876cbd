"""A run's page in a real Chromium: on a phone and a desktop, in light and dark mode, by keyboard."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import pytest

from edgefer.learning import state
from edgefer.recipes import Recipe
from edgefer.review import page, reviewing
from edgefer.review import run as runs
from edgefer.training.trainer import train
from tests.helpers import browser as browsers
from tests.helpers.browser import Browser
from tests.helpers.stripes import small_recipe, stripes

HOSTILE = ("<script>document.title='ran'</script>", 'a"b onload="x', "$x$ & \\1", "'><img src=x>", "s" * 40, "é", "n")
PAGES = ("plain", "with faces", "hostile labels", "attention, unfinished", "three hundred epochs")

pytestmark = browsers.MARKS


def gradual() -> Recipe:
    recipe = small_recipe("augment.mixup=0.4", "train.class_weights=true", epochs=2)
    phase = recipe.phases[0]
    first = phase.model_copy(update={"name": "head", "train": ("head",), "epochs": 1})
    return recipe.model_copy(update={"phases": (first, phase.model_copy(update={"name": "all", "epochs": 2}))})


def with_attention() -> Recipe:
    recipe = small_recipe(
        "model.name=attention-net",
        "model.args={backbone='efficientnet_b0', widths=[8]}",
        "preprocessing.size=64",
        "preprocessing.color=rgb",
        "preprocessing.mean=[0.5, 0.5, 0.5]",
        "preprocessing.std=[0.25, 0.25, 0.25]",
        epochs=1,
    )
    return recipe


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    data = stripes()
    hostile = dataclasses.replace(data, classes=HOSTILE, name="<i>stripes</i>")
    run = train(gradual(), data, folder / "plain").run
    bad = train(gradual(), hostile, folder / "hostile").run
    unfinished = train(with_attention(), dataclasses.replace(data, synthetic=True), folder / "attention").run
    saved = state.read(unfinished / "last.json")
    saved["recipe"]["phases"][0]["epochs"] = 40
    state.save(unfinished, "last", saved)
    found, pictures = reviewing.review(runs.read(run), data)
    lines = [dataclasses.replace(found.history[-1], epoch=epoch, lr=0.1 / epoch) for epoch in range(2, 301)]
    made = {
        "plain": page.html(found, pictures),
        "with faces": page.html(*reviewing.review(runs.read(run), data, with_faces=True)),
        "hostile labels": page.html(*reviewing.review(runs.read(bad), hostile, with_faces=True)),
        "attention, unfinished": page.html(
            *reviewing.review(runs.read(unfinished), dataclasses.replace(data, synthetic=True), with_faces=True)
        ),
        "three hundred epochs": page.html(dataclasses.replace(found, history=[*found.history[:1], *lines]), pictures),
    }
    files = {name: folder / f"{number}.html" for number, name in enumerate(made)}
    for name, text in made.items():
        files[name].write_text(text, encoding="utf-8")
    return files


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1400, False)], ids=["phone, dark", "desk, light"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_screen_and_axe_finds_nothing(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browsers.open_and_check(browser, pages[name], width, dark)
    page = browser.run("getComputedStyle(document.body).backgroundColor")
    assert page == ("rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)")
    assert browser.run("[...document.images].every((each) => each.complete && each.naturalWidth > 0)") is True
    assert browsers.violations(browser) == []


def test_labels_run_nothing(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile labels"])
    assert browser.run("document.title") == "edgefer train: quickstart on <i>stripes</i>"
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.querySelectorAll('img:not([src^=\"data:image/png\"]), i:empty[style*=x]').length") == 0
    heads = "[...document.querySelector('table.heat').tHead.querySelectorAll('th')].map((each) => each.textContent)"
    assert browser.run(heads) == list(HOSTILE)


def test_a_script_that_got_in_would_not_run(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    text = pages["plain"].read_text(encoding="utf-8")
    bad.write_text(text.replace("</main>", "<script>document.title = 'ran'</script></main>"), encoding="utf-8")
    browser.open(bad)
    assert browser.run("document.title") != "ran"
    assert any("Content Security Policy" in each for each in browser.said)


@pytest.mark.parametrize(("name", "epochs"), [("plain", 3), ("three hundred epochs", 300)])
def test_the_keyboard_reaches_every_epoch_of_a_curve(
    browser: Browser, pages: dict[str, Path], name: str, epochs: int
) -> None:
    browser.open(pages[name])
    browser.run("document.querySelector('[data-name=\"Loss by epoch\"]').focus()")
    browser.press("ArrowRight")
    hint = "document.querySelector('.hint').textContent"
    assert browser.run(hint).startswith("training, epoch 1, head: ")
    browser.press("ArrowLeft")
    assert browser.run(hint).startswith(f"validation, epoch {epochs}, all: ")
    mark = "getComputedStyle(document.querySelector('.tip.on .mark')).opacity"
    assert browser.run(mark) == "1"


def test_paper_is_light_and_shows_what_a_screen_has_folded(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["plain"], width=800, dark=True, paper=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details')].every((each) => each.open)") is True


def test_headings_go_down_one_by_one_and_drawn_faces_are_marked(pages: dict[str, Path]) -> None:
    for each in pages.values():
        levels = [int(level) for level in re.findall(r"<h(\d)", each.read_text(encoding="utf-8"))]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
    drawn = pages["attention, unfinished"].read_text(encoding="utf-8")
    body = drawn.partition("<main>")[2]
    mark = '<span class="mark">synthetic faces</span>'
    assert body.count(mark) >= len(re.findall(r"<caption|<figcaption", body))  # text to copy
    assert [heading for heading in re.findall(r"<h[3-6].*?</h", body) if mark in heading] == []
    assert "Spatial attention by class" in drawn
    assert "not finished: 1 of 40 epochs are done" in drawn
