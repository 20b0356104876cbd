"""Render a search as one self-contained HTML file (extra `report`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgefer import paths
from edgefer.lines import counted, mark
from edgefer.pages import page, svg
from edgefer.pages.svg import Markup, Scale
from edgefer.report.pareto import front
from edgefer.search.halving import LEAST
from edgefer.search.result import PAGE_FILE, SearchResult, TrialRow

_TEMPLATE = Path(__file__).with_name("search.html.j2")
_TITLES = {"accuracy": "INT8 accuracy", "latency": "INT8 latency", "bytes": "INT8 file"}
_FEW = 30  # with fewer measured trials, importances are unreliable


def write(found: SearchResult, folder: Path) -> Path:
    """Write ``search.html`` and return its path."""
    file = folder / PAGE_FILE
    with paths.write_atomically(file) as part:
        part.write_text(html(found), encoding="utf-8")
    return file


def html(found: SearchResult) -> str:
    """Return the page."""
    return page.html(
        _TEMPLATE,
        found=found,
        kinds=[(kind, sum(each.kind == kind for each in found.trials)) for kind in _kinds(found)],
        charts=[
            ("latency", _chart(found, lambda each: each.latency or 0.0, "latency, ms")),
            ("size", _chart(found, lambda each: (each.bytes or 0) / 1e3, "file, kB")),
        ],
        key={name: _swatch(*look) for name, look in _KEY.items()},
        importances=[(_TITLES[name], shares) for name, shares in found.importances.items()],
        notes=_notes(found),
        least=LEAST,
        ordered=[*found.front, *(each for each in found.trials if not each.on_front)],
    )


_KEY: dict[str, tuple[svg.Shape, str]] = {
    "on the front": ("circle", ""),
    "beaten": ("circle", "beaten"),
    "the recipe as it is": ("diamond", "whole"),
}


def _kinds(found: SearchResult) -> list[str]:
    return list(dict.fromkeys(each.kind for each in found.trials))


def _swatch(shape: svg.Shape, class_: str) -> Markup:
    return Markup('<svg class="swatch" aria-hidden="true" viewBox="0 0 14 14">{}</svg>').format(
        svg.mark(shape, 7, 7, 5, class_)
    )


def _chart(found: SearchResult, cost: Callable[[TrialRow], float], title: str) -> Markup:
    """Plot accuracy over a cost; filled points are on the front of all three objectives."""
    rows = found.measured
    costs, values = [cost(each) for each in rows], [100 * (each.accuracy or 0) for each in rows]
    x, y = Scale(0.0, max(costs) * 1.12, 46, 428), _around(values)
    places = [(x(one), y(other)) for one, other in zip(costs, values, strict=True)]
    best = front(costs, values)
    steps = [places[best[0]]]
    for place in best[1:]:
        steps += [(places[place][0], steps[-1][1]), places[place]]
    shapes = [svg.axes(x, y, title, "accuracy, %"), svg.line([*steps, (x.end, steps[-1][1])], "front")]
    said = []
    for each, (across, down) in zip(rows, places, strict=True):
        words = f"trial {each.number}: {100 * (each.accuracy or 0):.2f} %, {each.latency:.3f} ms, {each.bytes:,} bytes"
        also = f"{', the recipe as it is' if each.as_it_is else ''}{', on the front' if each.on_front else ''}"
        class_ = f"{'whole ' if each.as_it_is else ''}{'' if each.on_front else 'beaten'}".strip()
        point = svg.mark("diamond" if each.as_it_is else "circle", across, down, class_=class_)
        shapes.append(svg.element("g", svg.element("title", words + also), point, class_="tip"))
        shapes.append(svg.text(across + 7, down + 4, str(each.number), "tick", "start"))
        said.append(words + also)
    return svg.chart(440, 310, f"Accuracy over {title}{mark(found.synthetic)}. {'; '.join(said)}", *shapes)


def _around(values: list[float]) -> Scale:
    room = max(0.06 * (max(values) - min(values)), 0.2)
    return Scale(max(0.0, min(values) - room), min(100.0, max(values) + room), 270, 26)


def _notes(found: SearchResult) -> list[str]:
    """Return the caveats, shown before anything else."""
    notes = [
        "INT8 is calibrated here, not fine-tuned. Fine-tuning gains most where calibration loses much, so the order "
        "may change.",
        f"The {found.images:,} validation images chose the epochs and the trials, so their figures flatter the best: "
        "bench the network that you take.",
    ]
    cpus = sorted({each.cpu for each in found.measured if each.cpu})
    if len(cpus) > 1:
        notes.append(f"Latencies are of {len(cpus)} kinds of CPU ({', '.join(cpus)}), so they don't compare.")
    if found.importances and len(found.measured) < _FEW:
        notes.append(f"The importances rest on {counted(len(found.measured), 'trial')}: read them as a hint.")
    if found.unfinished:
        notes.append(f"The search is not over: {counted(found.unfinished, 'trial')} more to come.")
    return notes
