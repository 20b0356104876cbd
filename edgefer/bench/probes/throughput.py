"""Throughput in images per second, by batch and by threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.bench.probes.base import Candidate, Context, Probe
from edgefer.devices import machine
from edgefer.evaluation.predict import Infer

BATCHES = (1, 2, 4, 8, 16, 32)
_ROUNDS = 5
_SECONDS = 0.1  # of a turn


@dataclass(frozen=True)
class Point:
    """Throughput of one batch size and number of threads.

    Attributes:
        batch: images at a time.
        threads: threads for one operator; on a GPU 1.
        images_per_second: median of the turns.
        slowest: of the slowest turn.
        fastest: of the fastest turn.
    """

    batch: int
    threads: int
    images_per_second: float
    slowest: float
    fastest: float


def threads_upto(cores: int) -> list[int]:
    """Return 1, 2, 4, ... and the number of cores."""
    found = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return [*found, cores]


def measure(start: Callable[[int], Infer], image: NDArray[np.float32], threads: Sequence[int]) -> list[Point]:
    """Time a network at every batch size and number of threads, in turn, five turns each.

    Args:
        start: returns `infer` of a session with that many threads.
        image: one input, float32, (1, C, H, W).
        threads: numbers of threads.
    """
    jobs = [(batch, count) for count in threads for batch in BATCHES]
    infers = {count: start(count) for count in threads}
    inputs = {batch: np.ascontiguousarray(np.repeat(image, batch, axis=0)) for batch in BATCHES}
    rates: dict[tuple[int, int], list[float]] = {job: [] for job in jobs}
    with console.progress("throughput", len(jobs) * _ROUNDS) as advance:
        for job in _in_turn(jobs):
            batch, count = job
            rates[job].append(_rate(infers[count], inputs[batch]))
            advance(1, f"batch {batch}, threads {count}")
    return [
        Point(batch, count, float(np.median(found)), min(found), max(found)) for (batch, count), found in rates.items()
    ]


def _in_turn(jobs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for number in range(_ROUNDS):
        yield from jobs if number % 2 == 0 else reversed(jobs)


def _rate(infer: Infer, batch: NDArray[np.float32]) -> float:
    infer(batch)  # brings its weights back into the caches
    infer(batch)  # on a GPU, records the graph of this batch
    count = 0
    started = time.perf_counter()
    while time.perf_counter() - started < _SECONDS or not count:
        infer(batch)
        count += 1
    return count * len(batch) / (time.perf_counter() - started)


def _of_candidate(candidate: Candidate, image: NDArray[np.float32]) -> list[Point]:
    if candidate.backend.on_gpu:
        return measure(lambda threads: candidate.session.infer, image, [1])
    with ExitStack() as stack:

        def start(threads: int) -> Infer:
            session = candidate.open(replace(candidate.options, threads=threads))
            stack.callback(session.close)
            return session.infer

        return measure(start, image, threads_upto(machine.describe().cores))


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    candidates = zip(context.candidates, context.inputs, strict=True)
    return [{"throughput": _of_candidate(each, images[0])} for each, images in candidates]


PROBE = Probe("throughput", _measure, option="throughput")
