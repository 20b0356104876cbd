"""Render a benchmark result as tables for an 80-column terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefer.bench.result import (
    BenchResult,
    BundleEntry,
    Comparison,
    NetworkEntry,
    Probed,
    Recommendation,
    TestData,
    devices,
)
from edgefer.console import NOTE_STYLE
from edgefer.evaluation.timing import NOISY
from edgefer.lines import counted, mark
from edgefer.report import further
from edgefer.report.figure_table import FigureTable

_SIDE_BY_SIDE = 2  # networks per per-class table
_OFTEN_WRONG = 0.2  # share of a class from which a confusion is highlighted


def tables(result: BenchResult) -> Group:
    """Return all tables, for `rich.console.Console.print`."""
    parts: list[RenderableType] = [_heading(result), _quality(result), _latency(result), _cost(result)]
    for each in further.tables(result, lambda entry: name(result, entry), by_class=False):
        parts += [_figure_table(result, each), *(Text(line) for line in each.lines)]
    if any(entry.energy for entry in result.networks):
        parts.append(_energy(result))
    if any(entry.throughput for entry in result.networks):
        parts.append(_throughput(result))
    if any(entry.robustness for entry in result.networks):
        parts.append(_robustness(result))
        parts += [Text(line) for entry in result.networks if (line := robustness_line(result, entry))]
    parts += [_probed(result, each) for each in result.probes]
    parts += [Text(comparison_line(result, each)) for each in result.comparisons]
    parts += [Text(recommendation_line(result, each), style="bold") for each in result.recommendations]
    for bundle in result.bundles:
        networks = iter([entry for entry in result.networks if entry.bundle == bundle.title])
        while few := list(islice(networks, _SIDE_BY_SIDE)):
            parts.append(_per_class(result, few))
    parts += [_confusion(result, entry) for entry in result.networks]
    parts += [Text("\n".join(f"note: {warning}" for warning in result.warnings), style=NOTE_STYLE)]
    return Group(*(line for part in parts for line in (part, Text())))


class Shown(Protocol):
    """What measurements and projections share: the images and the bundles."""

    @property
    def data(self) -> TestData:
        """The images used for accuracy."""

    @property
    def bundles(self) -> list[BundleEntry]:
        """The bundles, each with a title."""


class NamedNetwork(Protocol):
    """A network of one of the bundles."""

    @property
    def bundle(self) -> str:
        """Title of the bundle."""

    @property
    def network(self) -> str:
        """Name within the bundle."""


def marked(result: Shown, text: str) -> str:
    """Mark `text` if the figures come from synthetic faces."""
    return text + mark(result.data.synthetic)


def name(result: Shown, entry: NamedNetwork) -> str:
    """Return a network's name, with bundle and device if there are several."""
    of_bundle = "" if len(result.bundles) == 1 else f"{entry.bundle} "
    return f"{of_bundle}{entry.network}{_on(result, entry)}"


def _on(result: Shown, entry: NamedNetwork) -> str:
    several = isinstance(result, BenchResult) and len(devices(result)) > 1
    return f" on {getattr(entry, 'device', None) or ''}".rstrip() if several else ""


def probe_rows(result: BenchResult, probe: Probed) -> list[tuple[str, list[str]]]:
    """Return the rows of a probe's table: the network's name, and one cell per column."""
    found = []
    for entry in result.networks:
        values = entry.probes.get(probe.name, {})
        cells = [values.get(each.key) for each in probe.columns]
        shown = [
            "" if value is None else f"{value * each.scale:,.{min(9, max(0, each.digits))}f}"
            for each, value in zip(probe.columns, cells, strict=True)
        ]
        if any(shown):
            found.append((name(result, entry), shown))
    return found


def data_line(result: Shown) -> str:
    """Describe the images in one line."""
    data = result.data
    clean = "" if data.leak_free_images is None else f", {data.leak_free_images:,} of them not in its training split"
    how = f"; {data.division.sentence}" if data.division else ""
    return f"{data.name}, {data.split}: {data.images:,} images{clean}{how}"


