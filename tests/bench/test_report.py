"""The HTML report: whole, safe, readable without its pictures."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from bundle import samples

from edgefer.bench import report
from edgefer.bench.bench import bench
from edgefer.bench.result import Result
from edgefer.errors import MissingExtra

HOSTILE = ("<script>alert(1)</script>", 'a"b onload="x', "$x$ & \\1", "happy", "sad", "{{ 7 * 7 }}", "neutral")
_VOID = {"meta", "br", "path", "use", "rect", "line"}


class Page(HTMLParser):
    """Elements of a page; fails on one that is closed in the wrong place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("bundles")
    dataset = samples.dataset()
    object.__setattr__(dataset, "classes", HOSTILE)
    made = [samples.write(folder / name, name=name, labels=HOSTILE) for name in ("one", "two")]
    return bench(made, dataset, seconds=0.01)


@pytest.fixture(scope="module")
def page(result: Result) -> Page:
    return Page(report.html(result))


def test_elements_are_nested_and_ids_are_unique(page: Page) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0
    for _, attributes in page.elements:
        for name in ("href", "xlink:href"):
            assert attributes.get(name) is None or str(attributes[name])[1:] in ids


def test_nothing_is_fetched_and_nothing_runs(page: Page, result: Result) -> None:
    assert page.named("script", "link", "img", "iframe", "object") == []
    addresses = [value for _, attributes in page.elements for value in attributes.values() if value and "//" in value]
    assert all(address.startswith("http://www.w3.org/") for address in addresses)
    assert "@import" not in report.html(result)


def test_labels_are_text_whatever_is_in_them(page: Page) -> None:
    for label in HOSTILE:
        assert page.text.count(label) >= 4
    assert all("onload" not in attributes for _, attributes in page.elements)


def test_every_chart_says_its_figures_in_words(page: Page, result: Result) -> None:
    charts = page.named("svg")
    assert len(charts) == 1 + len(result.bundles)
    assert all(chart["role"] == "img" for chart in charts)
    said = " ".join(str(chart["aria-label"]) for chart in charts)
    for entry in result.networks:
        assert f"{100 * entry.quality.accuracy:.2f} %" in said
    assert HOSTILE[0] in said


def test_every_table_of_drawn_faces_says_so(page: Page) -> None:
    captions = page.text.count("drawn faces")
    assert captions >= len(page.named("table", "figure", "section"))


def test_charts_take_their_colours_from_the_theme(result: Result) -> None:
    text = report.html(result)
    charts = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", charts)) <= {"#ffffff", "#000000"}
    assert set(re.findall(r"var\((--[a-z0-9]+)\)", charts)) <= set(re.findall(r"(--[a-z0-9]+):", text))


def test_photographs_are_not_called_drawn(result: Result) -> None:
    photographs = result.model_copy(update={"data": result.data.model_copy(update={"drawn": False})})
    bundles = [
        b.model_copy(update={"trained_on": b.trained_on.model_copy(update={"drawn": False})}) for b in result.bundles
    ]
    assert "drawn faces" not in Page(report.html(photographs.model_copy(update={"bundles": bundles}))).text


def test_a_report_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            patch.delitem(sys.modules, "edgefer.bench.report")
            with pytest.raises(
                MissingExtra, match=rf"{package} is not installed; run: pip install 'edgefer\[report\]'"
            ):
                __import__("edgefer.bench.report")


def test_the_template_travels_with_the_package() -> None:
    assert Path(report.__file__).with_name("report.html.j2").is_file()
