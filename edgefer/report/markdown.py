"""Render a benchmark result as Markdown for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefer.bench.result import BenchResult
from edgefer.lines import printable
from edgefer.report import further, table
from edgefer.report.summary import summarize


def code(text: str) -> str:
    """Escape text for Markdown, so that untrusted text adds no link, mention, HTML or column."""
    return f"`{printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def render_markdown(result: BenchResult) -> str:
    """Return the recommendation, one row per network, F1 by class, and the protocol."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: BenchResult) -> Iterator[str]:
    found = summarize(result)
    yield f"### {table.marked(result, 'edgefer bench')}"
    yield ""
    yield f"- {code(table.data_line(result))}"
    yield f"- {code(table.machine_line(result))}"
    yield ""
    if found.chosen:
        yield f"**Deploy {code(table.name(result, found.entry))}**: {code(found.reason)}."
        yield ""
    headers = ["network", "accuracy, %", "95 % interval", "macro F1", "p50, ms", "p99, ms", "file, MB", "peak, MB"]
    on_gpu = any(entry.gpu_memory for entry in result.networks)
    headers += ["GPU peak, MB"] * on_gpu
    rows = []
    for entry in result.networks:
        quality = entry.quality
        rows.append(
            [
                code(table.name(result, entry)),
                f"{100 * quality.accuracy:.2f}",
                f"{100 * quality.low:.1f} to {100 * quality.high:.1f}",
                f"{quality.macro_f1:.3f}",
                table.milliseconds(entry.latency.p50),
                table.milliseconds(entry.latency.p99),
                f"{entry.file_bytes / 1e6:.2f}",
                "" if entry.memory is None else f"{entry.memory.peak / 1e6:.0f}",
                *["" if entry.gpu_memory is None else f"{entry.gpu_memory.peak / 1e6:.1f}"] * on_gpu,
            ]
        )
    yield from _table(headers, rows)
    yield ""
    for part in further.tables(result, lambda entry: table.name(result, entry)):
        yield from [f"**{table.marked(result, part.title)}**", ""]
        cells = [[code(title), *map(code, row[: part.words]), *row[part.words :]] for title, row in part.rows]
        yield from _table(["network", *map(_head, part.heads)], cells)
        yield ""
        yield from (f"- {code(line)}" for line in part.lines)
        yield from [""] * bool(part.lines)
    for probe in result.probes:
        yield from [f"{code(probe.title)}", ""]
        shown = [[code(title), *cells] for title, cells in table.probe_rows(result, probe)]
        yield from _table(["network", *(code(each.head) for each in probe.columns)], shown)
        yield ""
    yield from (f"- {code(table.comparison_line(result, each))}" for each in result.comparisons)
    yield from [""] * bool(result.comparisons)
    yield from (f"- note: {code(each)}" for each in result.warnings)
    yield from [""] * bool(result.warnings)
    yield from ["<details><summary>F1 by class, and the command to repeat it</summary>", ""]
    names = [code(table.name(result, entry)) for entry in result.networks]
    by_class = zip(*(entry.per_class for entry in result.networks), strict=True)
    classes = [[code(row[0].label), f"{row[0].images:,}", *(f"{each.f1:.3f}" for each in row)] for row in by_class]
    yield from _table(["class", "images", *names], classes)
    yield from ["", f"{code(result.repeat)}", "", "</details>"]


def _head(text: str) -> str:
    """Return an escaped column heading; class names are untrusted."""
    return text if text.isascii() and text.replace(" ", "").replace(",", "").replace("%", "").isalnum() else code(text)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headers)} |"
    yield f"| --- |{' ---: |' * (len(headers) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
