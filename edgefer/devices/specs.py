"""What NVIDIA states of its GPUs: memory bandwidth and arithmetic, each figure with its source (`specs.toml`)."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Family = Literal["jetson", "rtx"]

_FILE = Path(__file__).with_name("specs.toml")


class Device(BaseModel):
    """One GPU in its highest power mode: dense arithmetic, without DLA, with the fastest accumulator."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    family: Family
    compute: str = Field(pattern=r"^\d+\.\d$", description="compute capability")
    bandwidth: float = Field(gt=0, description="of memory, in GB/s (10^9 bytes)")
    fp16: float = Field(gt=0, description="TFLOP/s; a multiply-accumulate is two operations")
    int8: float | None = Field(None, gt=0, description="TOP/s; None where `no_int8` says why")
    no_int8: str | None = Field(None, description="why there is no figure for INT8")
    source: str = Field(min_length=10, description="title of NVIDIA's document")
    url: str = Field(pattern=r"^https://[a-z.]*(nvidia\.com|github\.com/NVIDIA)/")
    derivation: str = Field(min_length=10, description="from NVIDIA's headline to these figures")
    checked: str = Field(min_length=10, description="where the figures were looked up")

    @model_validator(mode="after")
    def _says_why_it_has_no_int8(self) -> Device:
        if (self.int8 is None) != bool(self.no_int8):
            raise ValueError("either int8 or no_int8")
        return self


@cache
def devices(family: Family) -> tuple[Device, ...]:
    """Return the GPUs of a family, in the order of the file: Jetsons by age, cards by generation."""
    tree = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    found = [Device.model_validate(each) for each in tree["device"]]
    return tuple(device for device in found if device.family == family)
