"""Latency, file size and memory of a document's network, from a benchmark. Training doesn't affect them."""

from __future__ import annotations

from collections.abc import Sequence

from edgefer.claims.result import Cost
from edgefer.claims.trials import TrialBundle


def of(recipes: Sequence[str], trained: Sequence[TrialBundle]) -> list[Cost]:
    """Return the cost of each network of these recipes, in the order of the benchmarks."""
    return [
        Cost(
            recipe=each.recipe,
            bundle=each.bundle.title,
            network=entry.network,
            source=each.source,
            p50_ms=entry.latency.p50,
            file_bytes=entry.file_bytes,
            peak_bytes=entry.memory.peak if entry.memory else None,
            on=f"{each.result.gpu.name if each.result.gpu else each.result.machine.cpu}, {entry.runtime}",
            threads=None if each.result.gpu else each.result.protocol.threads,
            differences=list(each.of_network),
        )
        for each in trained
        if each.recipe in recipes
        for entry in each.networks
    ]
