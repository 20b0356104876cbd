"""Which networks no other one beats: as cheap and more accurate, or as accurate and cheaper."""

from __future__ import annotations

from collections.abc import Sequence


def front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Return the positions on the Pareto front, the cheapest first.

    A position is on it if no other one has at most its cost and at least its value, and one of the two better. Of
    several that are the same in both, all are on it.

    Args:
        costs: the less the better: milliseconds, bytes.
        values: the more the better: accuracy.
    """
    found: list[int] = []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -values[place])):
        last = found[-1] if found else None
        same = last is not None and (costs[place], values[place]) == (costs[last], values[last])
        if last is None or same or values[place] > values[last]:
            found.append(place)
    return found
