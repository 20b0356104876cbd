"""The ledger for a terminal of 80 columns: by document, each claim with its verdict and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgefer.bench.table import grid
from edgefer.claims.result import VERDICTS, Entry, Result

STYLES = {"holds": "green", "contradicted": "bold red", "not comparable": "yellow", "not run": ""}


def tables(result: Result) -> Group:
    """Return everything, the summary last: it is what stands on the screen in the end."""
    parts: list[RenderableType] = []
    for document in result.documents:
        entries = [entry for entry in result.entries if entry.document == document.document]
        parts += [Text(document.title, style="bold"), *_entries(entries)]
        parts += [
            Text(reading.says, style="yellow") for reading in result.readings if reading.document == document.document
        ]
        parts.append(Text())
    parts += [_summary(result), Text(), Text(summary_line(result))]
    parts += [Text(f"note: {note}", style="yellow") for note in result.notes]
    return Group(*parts)


def verdict(entry: Entry) -> str:
    """Return a verdict as a person reads it, with what lacks: ``not run: needs weights``."""
    return f"{entry.verdict}: needs {entry.lacks}" if entry.lacks else entry.verdict


def summary_line(result: Result) -> str:
    """Return what the ledger has and how far it is decided, in a line."""
    counts = ", ".join(f"{result.verdicts[each]} {each.replace('holds', 'hold')}" for each in VERDICTS)
    alone = sum(document.holds_by_arithmetic for document in result.documents)
    return (
        f"{result.claims} claims in {result.places} places: {counts}. Of those that hold, {alone} do by the "
        "document's own numbers alone: they fit together, which does not say that anyone measured them."
    )


def _entries(entries: Sequence[Entry]) -> Iterator[RenderableType]:
    """Yield a line for each claim, and under those in a row that share it the reason."""
    for _, group in groupby(
        entries, key=lambda entry: (entry.verdict, entry.lacks, entry.reason, entry.needs, entry.command)
    ):
        same = list(group)
        for entry in same:
            yield _line(entry)
        yield Padding(Text(reason(same[0]), style="dim"), (0, 0, 0, 4))


def reason(entry: Entry) -> str:
    """Return why a claim has its verdict, and where it is open what would decide it."""
    if not entry.needs:
        return entry.reason
    return f"{entry.reason} To decide it: {entry.needs}; {entry.command}"


def _line(entry: Entry) -> Table:
    line = Table.grid(padding=(0, 1), expand=False)
    for width, side in ((30, "left"), (12, "right"), (13, "right"), (22, "left")):
        line.add_column(width=width, justify=side, overflow="fold")  # type: ignore[arg-type]
    own = entry.id.partition(".")[2]
    cells = (own, entry.claimed, entry.found)
    line.add_row(*map(Text, cells), Text(verdict(entry), style=STYLES[entry.verdict]))
    return line


def conditions(entry: Entry) -> str:
    """Return what a figure was got under, in a line."""
    said = entry.conditions
    named = {
        "": None if said.classes is None else f"{said.classes} classes",
        "split": said.split,
        "network": said.network,
        "pretraining": said.pretraining,
        "hardware": said.hardware,
    }
    return "; ".join(f"{name}: {value}" if name else value for name, value in named.items() if value)


def _summary(result: Result) -> Table:
    table = grid("Claims of the papers", ("document", "claims", *(each.replace(" ", "\n") for each in VERDICTS)))
    for document in result.documents:
        table.add_row(Text(document.title), str(document.claims), *(str(document.verdicts[each]) for each in VERDICTS))
    table.add_section()
    table.add_row(Text("all"), str(result.claims), *(str(result.verdicts[each]) for each in VERDICTS))
    return table
