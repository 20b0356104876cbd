"""Which network of a bundle to deploy, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgefer.bench.result import NetworkEntry, Recommendation
from edgefer.evaluation.timing import Interval

MAX_LOST = 0.005  # accuracy points below the most accurate one, as in compress's gate

Ratio = Callable[[NetworkEntry, NetworkEntry], Interval]


def recommend(entries: Sequence[NetworkEntry], ratio: Ratio) -> Recommendation | None:
    """Return the network of one bundle to deploy: the fastest of those that lose at most half a point.

    Among those as fast as the fastest, within the noise, it has the smallest file, or on
    a GPU the smallest engine.

    Args:
        entries: the bundle's networks.
        ratio: latency of one over another's, with its interval.

    Returns:
        None if there is nothing to choose from.
    """
    if len(entries) < 2:
        return None
    best = max(entry.quality.accuracy for entry in entries)
    fit = [entry for entry in entries if best - entry.quality.accuracy <= MAX_LOST + 1e-9]
    fastest = min(fit, key=lambda entry: entry.latency.p50)
    alike = [entry for entry in fit if entry is fastest or ratio(entry, fastest).low <= 1]
    chosen = min(alike, key=lambda entry: (entry.engine_bytes or entry.file_bytes, entry.latency.p50))
    return Recommendation(
        bundle=chosen.bundle,
        network=chosen.network,
        device=chosen.device,
        reason=_reason(chosen, entries, fit, alike, ratio),
    )


def _reason(
    chosen: NetworkEntry,
    entries: Sequence[NetworkEntry],
    fit: Sequence[NetworkEntry],
    alike: Sequence[NetworkEntry],
    ratio: Ratio,
) -> str:
    others = [entry for entry in fit if entry is not chosen]
    parts = []
    slower = [entry for entry in others if entry not in alike]
    if slower:
        listed = ", ".join(f"{ratio(chosen, entry).estimate:.2f} x the latency of {entry.network}" for entry in slower)
        parts.append(listed)
    same = [entry for entry in others if entry in alike]
    if same:
        what = "engine" if chosen.engine_bytes else "file"
        parts.append(f"as fast as {' and '.join(entry.network for entry in same)} with the smallest {what}")
    parts.append(f"{100 * chosen.quality.accuracy:.2f} %, within half a point of the best")
    lossy = [entry for entry in entries if entry not in fit]
    if lossy:
        best = max(entry.quality.accuracy for entry in entries)
        parts += [f"{entry.network} loses {100 * (best - entry.quality.accuracy):.2f} points" for entry in lossy]
    return "; ".join(parts)
