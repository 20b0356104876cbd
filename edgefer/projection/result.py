"""The schema of `projection.json`. Its times are not measured, so no time field matches one in `result.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgefer.bench.result import BundleEntry, ClassRow, Quality, TestData
from edgefer.bundle.manifest import Precision, Target
from edgefer.devices.machine import Machine
from edgefer.devices.specs import DeviceSpec, Family
from edgefer.frozen import Frozen

FORMAT: Literal[2] = 2


class ProjectedNetwork(Frozen):
    """One network for the device; its accuracy was measured on this machine."""

    bundle: str = Field(description="title of its bundle")
    network: str
    precision: Precision
    target: Target
    runtime: str = Field(description="runtime of its numerics")
    sha256: str
    file_bytes: int
    quality: Quality
    leak_free: Quality | None
    per_class: list[ClassRow]
    confusion: list[list[int]] = Field(description="rows: true class, columns: predicted class, images")


class Workload(Frozen):
    """The work per image, counted from a graph."""

    bundle: str
    network: str = Field(description="network whose file gave the counts")
    precision: Literal["fp32", "fp16", "int8"]
    as_filed: bool = Field(description="false: counted as if that file's layers ran in FP16")
    kernels: int = Field(gt=0, description="launches, in sequence")
    macs: int = Field(ge=0, description="multiply-accumulates")
    padded_macs: int | None = Field(None, description="with channels padded as for a GPU's INT8 kernels")
    moved_bytes: int = Field(gt=0, description="read and written by the kernels: weights, activations")
    fp32_macs: int = Field(ge=0, description="part of `macs` in layers that stayed FP32; on a GPU at the FP16 rate")


class Projected(Frozen):
    """Minimum time of one workload on one device, by roofline. Not a measurement."""

    bundle: str
    network: str = Field(description="of its workload")
    precision: Literal["fp32", "fp16", "int8"]
    device: str = Field(description="name of one of `devices`")
    projected_milliseconds: float | None = Field(description="None: see `devices` or `warnings`")
    arithmetic_milliseconds: float | None = Field(description="compute time only: a lower bound")
    memory_milliseconds: float | None = Field(description="memory time only")


class Projection(Frozen):
    """A projection for a device that was not available."""

    kind: Literal["edgefer projection"] = "edgefer projection"
    format: Literal[2] = FORMAT
    created: str = Field(description="UTC, ISO 8601")
    repeat: str = Field(description="the command to repeat this")
    measure: str = Field(description="the command to measure instead")
    device: Family = Field(description="device given with --device")
    statement: str = Field(description="states that nothing was measured")
    threads: int = Field(1, ge=1, description="cores projected for; 1 for a GPU")
    method: str = Field(description="how times are projected, and what is excluded")
    machine: Machine = Field(description="runtime of the networks' numerics")
    versions: dict[str, str]
    data: TestData
    bundles: list[BundleEntry]
    networks: list[ProjectedNetwork]
    workloads: list[Workload]
    devices: list[DeviceSpec] = Field(description="makers' figures, each with its source")
    projected: list[Projected]
    warnings: list[str]
