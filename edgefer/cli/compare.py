"""`edgefer compare A B`: two results as a table, and an exit code for CI."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Json, Markdown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgefer.bench.result import BenchResult
    from edgefer.compare.pairs import Compared, FigureChange, NetworkPair

_HEADERS = ("", "A", "B", "B against A", "95 % interval")
_NOISE = "may be noise"
_WIDTH = 100  # of a note in Markdown


def command(
    a: Annotated[Path, typer.Argument(metavar="A", help="Reference: a result.json or a bench's folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="New result.")],
    fail_if: Annotated[
        list[str] | None,
        typer.Option(metavar="COND", help="Exit with 1 if true for B: 'latency.p50 > 1.05x'. May be repeated."),
    ] = None,
    allow_different: Annotated[
        bool, typer.Option("--allow-different", help="Also compare across protocols, hardware or data, with a warning.")
    ] = False,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Compare two results: what changed, and what may be noise. Measures nothing."""
    from edgefer.bench.result_file import read
    from edgefer.cli import output
    from edgefer.cli.options import check_printed
    from edgefer.compare.conditions import parse
    from edgefer.compare.pairs import NamedResult
    from edgefer.compare.pairs import compare as comparing
    from edgefer.errors import GateFailed

    check_printed(markdown, as_json)
    parsed = [parse(text) for text in fail_if or []]
    old, new = (NamedResult(path, read(path)) for path in (a, b))
    compared = comparing(old, new, parsed, allow_different=allow_different)
    failed = None if compared.failure is None else GateFailed(compared.failure)
    if as_json:
        output.print_json({"command": "compare", **compared.model_dump(mode="json")}, failed)
        return
    if markdown:
        output.print_text("\n".join([*_markdown(compared, new.result), ""]))
    else:
        console = output.screen()
        for part in _tables(compared, new.result):
            console.print(part)
    if failed:
        raise failed


def _tables(compared: Compared, new: BenchResult) -> Iterator[RenderableType]:
    from rich.text import Text

    from edgefer.console import NOTE_STYLE
    from edgefer.lines import printable
    from edgefer.report import table

    if compared.differences:
        lines = [f"warning: {line}" for line in _differences(compared)]
        yield Text("\n".join(lines) + "\n", style=NOTE_STYLE)
    yield Text(printable(f"A, the reference: {compared.a.path}, {compared.a.created}"))
    yield Text(printable(f"B, the new one: {compared.b.path}, {compared.b.created}"))
    yield Text(f"{table.data_line(new)}\n{table.machine_line(new)}\n")
    for network in compared.networks:
        grid = table.grid(_title(network, compared), _HEADERS)
        for row in _rows(network):
            grid.add_row(*map(Text, row))
        yield grid
        yield Text()
    yield Text("\n".join([*_notes(compared), *filter(None, [compared.verdict])]))


def _markdown(compared: Compared, new: BenchResult) -> Iterator[str]:
    from edgefer.report import table
    from edgefer.report.markdown import code as _code

    yield f"### edgefer bench: B against A{_mark(compared)}"
    yield ""
    for letter, side in (("A", compared.a), ("B", compared.b)):
        yield f"- {letter}: {_code(side.path)}, {_code(side.created)}"
    yield f"- {_code(table.data_line(new))}"
    yield f"- {_code(table.machine_line(new))}"
    yield ""
    if compared.differences:
        yield "**Not comparable, compared anyway:**"
        yield ""
        yield from (f"- {_code(line)}" for line in _differences(compared))
        yield ""
    if compared.verdict:
        yield f"**{compared.verdict.capitalize()}.**"
        yield ""
        met = [each for each in compared.conditions if each.met]
        yield from (f"- {_code(each.condition)} is met by {_code(each.network)}" for each in met)
        yield from [""] * bool(met)
    yield f"| network | {' | '.join(_HEADERS)} |"
    yield f"| --- | --- |{' ---: |' * (len(_HEADERS) - 1)}"
    for network in compared.networks:
        for number, row in enumerate(_rows(network)):
            name = "" if number else f"{_code(network.network)}{' (same file)' if network.same_file else ''}"
            # rail names come from the device, so each first cell is code too
            yield f"| {name} | {_code(row[0])} | {' | '.join(row[1:])} |"
    yield ""
    yield "<details><summary>Caveats</summary>"
    yield ""
    yield "```text"
    for line in _notes(compared):
        yield from textwrap.wrap(line.replace("`", "'"), _WIDTH, subsequent_indent="    ")
    yield "```"
    yield ""
    yield "</details>"


