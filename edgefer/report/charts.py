"""Charts of the benchmark report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgefer.bench.result import BenchResult, NetworkEntry
from edgefer.evaluation.corruptions import STRENGTHS
from edgefer.lines import counted
from edgefer.pages import svg
from edgefer.pages.svg import Markup, Scale
from edgefer.report import table
from edgefer.report.pareto import front

NAMED = 6  # up to this many points carry their name; beyond it, the number of their table row

_LOG_FROM = 8.0  # an axis is logarithmic if largest / smallest exceeds this
_BINS = 120  # of a latency histogram
_SHAPES: dict[str, svg.Shape] = {"fp32": "circle", "fp16": "diamond", "int8": "square"}


@dataclass(frozen=True)
class Strip:
    """The distribution of one network's latency.

    Attributes:
        entry: the network.
        chart: latency histogram with interquartile range, median and 99th percentile.
    """

    entry: NetworkEntry
    chart: Markup


@dataclass(frozen=True)
class Strips:
    """Latency distributions on one axis.

    Attributes:
        strips: one per network with quantiles.
        ticks: label in milliseconds, position in percent of the width.
        log: whether the axis is logarithmic.
    """

    strips: list[Strip]
    ticks: list[tuple[str, float]]
    log: bool


def mark(precision: str, x: float, y: float, size: float = 5, class_: str = "") -> Markup:
    """Return a network's marker; precisions differ in shape as well as in colour."""
    return svg.mark(_SHAPES[precision], x, y, size, f"{precision} {class_}".strip())


def latency_cost(entry: NetworkEntry) -> float:
    """Return the median latency in milliseconds."""
    return entry.latency.p50


def size_cost(entry: NetworkEntry) -> float:
    """Return the size in MB, of the engine if there is one, else of the file."""
    return (entry.engine_bytes or entry.file_bytes) / 1e6


def on_front(result: BenchResult, cost: Callable[[NetworkEntry], float]) -> list[int]:
    """Return the indices of networks on the Pareto front of accuracy and cost, cheapest first."""
    costs = [cost(entry) for entry in result.networks]
    return front(costs, [entry.quality.accuracy for entry in result.networks])


def trade(result: BenchResult, cost: Callable[[NetworkEntry], float], title: str, unit: str) -> Markup:
    """Plot accuracy over a cost, with the Pareto front.

    Args:
        result: one point per network.
        cost: returns a network's cost.
        title: name of the cost.
        unit: unit of the cost.
    """
    entries = result.networks
    costs = [cost(entry) for entry in entries]
    best = on_front(result, cost)
    x, y = _cost_scale(costs, 46, 428), _accuracy_scale(entries, 270, 26)
    places = [(x(each), y(100 * entry.quality.accuracy)) for each, entry in zip(costs, entries, strict=True)]
    steps = [places[best[0]]]
    for place in best[1:]:
        steps += [(places[place][0], steps[-1][1]), places[place]]
    shapes = [
        svg.axes(x, y, f"{title}, {unit}{', logarithmic' if x.log else ''}", "accuracy, %"),
        svg.line([*steps, (x.end, steps[-1][1])], "front"),
    ]
    for place, (entry, each, (across, down)) in enumerate(zip(entries, costs, places, strict=True)):
        said = _said(result, entry, f"{each:.3g} {unit}")
        bar = svg.element(
            "line",
            x1=across,
            x2=across,
            y1=y(100 * entry.quality.low),
            y2=y(100 * entry.quality.high),
            class_=f"bar {entry.precision}",
        )
        point = mark(entry.precision, across, down, class_="" if place in best else "beaten")
        also = "; no other network is as accurate at this cost" if place in best else ""
        shapes.append(svg.element("g", svg.element("title", said + also), bar, point, class_="tip"))
    names = [
        table.name(result, entry) if len(entries) <= NAMED else str(place + 1) for place, entry in enumerate(entries)
    ]
    shapes += _labels(names, places, (x.start, x.end, y.end, y.start))
    said = "; ".join(_said(result, entry, f"{each:.3g} {unit}") for entry, each in zip(entries, costs, strict=True))
    leaders = ", ".join(table.name(result, entries[place]) for place in best)
    return svg.chart(
        440, 310, table.marked(result, f"Accuracy over {title}. {said}. On the Pareto front: {leaders}"), *shapes
    )


