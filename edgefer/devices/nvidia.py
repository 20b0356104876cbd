"""What an NVIDIA card says of itself, through nvidia-smi, which comes with the driver."""

from __future__ import annotations

import subprocess

from pydantic import BaseModel, ConfigDict, Field

_FIELDS = {
    "name": "name",
    "driver": "driver_version",
    "temperature": "temperature.gpu",
    "clock": "clocks.sm",
    "most_clock": "clocks.max.sm",
    "watts": "power.draw",
    "most_watts": "power.limit",
    "throttled": "clocks_throttle_reasons.active",
}
_IDLE = 0x1  # the clock is low because nothing runs: no reason to worry
_PATIENCE_SECONDS = 20


class Card(BaseModel):
    """A card as it is at one moment. What a card does not say is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="NVIDIA GeForce RTX 4060")
    driver: str
    temperature: float | None = Field(description="degrees Celsius")
    clock: float | None = Field(description="of the multiprocessors, MHz")
    most_clock: float | None
    watts: float | None
    most_watts: float | None = Field(description="limit that is set")
    throttled: bool | None = Field(description="the clock is held down: by heat, by power or by a setting")


def describe() -> Card | None:
    """Describe the first card, or return None where nvidia-smi is not there or says nothing."""
    command = ["nvidia-smi", f"--query-gpu={','.join(_FIELDS.values())}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    values = [value.strip() for value in said.stdout.partition("\n")[0].split(",")]
    if len(values) != len(_FIELDS) or not values[0]:
        return None
    named = dict(zip(_FIELDS, values, strict=True))
    numbers = {name: _number(named[name]) for name in ("temperature", "clock", "most_clock", "watts", "most_watts")}
    return Card(name=named["name"], driver=named["driver"], throttled=_throttled(named["throttled"]), **numbers)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:  # [N/A], [Not Supported]
        return None


def _throttled(value: str) -> bool | None:
    try:
        return bool(int(value, 16) & ~_IDLE)
    except ValueError:
        return None
