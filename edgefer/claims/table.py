"""The ledger in an 80-column terminal: claims by document, with verdicts and reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgefer.claims.result import VERDICTS, ClaimsResult, Cost, Entry, MeasuredClaim, Said
from edgefer.console import NOTE_STYLE
from edgefer.lines import counted
from edgefer.report.table import grid, milliseconds

_DIFFERENCES = 3  # shown per claim; the list of trainings shows all

STYLES = {
    "holds": "bold",
    "contradicted": "bold red",
    "other protocol": NOTE_STYLE,
    "not comparable": NOTE_STYLE,
    "not run": "",
}


def tables(result: ClaimsResult, measured: bool = False) -> Group:
    """Return all tables, the summary last, where it stays on screen.

    Args:
        result: the ledger.
        measured: show only claims with measurements.
    """
    parts: list[RenderableType] = []
    for document in result.documents:
        entries = [entry for entry in result.entries if entry.document == document.document]
        said = [each for each in result.statements if each.document == document.document]
        readings = [each.says for each in result.readings if each.document == document.document]
        if measured:
            entries = [entry for entry in entries if entry.measured or entry.costs]
            said, readings = [each for each in said if each.costs], []
        if entries or said:
            parts += [Text(document.title, style="bold"), *_entries(entries, measured), *_statements(said)]
            parts += [Text(each, style=NOTE_STYLE) for each in readings]
            parts.append(Text())
    parts += [_summary(result), Text(), Text(summary_line(result))]
    for each in result.trained:
        how = f"not as written: {', '.join(each.differences)}" if each.differences else "as written, one seed"
        parts.append(Text(f"{each.bundle} ({each.source}): {how}"))
    parts += [Text(f"note: {note}", style=NOTE_STYLE) for note in result.notes]
    return Group(*parts)


def verdict(entry: Entry) -> str:
    """Return a verdict as text, with what is missing: ``not run: needs weights``."""
    return f"{entry.verdict}: needs {entry.lacks}" if entry.lacks else entry.verdict


def summary_line(result: ClaimsResult) -> str:
    """Return the counts of claims and verdicts in one line."""
    counts = ", ".join(f"{result.verdicts[each]} {each.replace('holds', 'hold')}" for each in VERDICTS)
    alone = sum(document.holds_by_arithmetic for document in result.documents)
    return (
        f"{result.claims} claims in {result.places} places: {counts}. Of those that hold, {alone} are "
        "internally consistent but not independently measured."
    )


def beside(measured: MeasuredClaim) -> str:
    """Return a training's figure as shown with a claim."""
    if measured.as_written:
        return measured.says
    named = ", ".join(measured.differences[:_DIFFERENCES])
    more = len(measured.differences) - _DIFFERENCES
    return f"measured, but not as written: {measured.figure}; {named}" + (f" and {more} more" if more > 0 else "")


def cost(each: Cost) -> str:
    """Return a network's cost in one line."""
    memory = "" if each.peak_bytes is None else f", {each.peak_bytes / 1e6:.0f} MB of memory"
    threads = "" if each.threads is None else f", {counted(each.threads, 'thread')}"
    other = f"; not as written: {', '.join(each.differences)}" if each.differences else ""
    return (
        f"{each.bundle} {each.network}: {milliseconds(each.p50_ms)} ms, {each.file_bytes / 1e6:.2f} MB{memory} "
        f"({each.on}{threads}{other})"
    )


def is_training(entry: Entry) -> bool:
    """Return whether a training decides a claim."""
    return entry.command.startswith("edgefer train ")


def costs(said: Sequence[Said]) -> list[str]:
    """Return the measurements for some statements, each network once."""
    return list(dict.fromkeys(cost(one) for each in said for one in each.costs))


def _statements(said: Sequence[Said]) -> Iterator[RenderableType]:
    """Yield the statements without a number, and their measurements."""
    for each in said:
        yield Text(f"“{each.quote}” ({each.place}): no number, no verdict")
    for line in costs(said) if said else []:
        yield Padding(Text(line), (0, 0, 0, 4))


def _entries(entries: Sequence[Entry], short: bool) -> Iterator[RenderableType]:
    """Yield a line per claim and its measured figures; consecutive claims with the same reason share it.

    Args:
        entries: one document's claims.
        short: give reasons only for claims decided by a training.
    """
    for _, group in groupby(
        entries, key=lambda entry: (entry.verdict, entry.lacks, entry.reason, entry.needs, entry.command)
    ):
        same = list(group)
        for entry in same:
            yield _line(entry)
            lines = [beside(each) for each in entry.measured if not each.as_written] + [
                cost(each) for each in entry.costs
            ]
            yield from (Padding(Text(line), (0, 0, 0, 4)) for line in lines)
        if not short or any(each.as_written for each in same[0].measured):
            yield Padding(Text(reason(same[0])), (0, 0, 0, 4))


def reason(entry: Entry) -> str:
    """Return the reason for a verdict, and what would decide an open claim."""
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
    """Return a figure's conditions in one line."""
    said = entry.conditions
    named = {
        "": None if said.classes is None else f"{said.classes} classes",
        "split": said.split,
        "network": said.network,
        "pretraining": said.pretraining,
        "hardware": said.hardware,
    }
    return "; ".join(f"{name}: {value}" if name else value for name, value in named.items() if value)


def _summary(result: ClaimsResult) -> Table:
    table = grid("Claims of the papers", ("document", "claims", *(each.replace(" ", "\n") for each in VERDICTS)))
    for document in result.documents:
        table.add_row(Text(document.title), str(document.claims), *(str(document.verdicts[each]) for each in VERDICTS))
    table.add_section()
    table.add_row(Text("all"), str(result.claims), *(str(result.verdicts[each]) for each in VERDICTS))
    return table
