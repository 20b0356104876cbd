"""Energy per inference, on devices with sensors, read while one network runs repeatedly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.bench.probes.base import Context, Probe
from edgefer.devices import jetson, nvidia, rapl
from edgefer.evaluation.predict import Infer

Kind = Literal["RAPL", "INA3221", "nvidia-smi"]
Watts = Callable[[], Mapping[str, float]]

_RUN_SECONDS = 3.0
_EVERY_SECONDS = 0.02  # an INA3221 averages over some milliseconds, and reading it takes as long
_MIN_READINGS = 5
# Clocks rise and fall, and sensors average: NVML over one second on Ampere and newer (NVML API reference,
# nvmlDeviceGetPowerUsage), which is what nvidia-smi's power.draw is.
_AVERAGING_SECONDS = {"nvidia-smi": 1.2}
_SETTLING_SECONDS = 0.5


@dataclass(frozen=True)
class SensorMean:
    """Sensor readings during some work.

    Attributes:
        watts: mean by rail; empty: unknown.
        readings: number of readings.
        seconds: duration of the mean.
    """

    watts: dict[str, float]
    readings: int
    seconds: float


@dataclass(frozen=True)
class Sensor:
    """An energy sensor.

    Attributes:
        kind: its kind.
        during: does some work, and returns the readings.
        least: minimum readings for a mean.
    """

    kind: Kind
    during: Callable[[Callable[[], None]], SensorMean]
    least: int


@dataclass(frozen=True)
class Rail:
    """A power rail, by the device's name for it. Rails may overlap: VDD_IN feeds others, a package includes cores.

    Attributes:
        idle_watts: mean before, when idle.
        watts: mean while the network runs.
        joules: per inference, including everything on the rail: `watts` times the seconds per inference.
    """

    idle_watts: float
    watts: float
    joules: float


@dataclass(frozen=True)
class Energy:
    """Energy readings of a running network.

    Attributes:
        rails: by name.
        seconds: duration.
        inferences: in that time, in sequence, batch 1.
        readings: number of sensor readings; for a counter (RAPL) the first and the last.
        sensor: ``RAPL``, ``INA3221`` or ``nvidia-smi``.
    """

    rails: dict[str, Rail]
    seconds: float
    inferences: int
    readings: int
    sensor: Kind


def sensor(kinds: Sequence[str], gpu_bus: str | None = None) -> Sensor | None:
    """Return the first readable sensor, or None.

    Args:
        kinds: of a backend's device, best first: ``RAPL``, ``INA3221``, ``nvidia-smi``.
        gpu_bus: PCI address, for ``nvidia-smi``; None where there is no GPU.
    """
    known: dict[str, Callable[[], Sensor | None]] = {
        "RAPL": lambda: Sensor("RAPL", _counted, 2) if rapl.counters() else None,
        "INA3221": lambda: sampled("INA3221", jetson.watts),
        "nvidia-smi": lambda: sampled("nvidia-smi", partial(nvidia.watts, gpu_bus)) if gpu_bus else None,
    }
    return next((found for kind in kinds if (found := known[kind]()) is not None), None)


def sampled(kind: Kind, watts: Watts) -> Sensor | None:
    """Return a sensor of instantaneous power that is polled; None if it returns nothing."""
    return Sensor(kind, partial(_sampled, watts), _MIN_READINGS) if watts() else None


def measure(infer: Infer, inputs: Sequence[NDArray[np.float32]], seconds: float, source: Sensor) -> Energy | None:
    """Run only this network and read the sensors.

    Args:
        infer: a session's method.
        inputs: of batch 1, used in turn.
        seconds: run time, after half of it idle. Readings start after half a second, or 1.2 seconds if a sensor
            averages over one.
        source: the sensor.

    Returns:
        None if nothing could be read, or fewer than five samples of power.
    """
    count = 0

    def run(for_seconds: float = seconds) -> None:
        nonlocal count
        count, end = 0, time.perf_counter() + for_seconds
        while time.perf_counter() < end or not count:
            infer(inputs[count % len(inputs)])
            count += 1

    settling = max(_SETTLING_SECONDS, _AVERAGING_SECONDS.get(source.kind, 0.0))
    time.sleep(settling)
    idle = source.during(lambda: time.sleep(seconds / 2))
    run(settling)
    busy = source.during(run)
    rails = {
        name: Rail(idle_watts=idle.watts[name], watts=watts, joules=watts * busy.seconds / count)
        for name, watts in busy.watts.items()
        if name in idle.watts and watts > 0  # some counters stay at 0
    }
    enough = busy.readings >= source.least and bool(rails)
    return Energy(rails, busy.seconds, count, busy.readings, source.kind) if enough else None


def _counted(work: Callable[[], None]) -> SensorMean:
    """Read RAPL's counters before and after: 32 bits suffice for over a minute at a thousand watts."""
    before, started = rapl.counters(), time.perf_counter()
    work()
    after, took = rapl.counters(), time.perf_counter() - started
    return SensorMean({name: used / took for name, used in rapl.joules(before, after).items()}, 2, took)


def _sampled(watts: Watts, work: Callable[[], None]) -> SensorMean:
    found, took = _readings(watts, work)
    names = [name for name in found[0] if all(name in reading for reading in found)] if found else []
    return SensorMean({name: float(np.mean([reading[name] for reading in found])) for name in names}, len(found), took)


def _readings(watts: Watts, work: Callable[[], None]) -> tuple[list[Mapping[str, float]], float]:
    """Poll the sensors during `work`; also return its duration in seconds.

    A reading that ends after the work is dropped: the device may have been partly idle.
    """
    found: list[Mapping[str, float]] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(_EVERY_SECONDS):
            reading = watts()
            if not done.is_set():
                found.append(reading)

    reader = threading.Thread(target=read, daemon=True)
    started = time.perf_counter()
    reader.start()
    try:
        work()
    finally:
        done.set()
        took = time.perf_counter() - started
        reader.join()
    return found, took


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    """Measure each network separately; add a note if a sensor exists but cannot be read."""
    found: list[Energy | None] = []
    unread: dict[Kind, list[str]] = {}
    without = False
    with console.progress("measuring energy", len(context.candidates)) as advance:
        for each, images in zip(context.candidates, context.inputs, strict=True):
            source = sensor(each.backend.sensors, context.gpu_bus)
            found.append(None if source is None else measure(each.session.infer, images, _RUN_SECONDS, source))
            if source is not None and found[-1] is None:
                unread.setdefault(source.kind, []).append(each.full_name)
            without = without or (source is None and "RAPL" in each.backend.sensors)
            advance(1, each.full_name)
    if any(found):
        context.changes["energy_seconds"] = _RUN_SECONDS
    if without and rapl.forbidden():
        why = f"RAPL is readable by root only; until the next reboot, {rapl.REMEDY} lets everyone read it"
        context.notes.append(f"energy was not measured: {why}")
    for kind, names in unread.items():
        context.notes.append(f"energy of {', '.join(names)} was not measured: {kind} was not read often enough")
    return [{"energy": each} for each in found]


PROBE = Probe("energy", _measure)
