"""Early stopping: trials beaten by others of no greater cost stop, and no others."""

from __future__ import annotations

import pytest

from edgefer.search.halving import Standing, goes_on, rungs


def cheap(*accuracies: float, latency: float = 1.0, size: int = 100) -> list[Standing]:
    return [Standing(accuracy, latency, size) for accuracy in accuracies]


@pytest.mark.parametrize(
    ("epochs", "found"), [(1, []), (2, [1]), (5, [1, 2]), (8, [1, 2, 4]), (150, [1, 2, 4, 9, 18, 37, 75])]
)
def test_trials_are_compared_after_a_half_a_quarter_and_so_on(epochs: int, found: list[int]) -> None:
    assert rungs(epochs) == found


def test_a_trial_stops_that_is_not_in_the_better_half_of_those_that_cost_no_more() -> None:
    own = Standing(0.5, 1.0, 100)
    assert not goes_on(own, cheap(0.6, 0.7, 0.4))
    assert goes_on(own, cheap(0.6, 0.4, 0.3))
    assert not goes_on(own, cheap(0.6, 0.7, 0.4, latency=0.5, size=50))


def test_what_costs_more_stops_nobody() -> None:
    own = Standing(0.5, 1.0, 100)
    assert goes_on(own, cheap(0.9, 0.9, 0.9, 0.9, latency=1.1))
    assert goes_on(own, cheap(0.9, 0.9, 0.9, 0.9, size=101))


def test_nobody_stops_before_there_are_three_to_compare_with() -> None:
    assert goes_on(Standing(0.1, 1.0, 100), cheap(0.9, 0.9))
