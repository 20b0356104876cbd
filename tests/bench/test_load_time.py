"""The time to open a network in a running process: discovered by itself, measured for every network, shown in ms."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from edgefer.bench import probes
from edgefer.bench.measurement import bench
from edgefer.bench.probes import load_time
from edgefer.report.table import tables
from tests.helpers import samples


def test_every_network_is_opened_and_its_times_are_in_order(tmp_path: Path) -> None:
    assert load_time.PROBE in probes.standard()
    result = bench([samples.write(tmp_path / "made")], samples.dataset(), seconds=0.01, probes=[load_time.PROBE])
    for entry in result.networks:
        times = entry.probes["load_time"]
        assert 0 < (times["fastest"] or 0) <= (times["median"] or 0) <= (times["slowest"] or 0)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables(result))
    text = console.export_text().partition("Opening a network")[2]
    assert f"{1e3 * (result.networks[0].probes['load_time']['median'] or 0):.1f}" in text
