"""The schema of `projection.json`. None of its times was measured, so it shares no field for one with `result.json`."""

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
    """One network of a bundle that the device would run; its accuracy was measured here."""

    bundle: str = Field(description="title of its bundle")
    network: str
    precision: Precision
    target: Target
    runtime: str = Field(description="what ran its numerics here")
    sha256: str
    file_bytes: int
    quality: Quality
    leak_free: Quality | None
    per_class: list[ClassRow]
    confusion: list[list[int]] = Field(description="rows: true class, columns: predicted class, images")


class Workload(Frozen):
    """What a device has to do for one image, counted from a graph."""

    bundle: str
    network: str = Field(description="whose file it was counted from")
    precision: Literal["fp32", "fp16", "int8"]
    as_filed: bool = Field(
        description="false: counted as if that file's layers ran in FP16; the bundle has no such file"
    )
    kernels: int = Field(gt=0, description="launches, one after another")
    macs: int = Field(ge=0, description="multiply-accumulates")
    padded_macs: int | None = Field(None, description="with channels padded to what a GPU's INT8 kernels work on")
    moved_bytes: int = Field(gt=0, description="read and written by the kernels: weights, activations")
    fp32_macs: int = Field(
        ge=0, description="of `macs`, those in layers that stayed FP32; on a GPU held to the rate of FP16"
    )


class Projected(Frozen):
    """The least time of one workload on one device, by roofline. Not a measurement."""

    bundle: str
    network: str = Field(description="of its workload")
    precision: Literal["fp32", "fp16", "int8"]
    device: str = Field(description="name of one of `devices`")
    projected_milliseconds: float | None = Field(description="None where `devices` or `warnings` say why")
    arithmetic_milliseconds: float | None = Field(description="its part if memory took no time; nothing goes below it")
    memory_milliseconds: float | None = Field(description="its part if arithmetic took no time")


class Projection(Frozen):
    """What is known of a device that was not there."""

    kind: Literal["edgefer projection"] = "edgefer projection"
    format: Literal[2] = FORMAT
    created: str = Field(description="UTC, ISO 8601")
    repeat: str = Field(description="the command that writes this again")
    measure: str = Field(description="the command that measures instead")
    device: Family = Field(description="that was asked for")
    statement: str = Field(description="that nothing was measured on one")
    threads: int = Field(1, ge=1, description="cores that times are projected for; 1 for a GPU")
    method: str = Field(description="how times are projected, and what they leave out")
    machine: Machine = Field(description="that ran the networks' numerics")
    versions: dict[str, str]
    data: TestData
    bundles: list[BundleEntry]
    networks: list[ProjectedNetwork]
    workloads: list[Workload]
    devices: list[DeviceSpec] = Field(description="their makers' figures, each with its source")
    projected: list[Projected]
    warnings: list[str]