def _said(result: BenchResult, entry: NetworkEntry, cost: str) -> str:
    quality = entry.quality
    return (
        f"{table.name(result, entry)}: {100 * quality.accuracy:.2f} % "
        f"({100 * quality.low:.1f} to {100 * quality.high:.1f}) at {cost}"
    )


def _cost_scale(costs: Sequence[float], start: float, end: float) -> Scale:
    least, most = min(costs), max(costs)
    if most > _LOG_FROM * least > 0:
        return Scale(least / 1.25, most * 1.25, start, end, log=True)
    return Scale(0.0, most * 1.12, start, end)


def _accuracy_scale(entries: Sequence[NetworkEntry], start: float, end: float) -> Scale:
    low = 100 * min(entry.quality.low for entry in entries)
    high = 100 * max(entry.quality.high for entry in entries)
    room = max(0.06 * (high - low), 0.2)
    return Scale(max(0.0, low - room), min(100.0, high + room), start, end)


def _labels(
    names: Sequence[str], places: Sequence[tuple[float, float]], inside: tuple[float, float, float, float]
) -> list[Markup]:
    """Label each point where the label covers no other point or label, if possible."""
    left, right, top, bottom = inside
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    found = []
    for name, (x, y) in zip(names, places, strict=True):
        name = name if len(name) <= 30 else f"{name[:29]}…"
        width, height = svg.width_of(name), 11
        spots = [(x + dx, y + dy) for dy in (-5, 14, 4, -17, 26) for dx in (8, -8 - width, -width / 2)]
        boxes = [(a, b - height, a + width, b + 2) for a, b in spots]

        def hidden(box: tuple[float, float, float, float]) -> float:
            out = box[0] < left or box[2] > right + 10 or box[1] < top - 12 or box[3] > bottom
            return 1e6 * out + sum(_overlap(box, other) for other in taken)

        chosen = min(boxes, key=hidden)
        taken.append(chosen)
        found.append(svg.text(chosen[0], chosen[3] - 2, name, "name", "start"))
    return found


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def strips(result: BenchResult) -> Strips | None:
    """Plot latency distributions; None if no network has quantiles.

    The axis ends at the largest 99th percentile; the slowest 1 % is stated in text.
    """
    # A result from another machine may contain invalid quantiles.
    measured = [entry for entry in result.networks if len(entry.quantiles) == 101 and entry.quantiles[0] > 0]
    if not measured:
        return None
    low = min(entry.quantiles[0] for entry in measured)
    high = max(entry.quantiles[99] for entry in measured)
    log = high > _LOG_FROM * low
    axis = Scale(low / 1.06, high * 1.06, 0, 100, log) if log else Scale(0.0, high * 1.04, 0, 100)
    return Strips(
        [Strip(entry, _strip(result, entry, axis)) for entry in measured],
        [(svg.number(value), axis(value)) for value in axis.ticks(7)],
        log,
    )


def _strip(result: BenchResult, entry: NetworkEntry, axis: Scale) -> Markup:
    values = entry.quantiles
    height, floor = 24.0, 26.0
    edges = np.linspace(axis.start, axis.end, _BINS + 1)
    # Number of samples below each edge, interpolated linearly between quantiles.
    below = np.interp(edges, [axis(max(value, axis.low)) for value in values], np.arange(101) / 100)
    counts = np.diff(below)
    tops = floor - height * counts / counts.max()
    outline = [(edges[0], floor)]
    for (left, right), top in zip(pairwise(edges), tops, strict=True):
        outline += [(left, top), (right, top)]
    outline.append((edges[-1], floor))
    middle = svg.element(
        "rect", x=axis(values[25]), width=max(0.3, axis(values[75]) - axis(values[25])), y=27, height=4, class_="half"
    )
    ends = svg.element(
        "rect", x=axis(values[1]), width=axis(values[99]) - axis(values[1]), y=28.5, height=1, class_="most"
    )
    median = svg.element("line", x1=axis(values[50]), x2=axis(values[50]), y1=2, y2=32, class_="median")
    said = (
        f"{table.name(result, entry)}: half of {entry.latency.samples:,} inferences took "
        f"{values[25]:.3f} to {values[75]:.3f} ms, 98 % of them {values[1]:.3f} to {values[99]:.3f} ms, "
        f"the median {values[50]:.3f} ms, the slowest {entry.latency.slowest:.3f} ms"
    )
    path = "M" + " L".join(f"{x:.2f},{y:.2f}" for x, y in outline) + "Z"
    return Markup(
        '<svg role="img" aria-label="{}" viewBox="0 0 100 32" preserveAspectRatio="none" class="{}">'
        '<g class="tip">{}</g></svg>'
    ).format(
        table.marked(result, said),
        entry.precision,
        Markup("").join([svg.element("title", said), svg.element("path", d=path), ends, middle, median]),
    )


