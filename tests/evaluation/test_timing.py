"""The timing harness, checked with a clock that only moves when a fake network runs."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from edgefer.evaluation import timing

INPUTS = [np.zeros((1, 1, 2, 2), dtype=np.float32) + number for number in range(3)]


class Clock:
    """The time that `edgefer.evaluation.timing` reads."""

    def __init__(self) -> None:
        self.nanoseconds = 0
        self.calls: list[str] = []

    def network(self, name: str, milliseconds: Iterator[float]) -> Callable[[np.ndarray], np.ndarray]:
        """Return a network with known inference times."""

        def infer(batch: np.ndarray) -> np.ndarray:
            self.nanoseconds += round(next(milliseconds) * 1e6)
            self.calls.append(name)
            return batch

        return infer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(
        timing,
        "time",
        SimpleNamespace(perf_counter=lambda: made.nanoseconds / 1e9, perf_counter_ns=lambda: made.nanoseconds),
    )
    return made


def _always(value: float) -> Iterator[float]:
    while True:
        yield value


def _drawn(values: np.ndarray, seed: int) -> Iterator[float]:
    random = np.random.default_rng(seed)
    while True:
        yield float(random.choice(values))


def test_known_times_are_measured(clock: Clock) -> None:
    infers = [clock.network("slow", _always(4)), clock.network("fast", _always(1.5))]
    slow, fast = timing.in_turn(infers, [INPUTS, INPUTS], seconds=1)
    assert timing.latency(slow).p50 == pytest.approx(4)
    assert timing.latency(fast).p99 == pytest.approx(1.5)
    assert dataclasses.astuple(timing.ratio(fast, slow)) == pytest.approx((0.375,) * 3)


def test_percentiles_of_a_known_distribution(clock: Clock) -> None:
    values = np.linspace(1, 2, 1001)
    (samples,) = timing.in_turn([clock.network("a", _drawn(values, 0))], [INPUTS], seconds=60)
    latency = timing.latency(samples)
    for percentile in (50, 90, 95, 99):
        assert getattr(latency, f"p{percentile}") == pytest.approx(1 + percentile / 100, abs=0.01)
    assert latency.mean == pytest.approx(1.5, abs=0.01)
    assert latency.coefficient_of_variation == pytest.approx(1 / 12**0.5 / 1.5, abs=0.01)
    assert (latency.fastest, latency.slowest) == (pytest.approx(1), pytest.approx(2))


def test_networks_take_turns_and_every_second_round_goes_backwards(clock: Clock) -> None:
    infers = [clock.network(name, _always(1)) for name in "abc"]
    timing.in_turn(infers, [INPUTS] * 3, seconds=0.04, percentile=50, warmup_seconds=0)
    turn = timing.UNTIMED + timing.TURN
    after_warmup = "".join(clock.calls)[3 * timing.TURN :]
    order = after_warmup[::turn]
    assert order.startswith("abccbaabccba")
    assert after_warmup[: 2 * turn] == "a" * turn + "b" * turn


def test_there_are_enough_samples_for_the_percentile_and_the_time(clock: Clock) -> None:
    (quick,) = timing.in_turn([clock.network("quick", _always(0.01))], [INPUTS], seconds=1, percentile=99)
    assert quick.sum() >= 1
    (slow,) = timing.in_turn([clock.network("slow", _always(20))], [INPUTS], seconds=1, percentile=99)
    assert 1000 <= slow.size < 1000 + timing.TURN


def test_the_limit_of_time_leaves_percentiles_out(clock: Clock) -> None:
    (samples,) = timing.in_turn([clock.network("slow", _always(100))], [INPUTS], seconds=1, max_seconds=15)
    latency = timing.latency(samples)
    assert 15 <= samples.sum() < 16
    assert (latency.p90, latency.p95, latency.p99) == (pytest.approx(100), None, None)


def test_a_network_slower_than_the_limit_is_still_measured(clock: Clock) -> None:
    (samples,) = timing.in_turn([clock.network("slow", _always(1e5))], [INPUTS], max_seconds=30)
    assert timing.latency(samples).p50 == pytest.approx(1e5)


def test_every_input_gets_its_turn(clock: Clock) -> None:
    seen = []

    def infer(batch: np.ndarray) -> np.ndarray:
        clock.nanoseconds += 10**6
        seen.append(float(batch[0, 0, 0, 0]))
        return batch

    timing.in_turn([infer], [INPUTS], seconds=0.1, percentile=50)
    assert set(seen) == {0.0, 1.0, 2.0}


def test_slow_phases_of_the_machine_do_not_widen_the_ratio() -> None:
    random = np.random.default_rng(0)
    phases = np.exp(random.normal(0, 0.5, (250, 1)))
    fp32 = 4 * phases * np.exp(random.normal(0, 0.02, (250, 4)))
    int8 = 1.5 * phases * np.exp(random.normal(0, 0.02, (250, 4)))
    paired = timing.ratio(int8, fp32)
    shuffled = timing.ratio(random.permutation(int8), fp32)
    assert paired.low <= 0.375 <= paired.high
    assert paired.high - paired.low < 0.5 * (shuffled.high - shuffled.low)


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for seed in range(60):
        over, under = np.exp(random.normal(0, 0.1, (2, 100, 4)))
        interval = timing.ratio(over, under, resamples=100, seed=seed)
        covered += interval.low <= 1 <= interval.high
    assert covered >= 50


def test_garbage_collection_is_as_it_was_even_after_an_error(clock: Clock) -> None:
    assert gc.isenabled()
    with pytest.raises(StopIteration):
        timing.in_turn([clock.network("short", iter([1.0] * 20))], [INPUTS], warmup_seconds=0)
    assert gc.isenabled()


def test_a_real_sleep_is_never_measured_shorter_than_it_is() -> None:
    def infer(batch: np.ndarray) -> np.ndarray:
        time.sleep(0.002)
        return batch

    (samples,) = timing.in_turn([infer], [INPUTS], seconds=0.05, percentile=50, warmup_seconds=0)
    assert samples.min() >= 0.002


def test_known_times_are_measured_exactly_and_their_interval_holds_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that inferences advance: 2 ms, and 5 ms every tenth time."""
    clock, count = [0], [0]

    def infer(batch: np.ndarray) -> np.ndarray:
        count[0] += 1
        clock[0] += 5_000_000 if count[0] % 10 == 0 else 2_000_000
        return batch

    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock[0])
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0] * 1e-9)
    (samples,) = timing.in_turn([infer], [[np.zeros((1, 1, 2, 2), np.float32)]], seconds=0.1)
    found = timing.latency(samples)
    assert found.p50 == found.fastest == pytest.approx(2)
    assert found.p99 == found.slowest == pytest.approx(5)
    assert found.mean == pytest.approx(2.3, abs=0.1)
    assert found.p50_low == found.p50_high == pytest.approx(2)


def test_the_median_s_interval_is_wide_where_rounds_differ_and_narrow_where_there_are_many() -> None:
    random = np.random.default_rng(0)
    widths = []
    for rounds in (20, 2000):
        found = timing.latency(random.lognormal(0, 0.5, (rounds, timing.TURN)) * 1e-3)
        assert found.p50_low is not None
        assert found.p50_high is not None
        assert found.p50_low < found.p50 < found.p50_high
        widths.append(found.p50_high - found.p50_low)
    assert widths[1] < widths[0] / 5
