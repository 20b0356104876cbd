"""The Pareto front of cost and value."""

from __future__ import annotations

from collections.abc import Sequence


def front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Return the indices on the Pareto front, cheapest first.

    An index is on the front if no other one has at most its cost and at least its value, with one of the two strictly
    better. Ties in both are all on the front.

    Args:
        costs: lower is better, e.g. milliseconds or bytes.
        values: higher is better, e.g. accuracy.
    """
    found: list[int] = []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -values[place])):
        last = found[-1] if found else None
        same = last is not None and (costs[place], values[place]) == (costs[last], values[last])
        if last is None or same or values[place] > values[last]:
            found.append(place)
    return found
