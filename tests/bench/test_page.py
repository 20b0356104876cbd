"""The report in a real Chromium: on a phone and a desktop, in light and dark mode, by keyboard."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from edgefer.bench.measurement import bench
from edgefer.report import html as report
from tests.helpers import browser as browsers
from tests.helpers import results, samples
from tests.helpers.browser import Browser

HOSTILE = ("<script>document.title='ran'</script>", 'a"b onload="x', "$x$ & \\1", "'><img src=x>", "s" * 40, "é", "n")
PAGES = ("one bundle", "twelve bundles", "a Jetson", "hostile labels")

pytestmark = browsers.MARKS


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    plain, hostile = samples.dataset(), samples.dataset()
    object.__setattr__(hostile, "classes", HOSTILE)
    people = folder / "people.csv"
    people.write_text(
        "\n".join(["row,a <b>", *(f"{row},{HOSTILE[row % 2]}" for row in range(140, 210))]).replace('"', "'")
    )
    one = bench(
        [samples.write(folder / "one", name="one")],
        plain,
        seconds=0.01,
        further=[samples.dataset(each=35)],
        protocols=["ten-crop"],
        groups=people,
    )
    bad = results.relabelled(one, HOSTILE)
    made = {
        "one bundle": report.render_html(results.photographs(results.many(one, 1)), plain),
        "twelve bundles": report.render_html(results.many(one, 12), plain),
        "a Jetson": report.render_html(results.on_jetson(results.many(one, 2)), plain),
        "hostile labels": report.render_html(results.many(bad, 2), hostile),
    }
    files = {name: folder / f"{number}.html" for number, name in enumerate(made)}
    for name, text in made.items():
        files[name].write_text(text, encoding="utf-8")
    return files


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_screen_and_complains_of_nothing(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browsers.open_and_check(browser, pages[name], width, dark)
    page = browser.run("getComputedStyle(document.body).backgroundColor")
    assert page == ("rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)")


def test_labels_run_nothing(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile labels"])
    assert browser.run("document.title") == "edgefer bench: edgefer-variant-1, edgefer-variant-2 on greys"
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.querySelectorAll('img:not([src^=\"data:image/png\"])').length") == 0
    heads = "[...document.querySelector('table.heat').tHead.querySelectorAll('th')].map((each) => each.textContent)"
    assert browser.run(heads) == list(HOSTILE)


def test_a_script_that_got_in_would_not_run(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["one bundle"].read_text(encoding="utf-8")
    bad = tmp_path / "bad.html"
    bad.write_text(text.replace("</main>", "<script>document.title = 'ran'</script></main>"), encoding="utf-8")
    browser.open(bad)
    assert browser.run("document.title") != "ran"
    assert any("Content Security Policy" in each for each in browser.said)


def test_the_keyboard_reaches_every_point_of_a_chart(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one bundle"])
    for _ in range(40):
        browser.press("Tab")
        if browser.run("document.activeElement.dataset.name") == "Accuracy over latency":
            break
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    heard = []
    for _ in range(2):
        browser.press("ArrowRight")
        heard.append(browser.run("document.querySelector('.hint').textContent"))
    assert [each.partition(":")[0] for each in heard] == ["fp32", "int8-cpu"]
    assert browser.run("document.querySelector('.hint').getAttribute('role')") == "status"
    browser.press("Escape")
    assert browser.run("document.querySelector('.hint').hidden") is True
    assert browser.run("[...document.querySelectorAll('.chart')].every((each) => each.tabIndex === 0)") is True


def test_tables_sort_by_a_click_and_say_so(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["twelve bundles"])
    column = (
        "[...document.querySelector('table.sorts').tBodies[0].rows].map((row) => parseFloat(row.cells[2].textContent))"
    )
    head = "document.querySelector('table.sorts').tHead.rows[0].cells[2]"
    browser.run(f"{head}.querySelector('button').focus()")
    for order, backwards in (("ascending", False), ("descending", True)):
        browser.press("Enter")
        found = browser.run(column)
        assert found == sorted(found, reverse=backwards)
        assert browser.run(f"{head}.getAttribute('aria-sort')") == order


def test_without_scripts_the_page_is_whole(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["twelve bundles"], scripts=False)
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    names = [str(node.get("name", {}).get("value", "")) for node in tree]
    assert any(name.startswith("Accuracy over latency, p50. edgefer-variant-1 fp32") for name in names)
    text = pages["twelve bundles"].read_text(encoding="utf-8")
    assert text.count("<title>") > 100  # of points: a pointer shows them without a script
    browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_paper_shows_what_a_screen_has_folded(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["twelve bundles"], width=800, dark=True, paper=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("document.querySelector('details').open") is False
    folded = "[...document.querySelectorAll('details table.heat')].filter((each) => each.checkVisibility()).length"
    assert browser.run(folded) == 36
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details')].every((each) => each.open)") is True


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1400, False)], ids=["phone, dark", "desk, light"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool) -> None:
    browser.open(pages[name], width=width, dark=dark)
    browser.run("document.querySelector('details').open = true")
    assert browsers.violations(browser) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast_is_enough_where_axe_cannot_tell(browser: Browser, pages: dict[str, Path], dark: bool) -> None:
    """WCAG 2.2, 1.4.3 (text: 4.5) and 1.4.11 (shapes: 3), also on the darkest cell of a matrix."""
    browser.open(pages["one bundle"], dark=dark)

    def colour(name: str) -> tuple[float, ...]:
        value = browser.run(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')").strip()
        if value.startswith("#"):
            return tuple(int(value[at : at + 2], 16) for at in (1, 3, 5))
        return tuple(float(each) for each in value.split())

    def ratio(one: tuple[float, ...], two: tuple[float, ...]) -> float:
        lights = sorted((_luminance(one), _luminance(two)), reverse=True)
        return (lights[0] + 0.05) / (lights[1] + 0.05)

    page, panel, ink = colour("page"), colour("panel"), colour("ink")
    for ground in (page, panel):
        assert ratio(ink, ground) >= 4.5
        assert ratio(colour("soft"), ground) >= 4.5
        for shape in ("fp32", "fp16", "int8", "focus"):
            assert ratio(colour(shape), ground) >= 3, shape
    assert ratio(colour("mark"), colour("mark-page")) >= 4.5
    for cell in ("good", "bad"):
        mixed = tuple(0.5 * a + 0.5 * b for a, b in zip(colour(cell), page, strict=True))
        assert ratio(ink, mixed) >= 4.5, cell


def _luminance(colour: tuple[float, ...]) -> float:
    """WCAG's relative luminance of an sRGB colour."""
    parts = [value / 255 for value in colour]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_headings_go_down_one_by_one(browser: Browser, pages: dict[str, Path]) -> None:
    for page in pages.values():
        levels = [int(level) for level in re.findall(r"<h(\d)", page.read_text(encoding="utf-8"))]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