def _title(network: NetworkPair, compared: Compared) -> str:
    return f"{network.network}{', the same file in both' if network.same_file else ''}{_mark(compared)}"


def _mark(compared: Compared) -> str:
    from edgefer.lines import mark

    return mark(compared.synthetic)


def _differences(compared: Compared) -> list[str]:
    return [f"A and B differ in {each}" for each in compared.differences]


def _notes(compared: Compared) -> list[str]:
    """Return the text under the tables."""
    lines = [f"only in A: {name}" for name in compared.only_in_a]
    lines += [f"only in B: {name}" for name in compared.only_in_b]
    lines += [f"note: {each}" for each in compared.software]
    return [*lines, *(f"note: {note}" for note in compared.notes)]


def _rows(network: NetworkPair) -> Iterator[tuple[str, str, str, str, str]]:
    """Return the rows of one network's table, without figures that neither result has."""
    changes = {each.metric: each for each in network.changes}
    for percentile in ("p50", "p90", "p95", "p99"):
        yield from _ratio(changes[f"latency.{percentile}"], f"{percentile}, ms", 1, 3)
    yield from _ratio(changes["with_preprocessing.p50"], "p50 from pixels, ms", 1, 3)
    noise, samples = changes["latency.coefficient_of_variation"], changes["latency.samples"]
    yield "CV, samples", f"{noise.a:.2f}, {samples.a:,}", f"{noise.b:.2f}, {samples.b:,}", "", ""
    yield from _points(changes["quality.accuracy"], "accuracy, %")
    yield from _points(changes["leak_free.accuracy"], "leak-free, %")
    for metric, change in changes.items():
        if metric.startswith("evaluations.") and metric.endswith(".accuracy"):
            yield from _points(change, f"{metric[len('evaluations.') : -len('.accuracy')].replace('.', ', ')}, %")
    score = changes["quality.macro_f1"]
    yield "macro F1", f"{score.a:.3f}", f"{score.b:.3f}", f"{score.difference:+.3f}", ""
    yield from _ratio(changes["file_bytes"], "file, MB", 1e-6, 2)
    yield from _ratio(changes["memory.peak"], "process peak, MB", 1e-6, 1)
    yield from _ratio(changes["gpu_memory.peak"], "GPU peak, MB", 1e-6, 1)
    yield from _ratio(changes["cold_start.median"], "cold start, s", 1, 3)
    for metric, change in changes.items():
        rail = metric.removeprefix("energy.rails.").removesuffix(".joules")
        if len(rail) == len(metric) - len("energy.rails..joules"):
            yield from _ratio(change, f"{rail}, mJ", 1e3, 3)


def _ratio(change: FigureChange, title: str, scale: float, digits: int) -> Iterator[tuple[str, str, str, str, str]]:
    if change.a is None and change.b is None:
        return
    a, b = ("none" if value is None else f"{scale * value:,.{digits}f}" for value in (change.a, change.b))
    interval = ""
    if change.interval:
        interval = f"{change.interval.low:.2f}x to {change.interval.high:.2f}x within runs"
    yield title, a, b, "" if change.ratio is None else f"{change.ratio:.2f}x", _marked(change, interval)


def _points(change: FigureChange, title: str) -> Iterator[tuple[str, str, str, str, str]]:
    if change.a is None and change.b is None:
        return
    a, b = ("none" if value is None else f"{100 * value:.2f}" for value in (change.a, change.b))
    interval = ""
    if change.interval:
        interval = f"{100 * change.interval.low:+.2f} to {100 * change.interval.high:+.2f}"
    changed = "" if change.difference is None else f"{100 * change.difference:+.2f} points"
    yield title, a, b, changed, _marked(change, interval)


def _marked(change: FigureChange, interval: str) -> str:
    return f"{interval}, {_NOISE}" if change.may_be_noise else interval
