"""Tables of accuracy across data sets and protocols, and by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgefer.bench.result import BenchResult, ClassRow, FurtherData, NetworkEntry, Quality
from edgefer.evaluation.by_group import LEVEL, ColumnFigures, GroupFigures
from edgefer.lines import counted
from edgefer.report.figure_table import FigureTable

Name = Callable[[NetworkEntry], str]
_NAMED = 8  # small groups listed in a line


def tables(result: BenchResult, name: Name, by_class: bool = True) -> list[FigureTable]:
    """Return tables for further data sets, protocols and groups; empty if none were measured.

    Args:
        result: of a benchmark.
        name: returns a network's display name.
        by_class: also return figures per class, too wide for a terminal.
    """
    found = []
    if any(entry.evaluations for entry in result.networks):
        found += [across(result, name), *[_by_class(result, name)] * by_class]
    if any(entry.groups for entry in result.networks):
        found += [by_group(result, name), *[_recall_by_group(result, name)] * by_class]
    return found


def across(result: BenchResult, name: Name) -> FigureTable:
    """Return accuracy on each data set by each protocol, starting with one crop of the first data set."""
    further = {each.title: each for each in result.further_data}
    shared = any(among for entry in result.networks for *_, among in _judged(result, entry))
    heads = ["data", "protocol", "images", *["classes"] * bool(further), "accuracy, %", "95 % interval"]
    heads += [*["shared, %"] * shared, "macro F1", "calibration error"]
    rows = []
    for entry in result.networks:
        for data, protocol, quality, among in _judged(result, entry):
            classes = f"{_classes(result, entry, further.get(data))} of {len(result.data.classes)}"
            cells = [data, protocol, f"{quality.images:,}", *[classes] * bool(further)]
            cells += [f"{100 * quality.accuracy:.2f}", _interval(quality.low, quality.high)]
            cells += [*[f"{100 * among.accuracy:.2f}" if among else ""] * shared]
            rows.append((name(entry), [*cells, f"{quality.macro_f1:.3f}", f"{quality.calibration_error:.3f}"]))
    title = "Accuracy across data sets" if further else "Accuracy by protocol"
    return FigureTable(title, heads, rows, 2, _lines(result))


def by_group(result: BenchResult, name: Name) -> FigureTable:
    """Return accuracy and calibration by group, with a note on each column's worst gap."""
    people = result.groups is not None and result.groups.people
    heads = ["column", "group", "images", *["people"] * people, "accuracy, %", "95 % interval"]
    rows, lines = [], []
    for entry in result.networks:
        for column in entry.groups:
            for group in column.groups:
                cells = [column.column, group.group, f"{group.images:,}", *[f"{group.people or 0:,}"] * people]
                cells += [f"{100 * group.accuracy.estimate:.2f}", _interval(group.accuracy.low, group.accuracy.high)]
                error = group.calibration_error
                cells += [f"{error.estimate:.3f}", f"{error.low:.3f} to {error.high:.3f}"]
                rows.append((name(entry), cells))
            lines.append(f"{name(entry)}: {gap_line(column)}")
    for column in result.networks[0].groups if result.networks else ():
        lines += _small(column)
    heads += ["calibration error", "95 % interval"]
    return FigureTable("By group", heads, rows, 2, [*lines, *_matched(result)])


def gap_line(column: ColumnFigures) -> str:
    """Describe a column's worst gap, and whether it exceeds chance."""
    gap = column.gap
    if gap is None:
        return f"{column.column}: fewer than two groups are large enough"
    beyond = "expected from chance and class mix" if gap.permuted == "pictures" else "expected from chance"
    crossed = gap.permuted == "pictures" and any(group.people is not None for group in column.groups)
    more = "; pictures of one person count as independent" if crossed else ""
    verdict = f"more than {beyond}" if gap.exceeds_chance else f"no more than {beyond}"
    return (
        f"{column.column}: worst gap {100 * gap.difference:.1f} points, {gap.low} below {gap.high}: {verdict} "
        f"(p = {gap.p_corrected:.2g}, corrected; {LEVEL:g} is the bound{more})"
    )


def _recall_by_group(result: BenchResult, name: Name) -> FigureTable:
    rows = [
        (name(entry), [column.column, group.group, *_recalls(result, group)])
        for entry in result.networks
        for column in entry.groups
        for group in column.groups
    ]
    heads = ["column", "group", *result.data.classes]
    return FigureTable("Recall by group, % (images; 95 % interval)", heads, rows, 2)


def _recalls(result: BenchResult, group: GroupFigures) -> list[str]:
    found = {each.label: each for each in group.recall}
    return [
        f"{100 * each.recall:.0f} ({each.images:,}; {_interval(each.low, each.high, 0)})" if each else ""
        for each in map(found.get, result.data.classes)
    ]


def _by_class(result: BenchResult, name: Name) -> FigureTable:
    rows = []
    for entry in result.networks:
        own: list[tuple[str, str, Sequence[ClassRow]]] = [(result.data.name, "one-crop", entry.per_class)]
        own += [(each.data, each.protocol, each.per_class) for each in entry.evaluations]
        rows += [
            (name(entry), [data, protocol, *(f"{row.f1:.3f}" if row.images else "" for row in per_class)])
            for data, protocol, per_class in own
        ]
    return FigureTable("F1 by class", ["data", "protocol", *result.data.classes], rows, 2)


def _judged(result: BenchResult, entry: NetworkEntry) -> list[tuple[str, str, Quality, Quality | None]]:
    return [
        (result.data.name, "one-crop", entry.quality, entry.shared),
        *((each.data, each.protocol, each.quality, each.shared) for each in entry.evaluations),
    ]


def _classes(result: BenchResult, entry: NetworkEntry, data: FurtherData | None) -> int:
    """Return the number of classes that network and data share."""
    if data is not None:
        return len(data.shared_classes)
    return sum(row.images > 0 for row in entry.per_class) if entry.shared else len(result.data.classes)


def _lines(result: BenchResult) -> list[str]:
    views = result.protocol.further_views
    said = {
        "flip": "flip: the outputs for the crop and its mirror image, averaged",
        "ten-crop": "ten-crop: the outputs for ten crops of 40/48 of the picture (corners, middle, mirrored), averaged",
    }
    found = [said[each] for each in said if each in views]
    return [*found, "gates and recommendations use one-crop only"] if found else []


def _small(column: ColumnFigures) -> list[str]:
    if not column.small:
        return []
    more = f" and {len(column.small) - _NAMED} more" if len(column.small) > _NAMED else ""
    names = ", ".join(
        f"{each.group} ({counted(each.images, 'image')}{_of_people(each.people)})" for each in column.small[:_NAMED]
    )
    return [f"{column.column}: too few to rank: {names}{more}"]


def _of_people(people: int | None) -> str:
    return "" if people is None else " of 1 person" if people == 1 else f" of {people:,} people"


def _matched(result: BenchResult) -> list[str]:
    table = result.groups
    if table is None:
        return []
    who = "people" if table.people else "images"
    return [
        f"{table.file} has a row for {table.matched:,} of {table.matched + table.unmatched:,} images, matched by "
        f"{table.key}; a group has at least {table.min_images} images; tests of {table.permutations:,} permutations, "
        f"corrected for {counted(len(table.columns), 'column')}; intervals over {who}"
    ]


def _interval(low: float, high: float, digits: int = 1) -> str:
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"
