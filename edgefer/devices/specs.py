"""Devices' data sheets: memory bandwidth and arithmetic, each figure with its source (`specs.toml`)."""

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

Family = Literal["jetson", "rtx", "pi"]

_FILE = Path(__file__).with_name("specs.toml")


class DeviceSpec(BaseModel):
    """One GPU in its highest power mode (dense arithmetic, no DLA, fastest accumulator), or one core of a CPU."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    family: Family
    compute: str | None = Field(None, pattern=r"^\d+\.\d$", description="compute capability of a GPU")
    cores: int = Field(1, ge=1, description="of a CPU, each with the rates below; 1 for a GPU")
    bandwidth: float = Field(gt=0, description="of memory, in GB/s (10^9 bytes)")
    fp32: float | None = Field(None, gt=0, description="TFLOP/s of a CPU core; a multiply-accumulate is two operations")
    fp16: float | None = Field(None, gt=0, description="TFLOP/s of a GPU")
    int8: float | None = Field(None, gt=0, description="TOP/s; None: see `no_int8`")
    no_int8: str | None = Field(None, description="why there is no figure for INT8")
    not_runnable: str | None = Field(None, description="why edgefer does not run on it")
    source: str = Field(min_length=10, description="title of the maker's document")
    url: str = Field(pattern=r"^https://[a-z.]*(nvidia\.com|github\.com/NVIDIA|raspberrypi\.com)/")
    derivation: str = Field(min_length=10, description="derivation from the maker's headline figures")
    checked: str = Field(min_length=10, description="source of the figures")

    @model_validator(mode="after")
    def _says_why_it_has_no_int8(self) -> DeviceSpec:
        if (self.int8 is None) != bool(self.no_int8):
            raise ValueError("either int8 or no_int8")
        return self

    @model_validator(mode="after")
    def _is_a_gpu_or_a_cpu(self) -> DeviceSpec:
        if (self.fp16 is None) == (self.fp32 is None) or (self.compute is None) != (self.fp16 is None):
            raise ValueError("a GPU has compute and fp16, a CPU has fp32")
        return self


@cache
def devices(family: Family) -> tuple[DeviceSpec, ...]:
    """Return the devices of a family, in the order of the file: boards by age, cards by generation."""
    tree = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    found = [DeviceSpec.model_validate(each) for each in tree["device"]]
    return tuple(device for device in found if device.family == family)
