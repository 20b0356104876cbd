"""Render a benchmark result as one self-contained HTML file (extra `report`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer import data
from edgefer.bench.probes import mistakes
from edgefer.bench.result import BenchResult, NetworkEntry
from edgefer.data.dataset import Dataset
from edgefer.errors import InputError
from edgefer.evaluation.corruptions import STRENGTHS
from edgefer.pages import page
from edgefer.pages.svg import Markup
from edgefer.report import charts, html_tables, protocol, table
from edgefer.report.summary import summarize

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_OPEN = 2  # up to this many bundles are unfolded initially


@dataclass(frozen=True)
class Section:
    """A section of the page that another module renders.

    Attributes:
        html: a ``<section>`` with escaped text.
        style: its CSS, which may use the page's colours.
    """

    html: str
    style: str


def render_html(result: BenchResult, dataset: Dataset | None = None, more: Section | None = None) -> str:
    """Return the page.

    Args:
        result: the benchmark result.
        dataset: source of the face images that the result lists; without it none is shown.
        more: further sections, e.g. the papers' claims.
    """
    bundles = [(bundle, [e for e in result.networks if e.bundle == bundle.title]) for bundle in result.bundles]
    return page.html(
        _TEMPLATE,
        result=result,
        summary=summarize(result),
        bundles=bundles,
        table=table,
        title=_title(result),
        more_style=more.style if more else "",
        more=Markup(more.html if more else ""),
        over_latency=charts.trade(result, charts.latency_cost, "latency, p50", "ms"),
        over_size=charts.trade(result, charts.size_cost, "engine size" if result.gpu else "file size", "MB"),
        fronts=[charts.on_front(result, cost) for cost in (charts.latency_cost, charts.size_cost)],
        swatches={name: _swatch(name) for name in ("fp32", "fp16", "int8")},
        strips=charts.strips(result),
        robustness=[charts.robustness(result, entries) for _, entries in bundles],
        throughput=[charts.throughput(result, entries) for _, entries in bundles],
        differences=[_differences(entries) for _, entries in bundles],
        numbered=len(result.networks) > charts.NAMED,
        unfolded=len(bundles) <= _OPEN,
        strengths=STRENGTHS,
        faces=_faces(result, dataset),
        protocol=protocol.describe_protocol(result),
        conditions=protocol.conditions(result),
        accuracy=html_tables.accuracy(result),
        cost=html_tables.cost(result),
        probes=html_tables.probes(result),
        across=html_tables.across(result),
    )


def _title(result: BenchResult) -> str:
    names = [bundle.title for bundle in result.bundles]
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} bundles"


def _swatch(precision: str) -> Markup:
    return Markup('<svg class="swatch" aria-hidden="true" viewBox="0 0 14 14">{}</svg>').format(
        charts.mark(precision, 7, 7)
    )


def _differences(entries: Sequence[NetworkEntry]) -> list[tuple[NetworkEntry, NetworkEntry, list[list[int]], int]]:
    """Return for each network other than FP32: itself, FP32, the difference of their matrices, its largest value."""
    found = []
    for entry in entries:
        full = next((each for each in entries if (each.precision, each.device) == ("fp32", entry.device)), None)
        if full is None or entry is full:
            continue
        change = [
            [new - old for new, old in zip(row, before, strict=True)]
            for row, before in zip(entry.confusion, full.confusion, strict=True)
        ]
        found.append((entry, full, change, max(1, *(abs(each) for row in change for each in row))))
    return found


def _faces(result: BenchResult, dataset: Dataset | None) -> list[tuple[mistakes.MistakenFace, str]]:
    """Return the faces that the result lists and the data set contains, with their images."""
    if dataset is None or not result.mistakes:
        return []
    try:
        rows = data.split(dataset, result.data.split)
    except InputError:
        return []
    found = zip(result.mistakes, mistakes.pictures(result.mistakes, rows), strict=True)
    whole = len(result.networks)  # a result from another machine may contain anything
    return [(each, picture) for each, picture in found if picture is not None and len(each.predictions) == whole]
