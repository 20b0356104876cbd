"""Time to open a network in a running process: to replace a network or start a second one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from edgefer import console
from edgefer.bench.probes.base import Candidate, Column, Context, Probe

_TIMES = 5


def _measure(context: Context) -> Sequence[Mapping[str, float]]:
    found = []
    with console.progress("opening networks", len(context.candidates)) as advance:
        for each in context.candidates:
            seconds = [_opened(each) for _ in range(_TIMES)]
            found.append({"median": statistics.median(seconds), "fastest": min(seconds), "slowest": max(seconds)})
            advance(1, each.full_name)
    return found


def _opened(candidate: Candidate) -> float:
    started = time.perf_counter()
    with candidate.open(candidate.options):
        return time.perf_counter() - started


PROBE = Probe(
    "load_time",
    _measure,
    title="Opening a network",
    how="in a running process, with the runtime imported, the file in the page cache and the engine built; "
    f"{_TIMES} times, in sequence",
    columns=[
        Column("median", "median, ms", 1e3),
        Column("fastest", "fastest, ms", 1e3),
        Column("slowest", "slowest, ms", 1e3),
    ],
)