def machine_line(result: BenchResult) -> str:
    """Describe machine and runtimes in one line."""
    machine, threads = result.machine, result.protocol.threads
    here = f"{machine.cpu}, {counted(machine.cores, 'core')}{', virtual' if machine.virtual else ''}"
    runtime = ", ".join(dict.fromkeys(entry.runtime.partition(",")[0] for entry in result.networks))
    if result.gpu is None:
        return f"{here}; {runtime}, {counted(threads, 'thread')}"
    gpu, state = result.gpu, result.conditions
    board = "" if state.jetson_before is None else f"{state.jetson_before.model}, "
    system = "" if state.jetson_before is None else f", JetPack {state.jetson_before.jetpack or 'unknown'}"
    driver = "" if state.gpu_before is None else f", driver {state.gpu_before.driver}"
    mode = "" if state.jetson_before is None else f", power mode {state.jetson_before.power_mode or 'unknown'}"
    return f"{board}{gpu.name} (SM {gpu.compute}); {runtime}, CUDA {gpu.cuda}{system}{driver}{mode}"


def recommendation_line(result: BenchResult, each: Recommendation) -> str:
    """Describe the network to deploy and the reason in one line."""
    of_bundle = "" if len(result.bundles) == 1 else f" of {each.bundle}"
    return f"deploy {each.network}{of_bundle}{_on(result, each)}: {each.reason}{mark(result.data.synthetic)}"


def comparison_line(result: BenchResult, each: Comparison) -> str:
    """Compare a network with FP32 in one line."""
    return (
        f"{name(result, each)} against {each.against}: {each.latency.estimate:.2f} x the latency "
        f"({each.latency.low:.2f} to {each.latency.high:.2f}), {each.file_bytes:.2f} x the file, "
        f"accuracy {100 * each.accuracy:+.2f} points{mark(result.data.synthetic)}, "
        f"{100 * each.agreement:.1f} % predicted alike"
    )


def robustness_line(result: BenchResult, entry: NetworkEntry) -> str:
    """Compare a network with its bundle's FP32 network under corruptions, in one line; empty if not measured."""
    like = (entry.bundle, entry.device, "fp32")
    full = next((each for each in result.networks if (each.bundle, each.device, each.precision) == like), entry)
    own, other = entry.robustness, full.robustness
    if entry is full or own is None or other is None or own.accuracy.keys() != other.accuracy.keys():
        return ""
    changes = {
        f"{kind} {strength}": 100 * (value - before)
        for kind, values in own.accuracy.items()
        for strength, (value, before) in enumerate(zip(values, other.accuracy[kind], strict=False), 1)
    }
    worst = min(changes, key=lambda name: changes[name])
    return (
        f"{name(result, entry)} minus {full.network} under corruptions: {100 * (own.mean - other.mean):+.2f} points on "
        f"average of {len(changes)}, {changes[worst]:+.1f} at worst ({worst})"
    )


def bundle_line(bundle: BundleEntry) -> str:
    """Describe a bundle in one line."""
    spec = bundle.preprocessing
    macs = "-" if bundle.macs is None else f"{bundle.macs / 1e6:,.1f} M"
    return (
        f"{bundle.title}: {bundle.parameters:,} parameters, {macs} multiply-accumulates, "
        f"{spec.size} x {spec.size} {spec.color}"
    )


def _heading(result: BenchResult) -> Text:
    return Text("\n".join([data_line(result), machine_line(result), *map(bundle_line, result.bundles)]))


def grid(title: str, headers: Sequence[str]) -> Table:
    """Return an empty table with names in the first column and figures in the others."""
    # Text, not str: labels must not be parsed as markup.
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1),
    )
    table.add_column(Text(headers[0]), overflow="fold")
    for header in headers[1:]:
        table.add_column(Text(header), justify="right", overflow="fold")
    return table


