"""Write benchmark results as CSV: one row per network, columns named after the fields of `result.json`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgefer import paths
from edgefer.bench.figures import figures_of
from edgefer.bench.result import BenchResult
from edgefer.lines import cell


def write(results: Sequence[BenchResult], path: Path) -> None:
    """Write the file. Text that a spreadsheet would parse as a formula is prefixed with an apostrophe."""
    rows = [row for result in results for row in _rows(result)]
    # Networks may have different power rails if one could not be read.
    columns = dict.fromkeys(name for row in rows for name in row)
    with paths.write_atomically(path.resolve()) as part, part.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(map(cell, columns))
        table.writerows([cell(row.get(name)) for name in columns] for row in rows)


def _rows(result: BenchResult) -> Iterator[dict[str, object]]:
    about = {
        "created": result.created,
        "device": result.device,
        "machine": result.machine.cpu,
        "threads": result.protocol.threads,
        "data": result.data.name,
        "synthetic": result.data.synthetic,
        "split": result.data.split,
    }
    for entry in result.networks:
        yield {
            "bundle": entry.bundle,
            "network": entry.network,
            "precision": entry.precision,
            "runtime": entry.runtime,
            "sha256": entry.sha256,
            "engine_bytes": entry.engine_bytes,
            **figures_of(entry),
            **about,
        }
