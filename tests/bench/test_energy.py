"""Energy from RAPL's counters, on a fake root folder: in a result, in its tables, and if it cannot be read."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.bench.measurement import bench
from edgefer.bench.probes import energy
from edgefer.bench.probes.base import Candidate, Context
from edgefer.devices import jetson, rapl
from edgefer.report.protocol import describe_protocol
from edgefer.report.table import tables
from tests.helpers import jetsons, powercap, samples

CPU = registry.get("cpu")
PICTURE = [np.zeros((1, 1, 2, 2), np.float32)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with energy counters that settles at once."""
    made = powercap.laptop(tmp_path / "root", package=powercap.MOST - 100)
    counters, forbidden = rapl.counters, rapl.forbidden
    monkeypatch.setattr(rapl, "counters", lambda here=made: counters(here))
    monkeypatch.setattr(rapl, "forbidden", lambda here=made: forbidden(here))
    monkeypatch.setattr(energy, "_SETTLING_SECONDS", 0.01)
    monkeypatch.setattr(energy, "_RUN_SECONDS", 0.1)
    return made


def using(root: Path, microjoules: dict[str, int]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a network with a fixed energy per inference, by folder."""

    def infer(batch: np.ndarray) -> np.ndarray:
        for folder, used in microjoules.items():
            file = root / "sys/class/powercap" / folder / "energy_uj"
            powercap.count(root, folder, (int(file.read_text()) + used) % powercap.MOST)
        return batch

    return infer


def test_joules_of_an_inference_are_what_the_counters_went_up_by_also_where_they_begin_again(root: Path) -> None:
    infer = using(root, {"intel-rapl:0": 7000, "intel-rapl:0:0": 5000})
    source = energy.sensor(CPU.sensors)
    assert source is not None
    spent = energy.measure(infer, PICTURE, 0.1, source)
    assert spent is not None
    assert (spent.sensor, spent.readings) == ("RAPL", 2)
    assert set(spent.rails) == {"package-0", "package-0/core"}  # the others never counted
    assert spent.rails["package-0"].joules == pytest.approx(0.007)
    assert spent.rails["package-0/core"].joules == pytest.approx(0.005)
    assert spent.rails["package-0"].idle_watts == 0


def test_on_a_machine_without_counters_a_cpu_s_energy_is_that_of_its_ina3221(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, watts = jetsons.orin_nano(tmp_path), jetson.watts
    monkeypatch.setattr(rapl, "counters", dict)
    monkeypatch.setattr(jetson, "watts", lambda: watts(board))
    source = energy.sensor(CPU.sensors)
    assert source is not None
    assert source.kind == "INA3221"


def test_a_domain_that_vanishes_while_it_is_measured_is_left_out(root: Path) -> None:
    infer = using(root, {"intel-rapl:0": 7000, "intel-rapl:1": 9000})
    source = energy.sensor(CPU.sensors)
    assert source is not None
    original, seen = source.during, []

    def during(work: Callable[[], None]) -> energy.SensorMean:
        seen.append(original(work))
        if len(seen) == 2:
            return replace(seen[1], watts={name: each for name, each in seen[1].watts.items() if name != "psys"})
        return seen[0]

    spent = energy.measure(infer, PICTURE, 0.1, energy.Sensor("RAPL", during, 2))
    assert spent is not None
    assert set(spent.rails) == {"package-0"}


def test_a_bench_names_sensor_and_rails_and_adds_nothing_up(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = samples.write(tmp_path / "made")
    ticks = iter(range(10**6, 10**9, 5000))
    monkeypatch.setattr(
        rapl, "counters", lambda: {name: rapl.Counter(next(ticks), powercap.MOST) for name in ("package-0", "psys")}
    )
    result = bench([made], samples.dataset(), seconds=0.01)
    spent = result.networks[0].energy
    assert spent is not None
    assert list(spent.rails) == ["package-0", "psys"]
    assert result.protocol.energy_seconds == 0.1
    terminal = Console(width=80, highlight=False, record=True, file=io.StringIO())
    terminal.print(tables(result))
    text = terminal.export_text()
    assert "Energy by domain (RAPL), one network alone" in text
    assert "total" not in text
    assert "RAPL" in dict(describe_protocol(result))["energy"]
    assert not [line for line in result.warnings if "energy" in line]


def notes(device: str) -> list[str]:
    """Return the probe's result for a network on a device; without a sensor the network does not run."""
    backend = registry.get(device)
    candidate = Candidate("made", cast(Any, None), "fp32", backend, Options(), cast(Any, None))
    context = Context([candidate], cast(Any, None), [[]], cast(Any, None))
    assert energy.PROBE.measure(context) == [{"energy": None}]
    assert context.changes == {}
    return context.notes


def test_counters_that_may_not_be_read_are_one_note_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapl, "counters", dict)
    monkeypatch.setattr(rapl, "forbidden", lambda: True)
    (note,) = notes("cpu")
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in note
    assert notes("rtx") == []  # a GPU's energy is not the CPU's


def test_a_machine_without_a_sensor_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapl, "counters", dict)
    monkeypatch.setattr(rapl, "forbidden", lambda: False)
    assert notes("cpu") == []


def test_a_reading_that_outlasts_the_work_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, events, event = threading.Event(), list[threading.Event](), threading.Event

    def noted() -> threading.Event:
        events.append(event())
        return events[-1]

    def slow() -> dict[str, float]:
        begun.set()
        events[0].wait()  # set when the work is done
        return {"idle": 1.0}

    def work() -> None:
        begun.wait()

    monkeypatch.setattr(threading, "Event", noted)
    mean = energy._sampled(slow, work)
    assert (mean.readings, mean.watts) == (0, {})