def _quality(result: BenchResult) -> Table:
    headers = (
        "network",
        "accuracy\n%",
        "95 %\ninterval",
        "leak-free\n%",
        "macro\nF1",
        "weighted\nF1",
        "calib.\nerror",
    )
    among = any(entry.shared for entry in result.networks)
    table = grid(marked(result, "Accuracy"), [*headers, *["shared\n%"] * among])
    table.columns[2].no_wrap = True  # so that names wrap between words in 80 columns
    for entry in result.networks:
        quality = entry.quality
        table.add_row(
            Text(name(result, entry)),
            f"{100 * quality.accuracy:.2f}",
            f"{100 * quality.low:.1f} to {100 * quality.high:.1f}",
            "" if entry.leak_free is None else f"{100 * entry.leak_free.accuracy:.2f}",
            f"{quality.macro_f1:.3f}",
            f"{quality.weighted_f1:.3f}",
            f"{quality.calibration_error:.3f}",
            *[f"{100 * entry.shared.accuracy:.2f}" if entry.shared else ""] * among,
        )
    return table


def _latency(result: BenchResult) -> Table:
    headers = ["network", "p50\nms", "p90\nms", "p95\nms", "p99\nms", "CV"]
    whole = any(entry.with_preprocessing for entry in result.networks)
    table = grid(marked(result, "Latency at batch 1"), [*headers, *["p50 from\npixels ms"] * whole])
    for entry in result.networks:
        latency, from_pixels = entry.latency, entry.with_preprocessing
        noisy = latency.coefficient_of_variation > NOISY
        table.add_row(
            Text(name(result, entry)),
            *(milliseconds(value) for value in (latency.p50, latency.p90, latency.p95, latency.p99)),
            Text(f"{latency.coefficient_of_variation:.2f}{' noisy' * noisy}", style=NOTE_STYLE * noisy),
            *[milliseconds(from_pixels.p50 if from_pixels else None)] * whole,
        )
    return table


def _cost(result: BenchResult) -> Table:
    """Columns that do not apply are omitted: a CPU has no engine and no memory of its own."""
    gpu = result.gpu is not None
    columns = [("file\nMB", [megabytes(entry.file_bytes, 2) for entry in result.networks])]
    if gpu:
        columns.append(("engine\nMB", [megabytes(entry.engine_bytes, 2) for entry in result.networks]))
    for head, field in (("process\nsteady MB", "steady"), ("process\npeak MB", "peak")):
        columns.append((head, [megabytes(getattr(entry.memory, field, None)) for entry in result.networks]))
    if gpu:
        for head, field in (("GPU\nsteady MB", "steady"), ("GPU\npeak MB", "peak")):
            columns.append((head, [megabytes(getattr(entry.gpu_memory, field, None), 1) for entry in result.networks]))
    else:
        own = [None if each.memory is None else each.memory.peak - each.memory.baseline for each in result.networks]
        columns.append(("of it the\nnetwork", [megabytes(each) for each in own]))
    started = [f"{each.cold_start.median:.2f}" if each.cold_start else "" for each in result.networks]
    columns.append(("cold\nstart s", started))
    known = [(head, cells) for head, cells in columns if any(cells)]
    table = grid(marked(result, "Size, memory, cold start"), ["network", *(head for head, _ in known)])
    for entry, *cells in zip(result.networks, *(cells for _, cells in known), strict=True):
        table.add_row(Text(name(result, entry)), *cells)
    return table


def megabytes(size: int | None, digits: int = 0) -> str:
    """Return a size in MB (10^6 bytes); empty if unknown."""
    return "" if size is None else f"{size / 1e6:.{digits}f}"


def _throughput(result: BenchResult) -> Table:
    measured = [entry for entry in result.networks if entry.throughput]
    batches = sorted({point.batch for point in measured[0].throughput})
    table = grid(marked(result, "Images a second, by batch"), ["network", "threads", *map(str, batches)])
    for entry in measured:
        for threads in sorted({point.threads for point in entry.throughput}):
            rates = [point.images_per_second for point in entry.throughput if point.threads == threads]
            table.add_row(Text(name(result, entry)), str(threads), *(f"{rate:,.0f}" for rate in rates))
    return table


