"""The summary of a result: which network to deploy, why, and the alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgefer.bench.recommendation import MAX_LOST
from edgefer.bench.result import BenchResult, Comparison, NetworkEntry, Recommendation
from edgefer.report import table


@dataclass(frozen=True)
class Summary:
    """The recommendation, with alternatives.

    Attributes:
        entry: the network to deploy.
        chosen: False if only one network was measured, so there was no choice.
        reason: one line.
        comparison: with the FP32 network of its bundle, if any.
        others: networks that are better in one respect, and the respect.
        path: of its bundle if there are several, else empty.
    """

    entry: NetworkEntry
    chosen: bool
    reason: str
    comparison: Comparison | None
    others: list[tuple[NetworkEntry, str]]
    path: str


def summarize(result: BenchResult) -> Summary:
    """Return the summary of a result.

    For one bundle, this is the benchmark's own recommendation. For several, the candidates are the network recommended
    for each bundle, and the network of a bundle with only one. The fastest candidate within half a point of the highest
    accuracy of all networks is chosen.
    """
    entries = result.networks
    best = max(entries, key=lambda entry: entry.quality.accuracy)
    recommended = {_own(each): each.reason for each in result.recommendations}
    fit = [entry for entry in entries if best.quality.accuracy - entry.quality.accuracy <= MAX_LOST + 1e-9]
    candidates = [entry for entry in fit if _own(entry) in recommended or _alone(entry, entries)]
    candidates = candidates or fit
    entry = min(candidates, key=lambda entry: entry.latency.p50)
    reason = recommended.get(_own(entry), "")
    if len(recommended) > 1 or len(result.bundles) > 1 or not reason:
        reason = _reason(result, entry, best, fit)
    comparison = next((each for each in result.comparisons if _own(each) == _own(entry)), None)
    path = next(each.path for each in result.bundles if each.title == entry.bundle) if len(result.bundles) > 1 else ""
    return Summary(entry, len(entries) > 1, reason, comparison, _others(entries, entry, best), path)


def _own(each: NetworkEntry | Comparison | Recommendation) -> tuple[str, str, str | None]:
    """Return the key that identifies a network within a result."""
    return each.bundle, each.network, each.device


def _alone(entry: NetworkEntry, entries: Sequence[NetworkEntry]) -> bool:
    return sum((other.bundle, other.device) == (entry.bundle, entry.device) for other in entries) == 1


def _reason(result: BenchResult, entry: NetworkEntry, best: NetworkEntry, fit: Sequence[NetworkEntry]) -> str:
    if len(result.networks) == 1:
        return "the only network measured"
    if entry.quality.accuracy == best.quality.accuracy:
        return f"the most accurate of {len(result.networks)} networks, and the fastest within half a point"
    lost = 100 * (best.quality.accuracy - entry.quality.accuracy)
    return (
        f"{lost:.2f} points below the most accurate of {len(result.networks)} networks, {table.name(result, best)}, "
        f"at {entry.latency.p50 / best.latency.p50:.2f} x its latency and {entry.file_bytes / best.file_bytes:.2f} x "
        f"its file; {len(fit)} networks are within half a point of it"
    )


def _others(entries: Sequence[NetworkEntry], entry: NetworkEntry, best: NetworkEntry) -> list[tuple[NetworkEntry, str]]:
    fastest = min(entries, key=lambda each: each.latency.p50)
    smallest = min(entries, key=lambda each: each.file_bytes)
    leaders = (
        (best, "most accurate", best.quality.accuracy > entry.quality.accuracy),
        (fastest, "fastest", fastest.latency.p50 < entry.latency.p50),
        (smallest, "smallest file", smallest.file_bytes < entry.file_bytes),
    )
    found: list[tuple[NetworkEntry, str]] = []
    for leader, at, better in leaders:
        if not better:
            continue
        if found and found[-1][0] is leader:
            found[-1] = (leader, f"{found[-1][1]}, {at}")
        else:
            found.append((leader, at))
    return found
