"""The machine's load, temperature and clocks before and after the timing, and warnings about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from edgefer.bench.result import Conditions
from edgefer.devices import jetson, machine, nvidia

_HOT = 5.0  # degrees of warming above which a device counts as not settled
_MAX_STOLEN = 0.02
_MAX_WAITED = 0.02
_MEDIAN = 0.2  # share of the time above which the median may be affected too
_BUSY_SECONDS = 0.2
_STEADY = 0.1  # of the clock
_DRIFTED = 0.05  # of the latency


@dataclass(frozen=True)
class MachineState:
    """One moment."""

    load: float | None
    stolen: tuple[int, int] | None
    waited: tuple[int, int] | None
    clock: float | None
    board: jetson.Jetson | None
    gpu: nvidia.GpuState | None


def now(gpu: str | None = None, meanwhile: Callable[[], object] | None = None) -> MachineState:
    """Read the state of the machine, a Jetson's board and a GPU.

    Args:
        gpu: its PCI address (`edgefer.devices.gpu.Gpu`), or None.
        meanwhile: keeps the GPU busy while its state is read.
    """
    clocks, board = machine.frequencies(), jetson.describe()
    if board is not None and meanwhile is not None:
        end = time.monotonic() + _BUSY_SECONDS  # its governor lowers the clock of an idle GPU
        while time.monotonic() < end:
            meanwhile()
        board = jetson.describe()
    return MachineState(
        load=machine.load_average(),
        stolen=machine.stolen(),
        waited=machine.waited(),
        clock=max(clocks, default=None),  # of the working core; idle cores have any clock
        board=board,
        gpu=None if gpu is None else nvidia.describe(gpu, meanwhile),
    )


def between(before: MachineState, after: MachineState, drift: float | None = None) -> Conditions:
    """Return a result's conditions between two moments; `drift` is from `timing.drift`."""
    stolen = None
    if before.stolen and after.stolen and after.stolen[1] > before.stolen[1]:
        stolen = (after.stolen[0] - before.stolen[0]) / (after.stolen[1] - before.stolen[1])
    waited = None
    if before.waited and after.waited and after.waited[1] > before.waited[1]:
        lost, ran = (late - early for late, early in zip(after.waited, before.waited, strict=True))
        waited = lost / (lost + ran)
    return Conditions(
        load_before=before.load,
        load_after=after.load,
        stolen=stolen,
        waited=waited,
        clock_before=before.clock,
        clock_after=after.clock,
        drift=drift,
        jetson_before=before.board,
        jetson_after=after.board,
        gpu_before=before.gpu,
        gpu_after=after.gpu,
    )


def warnings(conditions: Conditions) -> list[str]:
    """Return warnings from the machine's own state, one per line."""
    found = []
    if conditions.stolen is not None and conditions.stolen > _MAX_STOLEN:
        found.append(
            f"the host took {100 * conditions.stolen:.0f} % of this virtual machine's time during the "
            "measurement: p90 to p99 include the host's share"
        )
    if conditions.waited is not None and conditions.waited > _MAX_WAITED:
        much = conditions.waited > _MEDIAN
        suffers = "medians and ratios are affected too" if much else "p90 to p99 are affected"
        found.append(
            f"other programs ran for {100 * conditions.waited:.0f} % of the measuring time: {suffers}. "
            f"Stop them, or reserve a core (taskset), and repeat"
        )
    before, after = conditions.clock_before, conditions.clock_after
    if before and after and abs(after - before) > _STEADY * before:
        found.append(f"the processor's clock went from {before:.0f} to {after:.0f} MHz; fix the governor, or repeat")
    drift = conditions.drift
    if drift is not None and abs(drift - 1) > _DRIFTED:
        found.append(
            f"the machine became {100 * abs(drift - 1):.0f} % {'slower' if drift > 1 else 'faster'} during "
            "the measurement (latency in the last quarter of the rounds over the first): clock, heat or other "
            "programs. Ratios of networks suffer less than milliseconds"
        )
    found += _of_board(conditions.jetson_before, conditions.jetson_after)
    if conditions.gpu_after and conditions.gpu_after.throttled:
        found.append("the GPU lowered its clock during the measurement (nvidia-smi -q -d PERFORMANCE says why)")
    return found


def _of_board(before: jetson.Jetson | None, after: jetson.Jetson | None) -> list[str]:
    if before is None or after is None:
        return []
    found = []
    if not before.clocks_locked:
        found.append("the clocks follow the load; sudo jetson_clocks fixes them at their maximum")
    mode = before.power_mode or "unknown"
    if not mode.upper().startswith("MAXN"):
        found.append(f"power mode {mode}: figures are for this mode; for the fastest: {jetson.stronger(before)}")
    if (after.throttled or 0) > (before.throttled or 0):
        found.append("the board lowered its clocks for over-current during the measurement")
    if after.cooling:
        found.append(f"the board throttled during the measurement: {', '.join(after.cooling)}; cool it, and repeat")
    both = before.temperatures.keys() & after.temperatures.keys()
    warmer = max((after.temperatures[zone] - before.temperatures[zone] for zone in both), default=0)
    if warmer > _HOT:
        found.append(f"the board warmed up by {warmer:.0f} degrees during the measurement; let it warm up, and repeat")
    return found