def _robustness(result: BenchResult) -> Table:
    """Means over five strengths; the report and the JSON have each strength."""
    worse = [(entry, entry.robustness) for entry in result.networks if entry.robustness]
    kinds = list(worse[0][1].accuracy)
    title = f"Accuracy under corruptions, %, mean of five strengths ({worse[0][1].images:,} images)"
    table = grid(marked(result, title), ["network", "as they\nare", *(kind.replace(" ", "\n") for kind in kinds)])
    for entry, each in worse:
        means = [f"{100 * sum(each.accuracy[kind]) / len(each.accuracy[kind]):.1f}" for kind in kinds]
        table.add_row(Text(name(result, entry)), f"{100 * each.clean:.1f}", *means)
    return table


def _energy(result: BenchResult) -> Table:
    """Rails may overlap (VDD_IN feeds the others), so they are not summed."""
    table = grid(
        marked(result, energy_title(result)),
        ("network", "rail", "idle\nW", "running\nW", "one inference\nmJ"),
    )
    for entry in result.networks:
        for rail, each in entry.energy.rails.items() if entry.energy else ():
            cells = (f"{each.idle_watts:.2f}", f"{each.watts:.2f}", f"{1e3 * each.joules:.3f}")
            table.add_row(Text(name(result, entry)), Text(rail), *cells)
    return table


def energy_title(result: BenchResult) -> str:
    """Return the title of the energy table, with the sensors."""
    sensors = dict.fromkeys(entry.energy.sensor for entry in result.networks if entry.energy and entry.energy.sensor)
    of = f" ({', '.join(sensors)})" if sensors else ""
    return f"Energy by {'domain' if 'RAPL' in sensors else 'power rail'}{of}, one network alone, batch 1"


def _probed(result: BenchResult, probe: Probed) -> Table:
    table = grid(marked(result, probe.title), ["network", *(each.head.replace(", ", "\n") for each in probe.columns)])
    for title, cells in probe_rows(result, probe):
        table.add_row(Text(title), *cells)
    return table


def _figure_table(result: BenchResult, each: FigureTable) -> Table:
    table = grid(marked(result, each.title), ["network", *(head.replace(", ", "\n") for head in each.heads)])
    for column in table.columns[1 : each.words + 1]:
        column.justify = "left"
    for title, cells in each.rows:
        table.add_row(Text(title), *map(Text, cells))
    return table


def milliseconds(value: float | None) -> str:
    """Return a latency rounded to its useful digits; empty if unknown."""
    return "" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _per_class(result: BenchResult, entries: Sequence[NetworkEntry]) -> Table:
    headers = ["class", "images"]
    for entry in entries:
        headers += [f"{name(result, entry)}\n{what}" for what in ("precision", "recall", "F1")]
    table = grid(marked(result, "Per class"), headers)
    for rows in zip(*(entry.per_class for entry in entries), strict=True):
        cells = [f"{value:.3f}" for row in rows for value in (row.precision, row.recall, row.f1)]
        table.add_row(Text(rows[0].label), f"{rows[0].images:,}", *cells)
    return table


def _confusion(result: BenchResult, entry: NetworkEntry) -> Table:
    title = f"{name(result, entry)}: % of each class (row) predicted as (column)"
    table = grid(marked(result, title), ["", *result.data.classes])
    for place, (label, counts) in enumerate(zip(result.data.classes, entry.confusion, strict=True)):
        total = sum(counts)
        cells = []
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            style = "bold" if column == place else NOTE_STYLE if share >= _OFTEN_WRONG else ""
            cells.append(Text(f"{100 * share:.1f}" if total else "", style=style))
        table.add_row(Text(label), *cells)
    return table
