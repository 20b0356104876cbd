"""Latency of networks, timed in turn so that a temporary slowdown affects all of them.

The load is MLPerf's single stream: batch 1, each inference starts when the previous one is done. In each round, every
network has a turn: `UNTIMED` inferences, which load its weights back into the caches used by the other networks, then
`TURN` timed ones. Every second round runs in reverse order. Inputs are prepared beforehand; a sample is the time of one
call of `infer` by `time.perf_counter_ns`, and no sample is dropped.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgefer import console

# the timed function: a session's `infer`, or one that includes it
Work: TypeAlias = Callable[[NDArray[Any]], object]

NOISY = 0.1  # coefficient of variation above which a latency is called noisy
UNTIMED = 4
TURN = 12
BEYOND = 10  # minimum number of samples beyond a reported percentile: 1,000 samples for p99
_PERCENTILES = (50, 90, 95, 99)
_QUARTER = 10  # minimum number of rounds for a meaningful median
_DRAWN_AT_ONCE = 1 << 17  # maximum number of samples: a megabyte


@dataclass(frozen=True)
class Latency:
    """Latency of one network in milliseconds; a percentile is None if too few samples lie beyond it.

    Attributes:
        p50: median.
        p90: 90th percentile; p95 and p99 likewise.
        mean: of all samples, including slow ones.
        coefficient_of_variation: standard deviation / mean, a measure of noise.
        samples: number of inferences timed.
        fastest: the shortest sample.
        slowest: the longest sample.
        p50_low: lower bound of the median's 95 % interval, by bootstrap over rounds.
        p50_high: upper bound.
    """

    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    mean: float
    coefficient_of_variation: float
    samples: int
    fastest: float
    slowest: float
    p50_low: float
    p50_high: float


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


def in_turn(
    infers: Sequence[Work],
    inputs: Sequence[Sequence[NDArray[Any]]],
    *,
    percentile: float = 99,
    seconds: float = 3.0,
    max_seconds: float = 30.0,
    warmup_seconds: float = 0.2,
) -> list[NDArray[np.float64]]:
    """Time networks against each other.

    Args:
        infers: per network, a session's `infer` or a function that includes it.
        inputs: per network, inputs of batch 1, used cyclically in this order.
        percentile: the highest one to report; it decides the minimum number of samples.
        seconds: minimum timed seconds per network.
        max_seconds: limit per network, even if there are too few samples for the percentile.
        warmup_seconds: per network, before the first round.

    Returns:
        Per network float64 (rounds, TURN), seconds. Row r of two networks was measured in succession.
    """
    for infer, batches in zip(infers, inputs, strict=True):
        _warm_up(infer, batches, warmup_seconds)
    streams = list(zip(infers, inputs, strict=True))
    turns: list[list[list[float]]] = [[] for _ in streams]
    spent = [0.0] * len(streams)
    min_rounds = -(-samples_for(percentile) // TURN)
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        with console.progress("timing", min_rounds) as advance:
            while min(spent) < seconds or len(turns[0]) < min_rounds:
                if sum(spent) > max_seconds * len(streams) and turns[0]:
                    break
                round_number = len(turns[0])
                order = range(len(streams)) if round_number % 2 == 0 else range(len(streams) - 1, -1, -1)
                for index in order:
                    times = _turn(*streams[index], first=round_number * (UNTIMED + TURN))
                    turns[index].append(times)
                    spent[index] += sum(times)
                if round_number < min_rounds:
                    advance()
    finally:
        if was_collecting:
            gc.enable()
    return [np.array(rounds) for rounds in turns]


def _warm_up(infer: Work, batches: Sequence[NDArray[Any]], seconds: float) -> None:
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end or count < TURN:
        infer(batches[count % len(batches)])
        count += 1


def _turn(infer: Work, batches: Sequence[NDArray[Any]], first: int) -> list[float]:
    clock = time.perf_counter_ns
    for position in range(first, first + UNTIMED):
        infer(batches[position % len(batches)])
    times = []
    for position in range(first + UNTIMED, first + UNTIMED + TURN):
        batch = batches[position % len(batches)]
        start = clock()
        infer(batch)
        times.append((clock() - start) * 1e-9)
    return times


def samples_for(percentile: float) -> int:
    """Return the number of samples that a percentile requires: 20 for the median, 1,000 for p99."""
    return round(BEYOND / (1 - percentile / 100))


def latency(seconds: NDArray[np.float64]) -> Latency:
    """Summarize samples in seconds: (rounds, TURN) from `in_turn`, or any shape for independent samples."""
    samples = seconds.ravel() * 1e3
    rounds = samples.reshape(len(seconds), -1)
    (medians,) = _drawn_medians([rounds], 1000, 0)
    low, high = np.percentile(medians, (2.5, 97.5))
    values = np.percentile(samples, _PERCENTILES)
    p90, p95, p99 = (
        float(value) if len(samples) >= samples_for(percentile) else None
        for percentile, value in zip(_PERCENTILES[1:], values[1:], strict=True)
    )
    return Latency(
        p50=float(values[0]),
        p90=p90,
        p95=p95,
        p99=p99,
        mean=float(samples.mean()),
        coefficient_of_variation=float(samples.std() / samples.mean()),
        samples=len(samples),
        fastest=float(samples.min()),
        slowest=float(samples.max()),
        p50_low=float(low),
        p50_high=float(high),
    )


def drift(samples: Sequence[NDArray[np.float64]]) -> float | None:
    """Return latency in the last quarter of the rounds / latency in the first, median over the networks.

    It reveals falling clocks, heat and background work that the machine does not report. None for
    fewer than 40 rounds.

    Args:
        samples: per network (rounds, TURN), from `in_turn`.
    """
    quarter = len(samples[0]) // 4
    if quarter < _QUARTER:
        return None
    return float(np.median([np.median(each[-quarter:]) / np.median(each[:quarter]) for each in samples]))


def quantiles(seconds: NDArray[np.float64]) -> list[float]:
    """Return the latency in milliseconds below which 0, 1, 2, ... 100 % of the samples lie, to the nanosecond."""
    return [round(float(value), 6) for value in np.percentile(seconds.ravel() * 1e3, np.arange(101))]


def ratio(over: NDArray[np.float64], under: NDArray[np.float64], *, resamples: int = 1000, seed: int = 0) -> Interval:
    """Return the ratio of two medians, median(over) / median(under), with its bootstrap interval.

    Rounds are drawn with replacement, the same for both networks, so noise that affects both in one round does not
    widen the interval (percentile bootstrap: Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13).

    Args:
        over: samples (rounds, turn) from `in_turn`.
        under: samples of the other network in the same rounds.
        resamples: number of bootstrap draws.
        seed: for the draws.
    """
    above, below = _drawn_medians([over, under], resamples, seed)
    low, high = np.percentile(above / below, (2.5, 97.5))
    return Interval(float(np.median(over) / np.median(under)), float(low), float(high))


def _drawn_medians(networks: Sequence[NDArray[np.float64]], resamples: int, seed: int) -> list[NDArray[np.float64]]:
    """Return medians of bootstrap draws, (resamples,) per network; all networks use the same rounds.

    Whole rounds are drawn, because consecutive samples are correlated.

    Args:
        networks: samples (rounds, turn) per network.
        resamples: number of draws.
        seed: for the draws.
    """
    generator, rounds = np.random.default_rng(seed), len(networks[0])
    at_once = max(1, _DRAWN_AT_ONCE // max(each.size for each in networks))
    drawn: list[list[NDArray[np.float64]]] = [[] for _ in networks]
    for start in range(0, resamples, at_once):
        rows = generator.integers(rounds, size=(min(at_once, resamples - start), rounds))
        for medians, samples in zip(drawn, networks, strict=True):
            medians.append(np.median(samples[rows].reshape(len(rows), -1), axis=1))
    return [np.concatenate(medians) for medians in drawn]
