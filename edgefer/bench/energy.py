"""Energy of an inference, where the device has sensors: power by rail while one network runs again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer.evaluation.predict import Infer

Watts = Callable[[], Mapping[str, float]]

_EVERY_SECONDS = 0.02  # an INA3221 averages over some milliseconds, and takes as long to be read
_LEAST_READINGS = 5
_SETTLING_SECONDS = 0.5  # clocks rise and fall, and sensors average


@dataclass(frozen=True)
class Rail:
    """A power rail by the name that the device gives it. Rails may overlap: VDD_IN feeds the others.

    Attributes:
        idle_watts: mean before, with nothing to do.
        watts: mean while the network runs.
        joules: of one inference, all that the rail gave: `watts` times the seconds of an inference.
    """

    idle_watts: float
    watts: float
    joules: float


@dataclass(frozen=True)
class Energy:
    """What was read while a network ran.

    Attributes:
        rails: by name.
        seconds: that it ran.
        inferences: in that time, one after the other, batch 1.
        readings: of the sensors.
    """

    rails: dict[str, Rail]
    seconds: float
    inferences: int
    readings: int


def measure(infer: Infer, inputs: Sequence[NDArray[np.float32]], seconds: float, watts: Watts) -> Energy | None:
    """Run a network alone and read the sensors meanwhile.

    Args:
        infer: a session's method.
        inputs: of batch 1, used in turn.
        seconds: that it runs; half of that the device idles before. Both start half a second before they are read.
        watts: reads the power on each rail at this moment.

    Returns:
        None where there are no sensors, or they could be read fewer than five times.
    """
    if not watts():
        return None
    time.sleep(_SETTLING_SECONDS)
    idle = _readings(watts, lambda: time.sleep(seconds / 2))
    count = 0

    def run(for_seconds: float = seconds) -> None:
        nonlocal count
        count, end = 0, time.perf_counter() + for_seconds
        while time.perf_counter() < end or not count:
            infer(inputs[count % len(inputs)])
            count += 1

    run(_SETTLING_SECONDS)
    started = time.perf_counter()
    readings = _readings(watts, run)
    took = time.perf_counter() - started
    names = [name for name in readings[0] if all(name in reading for reading in (*readings, *idle))] if readings else []
    if len(readings) < _LEAST_READINGS or not idle:
        return None
    rails = {}
    for name in names:
        mean = float(np.mean([reading[name] for reading in readings]))
        before = float(np.mean([reading[name] for reading in idle]))
        rails[name] = Rail(idle_watts=before, watts=mean, joules=mean * took / count)
    return Energy(rails, took, count, len(readings))


def _readings(watts: Watts, work: Callable[[], None]) -> list[Mapping[str, float]]:
    """Read the sensors again and again while `work` is done."""
    found: list[Mapping[str, float]] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(_EVERY_SECONDS):
            found.append(watts())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        work()
    finally:
        done.set()
        reader.join()
    return found
