"""Tables of the benchmark report with one figure per network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgefer.bench.result import BenchResult, NetworkEntry, Quality
from edgefer.report import further, table
from edgefer.report.figure_table import FigureTable


def accuracy(result: BenchResult) -> FigureTable:
    """Return overall accuracy, and accuracy without images that also occur in the training split."""
    heads = ("images", "number", "accuracy, %", "95 % interval", "macro F1", "weighted F1", "calibration error")
    rows = []
    for entry in result.networks:
        rows.append((table.name(result, entry), _quality(entry.quality, "all")))
        if entry.shared is not None:
            rows.append((table.name(result, entry), _quality(entry.shared, "among shared classes")))
        if entry.leak_free is not None and entry.leak_free != entry.quality:  # equal without duplicates
            rows.append((table.name(result, entry), _quality(entry.leak_free, "leak-free")))
    return FigureTable("Accuracy over all classes", heads, rows, 1)


def _quality(quality: Quality, which: str) -> list[str]:
    return [
        which,
        f"{quality.images:,}",
        f"{100 * quality.accuracy:.2f}",
        f"{100 * quality.low:.1f} to {100 * quality.high:.1f}",
        f"{quality.macro_f1:.3f}",
        f"{quality.weighted_f1:.3f}",
        f"{quality.calibration_error:.3f}",
    ]


def cost(result: BenchResult) -> FigureTable | None:
    """Return size, memory and cold start; None if only the file size is known."""
    columns = [each for each in _COSTS if any(value for value in _column(result, each))]
    if len(columns) < 2:
        return None
    cells = zip(*(_column(result, each) for each in columns), strict=True)
    rows = [(table.name(result, entry), row) for entry, row in zip(result.networks, cells, strict=True)]
    return FigureTable("What each network needs", columns, rows)


def probes(result: BenchResult) -> list[FigureTable]:
    """Return one table per further probe."""
    return [
        FigureTable(each.title, [column.head for column in each.columns], table.probe_rows(result, each))
        for each in result.probes
    ]


def across(result: BenchResult) -> list[FigureTable]:
    """Return tables for further data sets, protocols and groups."""
    return further.tables(result, lambda entry: table.name(result, entry))


def _column(result: BenchResult, head: str) -> list[str]:
    return [_COSTS[head](entry) for entry in result.networks]


_COSTS: Mapping[str, Callable[[NetworkEntry], str]] = {
    "file, MB": lambda entry: table.megabytes(entry.file_bytes, 2),
    "engine, MB": lambda entry: table.megabytes(entry.engine_bytes, 2),
    "process steady, MB": lambda entry: table.megabytes(entry.memory.steady) if entry.memory else "",
    "process peak, MB": lambda entry: table.megabytes(entry.memory.peak) if entry.memory else "",
    "of it the network, MB": lambda entry: (
        table.megabytes(entry.memory.peak - entry.memory.baseline) if entry.memory else ""
    ),
    "GPU steady, MB": lambda entry: table.megabytes(entry.gpu_memory.steady, 1) if entry.gpu_memory else "",
    "GPU peak, MB": lambda entry: table.megabytes(entry.gpu_memory.peak, 1) if entry.gpu_memory else "",
    "of it buffers, MB": lambda entry: table.megabytes(entry.gpu_memory.buffers, 1) if entry.gpu_memory else "",
    "cold start, s": lambda entry: f"{entry.cold_start.median:.2f}" if entry.cold_start else "",
    "fastest to slowest, s": lambda entry: (
        f"{entry.cold_start.fastest:.2f} to {entry.cold_start.slowest:.2f}" if entry.cold_start else ""
    ),
}