@dataclass(frozen=True)
class Small:
    """One of several small charts side by side.

    Attributes:
        title: above it.
        chart: the picture.
    """

    title: str
    chart: Markup


def robustness(result: BenchResult, entries: Sequence[NetworkEntry]) -> list[Small]:
    """Plot accuracy over strength for each corruption, one line per network; empty if none was measured."""
    worse = [(entry, entry.robustness) for entry in entries if entry.robustness]
    if not worse:
        return []
    most = 100 * max(max(each.clean, *each.accuracy[kind]) for _, each in worse for kind in each.accuracy)
    x, y = Scale(0, STRENGTHS[-1], 32, 190), Scale(0, max(1.0, most * 1.05), 118, 14)
    found = []
    for kind in worse[0][1].accuracy:
        shapes = [svg.axes(x, y, "", "", (0, *STRENGTHS))]
        said = []
        for entry, each in worse:
            values = [100 * value for value in (each.clean, *each.accuracy[kind])]
            said.append(f"{entry.network}: {', '.join(f'{value:.1f}' for value in values)}")
            shapes += _curve(
                entry,
                [x(strength) for strength in (0, *STRENGTHS)],
                [y(value) for value in values],
                [f"{entry.network}, {kind} {at}: {value:.1f} %" for at, value in enumerate(values)],
            )
        words = f"Accuracy with {kind}, strength 0 to 5, in percent. {'; '.join(said)}"
        found.append(Small(kind, svg.chart(200, 138, table.marked(result, words), *shapes)))
    return found


def throughput(result: BenchResult, entries: Sequence[NetworkEntry]) -> list[Small]:
    """Plot images per second over batch size, one chart per thread count; empty if none was measured."""
    measured = [entry for entry in entries if entry.throughput]
    if not measured:
        return []
    points = [point for entry in measured for point in entry.throughput]
    batches = sorted({point.batch for point in points})
    y = Scale(0, max(point.fastest for point in points) * 1.05, 150, 24)
    x = Scale(-0.2, len(batches) - 0.8, 52, 290)  # batch sizes double
    found = []
    for threads in sorted({point.threads for point in points}):
        title = counted(threads, "thread")
        shapes = [_batch_axis(x, y, batches)]
        said = []
        for entry in measured:
            own = [point for point in entry.throughput if point.threads == threads]
            said.append(f"{entry.network}: {', '.join(f'{p.batch}: {p.images_per_second:,.0f}' for p in own)}")
            shapes += _curve(
                entry,
                [x(batches.index(point.batch)) for point in own],
                [y(point.images_per_second) for point in own],
                [
                    f"{entry.network}, batch {point.batch}, {title}: {point.images_per_second:,.0f} images/s "
                    f"({point.slowest:,.0f} to {point.fastest:,.0f}), "
                    f"{1e3 * point.batch / point.images_per_second:.3g} ms per batch"
                    for point in own
                ],
            )
        words = f"Images a second by batch, {title}. {'; '.join(said)}"
        found.append(Small(title, svg.chart(300, 190, table.marked(result, words), *shapes)))
    return found


def _batch_axis(x: Scale, y: Scale, batches: Sequence[int]) -> Markup:
    numbers = [svg.text(x(place), y.start + 15, str(batch)) for place, batch in enumerate(batches)]
    return Markup("").join([svg.axes(x, y, "batch", "images/s", ()), *numbers])


def _curve(entry: NetworkEntry, xs: Sequence[float], ys: Sequence[float], said: Sequence[str]) -> list[Markup]:
    points = [
        svg.element("g", svg.element("title", words), mark(entry.precision, x, y, 2.6), class_="tip")
        for x, y, words in zip(xs, ys, said, strict=True)
    ]
    return [svg.line(zip(xs, ys, strict=True), f"curve {entry.precision}"), *points]
