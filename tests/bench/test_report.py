"""The HTML report: complete, safe, readable without images."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgefer import data
from edgefer.bench.measurement import bench
from edgefer.bench.probes import mistakes
from edgefer.bench.result import BenchResult
from edgefer.data.dataset import Dataset
from edgefer.errors import MissingExtra
from edgefer.evaluation import timing
from edgefer.labels import LABELS
from edgefer.pages import page as pages
from edgefer.pages import svg
from edgefer.report import html as report
from edgefer.report import html_tables, protocol, spreadsheet, table
from edgefer.report.markdown import render_markdown
from edgefer.report.pareto import front
from edgefer.report.summary import summarize
from tests.helpers import results, samples
from tests.helpers.elements import Page

HOSTILE = ("<script>alert(1)</script>", 'a"b onload="x', "$x$ & \\1", "happy", "sad", "{{ 7 * 7 }}", "neutral")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    made = samples.dataset()
    object.__setattr__(made, "classes", HOSTILE)
    return made


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> BenchResult:
    folder = tmp_path_factory.mktemp("bundles")
    made = [samples.write(folder / name, name=name, labels=HOSTILE) for name in ("one", "two")]
    return bench(made, dataset, seconds=0.01)


@pytest.fixture(scope="module")
def page(result: BenchResult, dataset: Dataset) -> Page:
    return Page(report.render_html(result, dataset))


@pytest.fixture(scope="module")
def many(result: BenchResult) -> BenchResult:
    return results.many(result, 12)


def test_elements_are_nested_and_ids_are_unique(page: Page, many: BenchResult) -> None:
    for each in (page, Page(report.render_html(many)), Page(report.render_html(results.on_jetson(many)))):
        assert each.open == []
        ids = [attributes["id"] for _, attributes in each.elements if "id" in attributes]
        assert len(ids) == len(set(ids)) > 0
        named = [
            str(attributes["aria-labelledby"]) for _, attributes in each.elements if "aria-labelledby" in attributes
        ]
        assert set(named) <= set(ids)


def test_nothing_is_fetched_and_only_the_page_s_own_script_runs(page: Page, result: BenchResult) -> None:
    assert page.named("link", "iframe", "object", "form", "base") == []
    assert page.named("script") == [{}]
    addresses = [value for _, attributes in page.elements for value in attributes.values() if value and "//" in value]
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    text = report.render_html(result)
    assert "@import" not in text
    assert "url(" not in text
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(each["content"] for each in page.named("meta") if each.get("http-equiv"))
    assert policy is not None
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';" in policy


def test_labels_are_text_whatever_is_in_them(page: Page) -> None:
    for label in HOSTILE:
        assert page.text.count(label) >= 4
    assert all("onload" not in attributes for _, attributes in page.elements)


def test_every_picture_says_its_figures_in_words(many: BenchResult) -> None:
    drawn = Page(report.render_html(many))
    charts = [each for each in drawn.named("svg") if each.get("aria-hidden") != "true"]
    assert len(charts) == 2 + 24 + 12 * (7 + 2)  # trades, strips, and for each bundle: kinds of change, threads
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    said = " ".join(str(chart["aria-label"]) for chart in charts)
    for entry in many.networks:
        assert f"{100 * entry.quality.accuracy:.2f} %" in said
        assert f"{entry.latency.p50:.3f} ms" in said


def test_every_table_of_drawn_faces_says_so(page: Page) -> None:
    assert page.text.count("synthetic faces") >= len(page.named("caption", "figcaption"))


def test_charts_take_their_colours_from_the_theme(many: BenchResult) -> None:
    text = report.render_html(many)
    assert not re.search(r"#[0-9a-f]{3,6}\b", "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL)))
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", text)) <= set(re.findall(r"(--[a-z0-9-]+):", text))


def test_all_of_accuracy_and_memory_is_in_tables_with_the_leak_free_images_apart(result: BenchResult) -> None:
    sheet = html_tables.accuracy(result)
    assert [row[1][0] for row in sheet.rows] == ["all", "leak-free"] * len(result.networks)
    for number, entry in enumerate(result.networks):
        for quality, (_, cells) in zip((entry.quality, entry.leak_free), sheet.rows[2 * number :], strict=False):
            assert quality is not None
            shares = (quality.macro_f1, quality.weighted_f1, quality.calibration_error)
            assert cells[-3:] == [f"{share:.3f}" for share in shares]
    cost = html_tables.cost(result)
    assert cost is not None
    memory = result.networks[0].memory
    assert memory is not None
    assert cost.rows[0][1][list(cost.heads).index("process steady, MB")] == f"{memory.steady / 1e6:.0f}"
    text = Page(report.render_html(result)).text
    assert f"{result.networks[0].quality.weighted_f1:.3f}" in text


def test_a_noisy_latency_is_marked_beside_its_figures(result: BenchResult) -> None:
    def with_variation(value: float) -> Page:
        networks = [
            each.model_copy(update={"latency": replace(each.latency, coefficient_of_variation=value)})
            for each in result.networks
        ]
        return Page(report.render_html(result.model_copy(update={"networks": networks})))

    noisy = [each for each in with_variation(0.11).named("td") if each.get("class") == "noisy"]
    assert len(noisy) == 2 * len(result.networks)  # p99, and the coefficient itself
    assert [each for each in with_variation(0.09).named("td") if each.get("class") == "noisy"] == []


def test_latency_from_pixels_is_shown_where_it_was_measured(result: BenchResult) -> None:
    whole = result.networks[0].with_preprocessing
    assert whole is not None
    assert (whole.samples >= 200, whole.p90 is not None) == (True, True)
    assert "p50 from pixels" in Page(report.render_html(result)).text
    older = [each.model_copy(update={"with_preprocessing": None}) for each in result.networks]
    assert "p50 from pixels" not in Page(report.render_html(result.model_copy(update={"networks": older}))).text


def test_photographs_are_not_called_drawn(result: BenchResult) -> None:
    assert "synthetic faces" not in Page(report.render_html(results.photographs(result))).text


def test_a_network_whose_multiply_accumulates_cannot_be_counted_has_a_dash(result: BenchResult) -> None:
    uncounted = [each.model_copy(update={"macs": None}) for each in result.bundles]
    assert "- multiply-accumulates" in table.bundle_line(uncounted[0])
    assert "- multiply-accumulates" in Page(report.render_html(result.model_copy(update={"bundles": uncounted}))).text
    assert "0.0 M multiply-accumulates" in Page(report.render_html(result)).text


def test_an_older_result_has_a_page_without_distributions(result: BenchResult) -> None:
    text = result.model_dump()
    for entry in text["networks"]:
        del entry["quantiles"]
    del text["mistakes"]
    older = BenchResult.model_validate(text)
    assert "Distribution of latency in milliseconds" in Page(report.render_html(result)).text
    assert "Distribution of latency in milliseconds" not in Page(report.render_html(older)).text


def test_a_device_s_page_says_what_it_measured_and_nothing_of_a_cpu_s(many: BenchResult) -> None:
    text = Page(report.render_html(results.on_jetson(many))).text
    for said in ("VDD_IN", "15W", "over-current", "Orin, compute capability 87", "CUDA graphs on", "nothing is copied"):
        assert said in text
    for said in ("INA3221", "GPU peak, MB", "29.4", "Excludes the CUDA context", "the engine already built"):
        assert said in text
    assert "GPU peak, MB |" in render_markdown(results.on_jetson(many))
    for unsaid in ("graph optimizations", "memory arena", "1 thread"):
        assert unsaid not in text
    here = Page(report.render_html(many)).text
    for said in ("all graph optimizations", "memory arena is on", "no supported sensor (RAPL, INA3221)"):
        assert said in here
    assert "GPU peak" not in here
    assert ("temperature of cpu, C", "48.2", "55.0") in protocol.conditions(results.on_jetson(many))


def test_the_summary_is_the_bench_s_own_recommendation_of_one_bundle(many: BenchResult) -> None:
    one = many.bundles[0].title
    alone = many.model_copy(
        update={
            "bundles": many.bundles[:1],
            "networks": [each for each in many.networks if each.bundle == one],
            "recommendations": [each for each in many.recommendations if each.bundle == one],
        }
    )
    found = summarize(alone)
    assert (found.entry.network, found.reason) == ("int8-cpu", "0.35 x the latency of fp32")
    assert [at for _, at in found.others] == ["most accurate"]


def test_among_many_bundles_the_fastest_within_half_a_point_is_deployed(many: BenchResult) -> None:
    found = summarize(many)
    best = max(each.quality.accuracy for each in many.networks)
    assert best - found.entry.quality.accuracy <= 0.005
    assert all(
        each.latency.p50 >= found.entry.latency.p50 for each in many.networks if best - each.quality.accuracy <= 0.005
    )
    text = Page(report.render_html(many)).text
    assert f"Deploy {found.entry.network} of {found.entry.bundle}" in text


def test_a_bundle_s_only_network_is_a_candidate_too(many: BenchResult) -> None:
    best = max(many.networks, key=lambda each: each.quality.accuracy)
    alone = best.model_copy(
        update={"bundle": "alone", "latency": replace(best.latency, p50=min(e.latency.p50 for e in many.networks) / 2)}
    )
    about = many.bundles[0].model_copy(update={"title": "alone", "path": "here/alone"})
    one_more = many.model_copy(update={"bundles": [*many.bundles, about], "networks": [*many.networks, alone]})
    found = summarize(one_more)
    assert (found.entry.bundle, found.path) == ("alone", "here/alone")
    assert "points below" not in found.reason
    assert "It is in here/alone" in Page(report.render_html(one_more)).text


def test_one_network_alone_is_not_called_the_best(many: BenchResult) -> None:
    alone = many.model_copy(
        update={"bundles": many.bundles[:1], "networks": many.networks[:1], "recommendations": [], "comparisons": []}
    )
    text = Page(report.render_html(alone)).text
    assert "the only network measured" in text
    assert "Deploy" not in text


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    def beaten(cost: int, value: int) -> bool:
        return any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points)

    found = front([cost for cost, _ in points], [value for _, value in points])
    assert sorted(found) == [place for place, point in enumerate(points) if not beaten(*point)]
    assert [points[place][0] for place in found] == sorted(points[place][0] for place in found)


@pytest.mark.parametrize(("low", "high"), [(0, 0.7), (0.21, 38.0), (62.1, 73.4), (0.031, 0.25), (1, 3.2e5)])
@pytest.mark.parametrize("log", [False, True])
def test_ticks_are_a_few_inside_the_axis(low: float, high: float, log: bool) -> None:
    scale = svg.Scale(low or 0.01, high, 10, 110, log)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert all(10 <= scale(tick) <= 110.001 for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_what_is_put_into_an_element_is_escaped() -> None:
    made = svg.element("text", "<b>&", class_='a"b', x=1.23456)
    assert made == '<text class="a&#34;b" x="1.23">&lt;b&gt;&amp;</text>'


def test_quantiles_are_of_the_samples(result: BenchResult) -> None:
    found = timing.quantiles(np.arange(1.0, 402).reshape(-1, 1) * 1e-3)
    assert len(found) == 101
    assert (found[0], found[50], found[100]) == pytest.approx((1, 201, 401))
    for entry in result.networks:
        assert entry.quantiles[50] == pytest.approx(entry.latency.p50, abs=1e-6)


def test_the_faces_most_often_wrong_come_first() -> None:
    rows = data.split(samples.dataset(), "test")
    right = np.eye(7, dtype=np.float32)[rows.labels] * 9
    one, two = right.copy(), right.copy()
    one[[3, 5, 8]] = np.roll(right[[3, 5, 8]], 1, axis=1)
    two[[5, 8]] = np.roll(right[[5, 8]], 2, axis=1) * np.array([[0.2], [1]], dtype=np.float32)
    found = mistakes.most_often(rows, LABELS, [one, two], [1.0, 1.0])
    assert [each.row for each in found] == [int(rows.rows[place]) for place in (8, 5, 3)]
    assert [each.label for each in found[0].predictions] == [LABELS[(rows.labels[8] + by) % 7] for by in (1, 2)]
    assert found[2].predictions[1].label == found[2].label
    assert found[0].predictions[0].confidence == pytest.approx(1, abs=0.01)


def test_faces_are_shown_only_where_they_were_asked_for(result: BenchResult, dataset: Dataset, page: Page) -> None:
    assert result.mistakes
    pictures = page.named("img")
    assert len(pictures) == len(result.mistakes)
    rows = data.split(dataset, "test")
    for picture, each in zip(pictures, result.mistakes, strict=True):
        assert each.label in str(picture["alt"])
        shown = Image.open(io.BytesIO(base64.b64decode(str(picture["src"]).partition(",")[2])))
        place = rows.rows.tolist().index(each.row)
        assert np.array_equal(np.array(shown), rows.take(np.array([place]))[0])
    not_asked = result.model_copy(update={"mistakes": []})
    for text in (report.render_html(result), report.render_html(not_asked, dataset)):
        assert "data:image" not in text.partition("<style>")[2]
        assert "Most misclassified faces" not in text


def test_a_face_that_is_not_in_the_data_is_left_out(result: BenchResult, dataset: Dataset) -> None:
    strange = results.wrong(result, 10**9, HOSTILE[0], HOSTILE[1])
    assert Page(report.render_html(strange, dataset)).named("img") == []
    one_answer = [mistakes.MistakenFace(each.row, each.label, each.predictions[:1]) for each in result.mistakes]
    assert Page(report.render_html(result.model_copy(update={"mistakes": one_answer}), dataset)).named("img") == []


@pytest.mark.parametrize("values", [[2.5] * 101, [0.0] * 101, [1.0] * 100 + [900.0], [1.0, 2.0]])
def test_a_strange_distribution_spoils_no_page(result: BenchResult, values: list[float]) -> None:
    networks = [each.model_copy(update={"quantiles": values}) for each in result.networks]
    text = report.render_html(result.model_copy(update={"networks": networks}))
    assert "nan" not in text
    assert Page(text).open == []


def test_csv_has_a_line_for_each_network_and_no_formula(result: BenchResult, tmp_path: Path) -> None:
    title = "=HYPERLINK(1)"
    networks = [each.model_copy(update={"bundle": title}) for each in result.networks]
    spreadsheet.write([result.model_copy(update={"networks": networks})], tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["network"] for line in lines] == [each.network for each in result.networks]
    assert [float(line["latency.p50"]) for line in lines] == [each.latency.p50 for each in result.networks]
    assert {line["bundle"] for line in lines} == {f"'{title}"}
    assert float(lines[0][f"per_class.{HOSTILE[0]}.f1"]) == result.networks[0].per_class[0].f1


def test_markdown_has_a_line_for_each_network_and_runs_nothing(result: BenchResult) -> None:
    text = render_markdown(result)
    first = text.partition("| network | accuracy")[2].partition("\n\n")[0]
    rows = [line for line in first.splitlines() if line.startswith("| `one ") or line.startswith("| `two ")]
    assert len(rows) == len(result.networks)
    assert "**Deploy `" in text
    outside = re.sub(r"`[^`]*`", "", text)
    assert "<script>" not in outside
    tables = [line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")]
    assert set(tables) == {9, 3 + len(result.networks), *(2 + len(each.columns) for each in result.probes)}


def test_a_report_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("jinja2", "markupsafe"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            for module in ("report.html", "report.charts", "pages.page", "pages.svg"):
                patch.delitem(sys.modules, f"edgefer.{module}", raising=False)
                patch.delattr(f"edgefer.{module}", raising=False)
            with pytest.raises(
                MissingExtra, match=rf"{package} is not installed; run: pip install 'edgefer\[report\]'"
            ):
                __import__("edgefer.report.html")


def test_what_the_page_is_made_of_travels_with_the_package() -> None:
    for module, names in (
        (report, ("report.html.j2", "report.css")),
        (pages, ("parts.html.j2", "page.css", "page.js")),
    ):
        assert all(Path(module.__file__).with_name(name).is_file() for name in names)
