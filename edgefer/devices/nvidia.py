"""An NVIDIA GPU's state from nvidia-smi, part of the driver."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict, Field

_FIELDS = {
    "name": "name",
    "driver": "driver_version",
    "temperature": "temperature.gpu",
    "clock": "clocks.sm",
    "max_clock": "clocks.max.sm",
    "watts": "power.draw",
    "max_watts": "power.limit",
}
_REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")  # its name now, and before
# Power cap, hardware slowdown, heat (by software, by hardware), power brake; not idle, not what a user set (nvml.h).
_HELD_DOWN = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
_PATIENCE_SECONDS = 20


class GpuState(BaseModel):
    """A snapshot of a GPU; None: not reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="NVIDIA GeForce RTX 4060")
    driver: str
    temperature: float | None = Field(description="degrees Celsius")
    clock: float | None = Field(description="of the multiprocessors, MHz")
    max_clock: float | None
    watts: float | None
    max_watts: float | None = Field(description="configured limit")
    throttled: bool | None = Field(description="the clock is limited by heat or power")


def describe(bus: str | None = None, meanwhile: Callable[[], object] | None = None) -> GpuState | None:
    """Describe a GPU, or return None if nvidia-smi is missing or silent.

    Args:
        bus: where it is on the PCI bus; by default the first one. CUDA counts cards in another order.
        meanwhile: repeated until nvidia-smi returns: an idle GPU has other clocks than a busy one.
    """
    values = _query(list(_FIELDS.values()), bus, meanwhile)
    if values is None or not values[0]:
        return None
    named = dict(zip(_FIELDS, values, strict=True))
    numbers = {name: _number(named[name]) for name in ("temperature", "clock", "max_clock", "watts", "max_watts")}
    reasons = next((found[0] for name in _REASONS if (found := _query([name], bus, meanwhile))), "")
    return GpuState(name=named["name"], driver=named["driver"], throttled=_throttled(reasons), **numbers)


def watts(bus: str | None = None) -> dict[str, float]:
    """Return a GPU's current power by nvidia-smi's name for it, or an empty mapping."""
    found = _query(["power.draw"], bus, None)
    value = _number(found[0]) if found else None
    return {} if value is None else {"power.draw": value}


def _query(fields: Sequence[str], bus: str | None, meanwhile: Callable[[], object] | None) -> list[str] | None:
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits", f"--id={bus or 0}"]
    try:
        asked = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except OSError:
        return None
    with asked:
        end = time.monotonic() + _PATIENCE_SECONDS
        while meanwhile is not None and asked.poll() is None and time.monotonic() < end:
            meanwhile()
        try:
            said, _ = asked.communicate(timeout=max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            asked.kill()
            return None
    values = [value.strip() for value in said.partition("\n")[0].split(",")]
    return values if asked.returncode == 0 and len(values) == len(fields) else None


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:  # [N/A], [Not Supported]
        return None


def _throttled(value: str) -> bool | None:
    try:
        return bool(int(value, 16) & _HELD_DOWN)
    except ValueError:
        return None
