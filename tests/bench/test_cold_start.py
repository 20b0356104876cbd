"""Cold start of a fresh process, images per second, and the machine's state in between."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgefer.bench import probes, state
from edgefer.bench.measurement import bench
from edgefer.bench.probes import cold_start, throughput
from edgefer.devices import machine
from edgefer.errors import InputError
from edgefer.evaluation import timing
from edgefer.report.table import tables
from tests.helpers import jetsons, samples

SHAPE = (1, samples.SIZE, samples.SIZE)


def test_a_fresh_process_answers_and_is_timed_from_its_start(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(samples.network())
    found = cold_start.of_network(model, SHAPE)
    assert found.starts == 3
    assert 0 < found.fastest <= found.median <= found.slowest


def test_a_network_that_never_answers_is_one_line(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"no network")
    with pytest.raises(InputError, match=r"no first prediction arrived: .*model\.onnx is truncated") as error:
        cold_start.of_network(model, SHAPE)
    assert "\n" not in str(error.value)


def test_images_a_second_are_counted_over_batch_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that inferences advance: a millisecond, and a tenth for each image on each thread."""
    clock = [0.0]

    def start(threads: int) -> Callable[[np.ndarray], np.ndarray]:
        def infer(batch: np.ndarray) -> np.ndarray:
            clock[0] += 0.001 + 0.0001 * len(batch) / threads
            return batch

        return infer

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    points = throughput.measure(start, np.zeros((1, *SHAPE), np.float32), [1, 4])
    assert [(point.batch, point.threads) for point in points] == [
        (batch, threads) for threads in (1, 4) for batch in throughput.BATCHES
    ]
    for point in points:
        seconds = 0.001 + 0.0001 * point.batch / point.threads
        assert point.images_per_second == pytest.approx(point.batch / seconds)
        assert point.slowest == pytest.approx(point.fastest)


@pytest.mark.parametrize(("cores", "threads"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_threads_are_doubled_up_to_the_cores(cores: int, threads: list[int]) -> None:
    assert throughput.threads_upto(cores) == threads


def test_bench_counts_where_it_is_asked_to_and_the_tables_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "_SECONDS", 0.001)
    result = bench(
        [samples.write(tmp_path / "made")], samples.dataset(), seconds=0.05, probes=probes.standard("throughput")
    )
    cores = machine.describe().cores
    for entry in result.networks:
        assert len(entry.throughput) == len(throughput.threads_upto(cores)) * len(throughput.BATCHES)
        assert entry.cold_start is not None
        assert entry.latency.p50_low is not None
        assert entry.latency.p50_high is not None
        assert entry.latency.p50_low <= entry.latency.p50 <= entry.latency.p50_high
    assert result.repeat.endswith("--measure throughput")
    console = Console(width=80, highlight=False, record=True, file=io.StringIO())
    console.print(tables(result))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "Images a second" in text


def files(stolen: int, idle: int, clock: int) -> dict[str, str]:
    return {
        "proc/stat": f"cpu  100 0 50 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": f"{clock}\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": f"{clock}\n",
    }


def test_time_that_the_host_takes_and_a_clock_that_changes_are_said_beside_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stolen, frequencies = machine.stolen, machine.frequencies
    monkeypatch.setattr(machine, "stolen", lambda: stolen(tmp_path))
    monkeypatch.setattr(machine, "frequencies", lambda: frequencies(tmp_path))
    monkeypatch.setattr(machine, "waited", lambda: None)  # regardless of other load

    jetsons.write(tmp_path, files(stolen=10, idle=1000, clock=2_400_000))
    before = state.now()
    assert (before.stolen, before.clock) == ((10, 1160), 2400)
    jetsons.write(tmp_path, files(stolen=11, idle=1099, clock=2_400_000))
    assert state.warnings(state.between(before, state.now())) == []
    jetsons.write(tmp_path, files(stolen=40, idle=1070, clock=1_800_000))
    conditions = state.between(before, state.now())
    assert conditions.stolen == pytest.approx(0.3)
    said = "\n".join(state.warnings(conditions))
    assert "the host took 30 % of this virtual machine's time" in said
    assert "from 2400 to 1800 MHz" in said


def test_time_that_other_programs_take_is_told_from_time_asleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = machine.waited
    monkeypatch.setattr(machine, "waited", lambda: waited(tmp_path))
    states = []
    for ran, waits in ((5_000, 100), (104_000, 1_100), (203_000, 41_100), (302_000, 140_100)):
        jetsons.write(tmp_path, {"proc/self/schedstat": f"{ran} {waits} 7\n"})
        states.append(state.now())
    found = [state.between(before, after) for before, after in pairwise(states)]
    assert [round(each.waited or 0, 2) for each in found] == [0.01, 0.29, 0.5]
    assert state.warnings(found[0]) == []
    (said,) = state.warnings(found[2])
    assert said.startswith("other programs ran for 50 % of the measuring time")
    assert "medians and ratios are affected" in said
    jetsons.write(tmp_path, {"proc/self/schedstat": "nothing\n"})
    assert state.between(states[0], state.now()).waited is None


def test_this_process_waits_while_another_one_has_its_core() -> None:
    script = (
        "import os, sys, time; from edgefer.devices import machine; os.sched_setaffinity(0, {int(sys.argv[1])})\n"
        "print('ready', flush=True); input()\n"
        "end = time.monotonic() + 1\nwhile time.monotonic() < end: pass\nprint(*machine.waited())"
    )
    command = [sys.executable, "-c", script, str(min(os.sched_getaffinity(0)))]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=path) for _ in range(2)
    ]
    shares = []
    for each in both:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    for each in both:
        waited, ran = map(int, each.communicate()[0].split())
        shares.append(waited / (waited + ran))
    assert all(share > 0.2 for share in shares)


@pytest.mark.parametrize(
    ("first", "last", "said"), [(1.0, 1.2, "20 % slower"), (1.0, 0.8, "20 % faster"), (1, 1.01, "")]
)
def test_latency_that_drifts_is_noted(first: float, last: float, said: str) -> None:
    steps = np.linspace(first, last, 5)[[0, 2, 2, 4]]
    samples = np.repeat(steps, 25)[:, None] * np.ones((1, 4)) * 1e-3
    quiet = state.MachineState(None, None, None, None, None, None)
    notes = state.warnings(state.between(quiet, quiet, timing.drift([samples, 3 * samples])))
    assert ("".join(notes)).count(said) >= 1 if said else notes == []
    assert timing.drift([samples[:30]]) is None


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n", "intr 1 2 3 4 5 6 7 8 9\n"])
def test_what_the_system_does_not_say_is_left_out(tmp_path: Path, text: str) -> None:
    jetsons.write(tmp_path, {"proc/stat": text})
    assert machine.stolen(tmp_path) is None
    assert machine.frequencies(tmp_path) == []
