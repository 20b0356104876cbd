"""Energy of an inference, where the device has sensors: what they say while one network runs again and again."""

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
_EVERY_SECONDS = 0.02  # an INA3221 averages over some milliseconds, and takes as long to be read
_MIN_READINGS = 5
# Clocks rise and fall, and sensors average: NVML over one second on Ampere and newer (NVML API reference,
# nvmlDeviceGetPowerUsage), which is what nvidia-smi's power.draw is.
_AVERAGING_SECONDS = {"nvidia-smi": 1.2}
_SETTLING_SECONDS = 0.5


@dataclass(frozen=True)
class SensorMean:
    """What sensors said while some work was done.

    Attributes:
        watts: mean by rail; empty where that is not known.
        readings: how often they were read.
        seconds: that the mean is over.
    """

    watts: dict[str, float]
    readings: int
    seconds: float


@dataclass(frozen=True)
class Sensor:
    """Where energy is read.

    Attributes:
        kind: what it is.
        during: does some work, and returns what was read meanwhile.
        least: readings that a mean takes.
    """

    kind: Kind
    during: Callable[[Callable[[], None]], SensorMean]
    least: int


@dataclass(frozen=True)
class Rail:
    """A power rail by the name that the device gives it. Rails may overlap: VDD_IN feeds others, a package has cores.

    Attributes:
        idle_watts: mean before, with nothing to do.
        watts: mean while the network runs.
        joules: of one inference, all that the rail gave, whatever else ran: `watts` times the seconds of an inference.
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
        inferences: in that time, in sequence, batch 1.
        readings: of the sensors; of a counter (RAPL) the first and the last.
        sensor: that gave them: ``RAPL``, ``INA3221`` or ``nvidia-smi``.
    """

    rails: dict[str, Rail]
    seconds: float
    inferences: int
    readings: int
    sensor: Kind


def sensor(kinds: Sequence[str], gpu_bus: str | None = None) -> Sensor | None:
    """Return the first sensor that can be read, or None.

    Args:
        kinds: of a backend's device, the best first: ``RAPL``, ``INA3221``, ``nvidia-smi``.
        gpu_bus: PCI address, for ``nvidia-smi``; None where there is no GPU.
    """
    known: dict[str, Callable[[], Sensor | None]] = {
        "RAPL": lambda: Sensor("RAPL", _counted, 2) if rapl.counters() else None,
        "INA3221": lambda: sampled("INA3221", jetson.watts),
        "nvidia-smi": lambda: sampled("nvidia-smi", partial(nvidia.watts, gpu_bus)) if gpu_bus else None,
    }
    return next((found for kind in kinds if (found := known[kind]()) is not None), None)


def sampled(kind: Kind, watts: Watts) -> Sensor | None:
    """Return a sensor that says the power at a moment and is read again and again; None where it says nothing."""
    return Sensor(kind, partial(_sampled, watts), _MIN_READINGS) if watts() else None


def measure(infer: Infer, inputs: Sequence[NDArray[np.float32]], seconds: float, source: Sensor) -> Energy | None:
    """Run a network alone and read the sensors meanwhile.

    Args:
        infer: a session's method.
        inputs: of batch 1, used in turn.
        seconds: that it runs; half of that the device idles before. Both start half a second before they are
            read, and 1.2 seconds where a sensor averages over one.
        source: reads them.

    Returns:
        None where nothing could be read, or too seldom: less than five times where power is sampled.
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
        if name in idle.watts and watts > 0  # some counters never count
    }
    enough = busy.readings >= source.least and bool(rails)
    return Energy(rails, busy.seconds, count, busy.readings, source.kind) if enough else None


def _counted(work: Callable[[], None]) -> SensorMean:
    """Read RAPL's counters before and after: of 32 bits, they last for a minute and more at a thousand watts."""
    before, started = rapl.counters(), time.perf_counter()
    work()
    after, took = rapl.counters(), time.perf_counter() - started
    return SensorMean({name: used / took for name, used in rapl.joules(before, after).items()}, 2, took)


def _sampled(watts: Watts, work: Callable[[], None]) -> SensorMean:
    found, took = _readings(watts, work)
    names = [name for name in found[0] if all(name in reading for reading in found)] if found else []
    return SensorMean({name: float(np.mean([reading[name] for reading in found])) for name in names}, len(found), took)


def _readings(watts: Watts, work: Callable[[], None]) -> tuple[list[Mapping[str, float]], float]:
    """Read the sensors again and again while `work` is done; return also the seconds that it took.

    A reading that ends after the work did is left out: the device may have been idle for a part of it.
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
    """Measure each network alone; a note says why not, where a sensor is there and could not be read."""
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
