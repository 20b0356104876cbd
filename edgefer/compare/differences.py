"""Differences of two results other than figures: protocol, machine and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgefer.bench.result import BenchResult, devices
from edgefer.lines import one_line

_SHOWN = 40  # characters of a value

Kind = Literal["protocol", "device", "hardware", "data", "software"]


class Difference(BaseModel):
    """One difference between two results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: str = Field(description="threads, cpu, digest, ...")
    a: str
    b: str

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"{self.kind}: {self.name} {one_line(self.a, _SHOWN)} and {one_line(self.b, _SHOWN)}"


# Optional figures: a result without them is otherwise comparable.
_BESIDE = ("energy_seconds", "with_preprocessing_seconds")
# Further protocols have separate rows: `only_in_one` lists them.
_ROWS_OF_THEIR_OWN = {"further_views"}


def forbidding(a: BenchResult, b: BenchResult) -> list[Difference]:
    """Return the differences that make two results not comparable."""
    kinds: tuple[tuple[Kind, Any], ...] = (
        ("protocol", lambda result: result.protocol.model_dump(exclude=_ROWS_OF_THEIR_OWN)),
        ("device", lambda result: {"device": ", ".join(devices(result))}),
        ("hardware", _hardware),
        ("data", _data),
    )
    found = [each for kind, fields in kinds for each in _between(kind, fields(a), fields(b))] + _further(a, b)
    return [each for each in found if not (each.name in _BESIDE and _said(None) in (each.a, each.b))]


def software(a: BenchResult, b: BenchResult) -> list[Difference]:
    """Return the differences in versions, which are worth knowing but do not prevent a comparison."""
    return _between("software", _software(a), _software(b))


def _between(kind: Kind, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    names = dict.fromkeys([*a, *b])
    return [
        Difference(kind=kind, name=name, a=_said(a.get(name)), b=_said(b.get(name)))
        for name in names
        if a.get(name) != b.get(name)
    ]


def _hardware(result: BenchResult) -> dict[str, Any]:
    """The hardware that determines speed, and settings that limit it.

    Excludes load, temperatures and current clocks, which vary,
    and the memory size, which varies by kernel.
    """
    machine, gpu = result.machine, result.gpu
    board, gpu_state = result.conditions.jetson_before, result.conditions.gpu_before
    found: dict[str, Any] = {
        "cpu": machine.cpu,
        "architecture": machine.architecture,
        "cores": machine.cores,
        "instructions": sorted(machine.flags),
        "virtual machine": machine.virtual,
    }
    if gpu:
        found |= {"GPU": gpu.name, "compute capability": gpu.compute, "memory shared": gpu.integrated}
    if board:
        mode, locked = board.power_mode, board.clocks_locked
        found |= {"Jetson": board.model, "power mode": mode, "clocks locked": locked}
    if gpu_state:
        found |= {"GPU": gpu_state.name, "power limit": gpu_state.max_watts, "highest clock": gpu_state.max_clock}
    return found


def _data(result: BenchResult) -> dict[str, Any]:
    data = result.data
    return {"digest": data.digest, "split": data.split, "images": data.images, "classes": list(data.classes)}


def _further(a: BenchResult, b: BenchResult) -> list[Difference]:
    """Return the further data sets with the same title but other images."""
    before, after = ({each.title: each for each in result.further_data} for result in (a, b))
    return [
        Difference(kind="data", name=f"digest of {title}", a=before[title].digest, b=after[title].digest)
        for title in before
        if title in after and before[title].digest != after[title].digest
    ]


def only_in_one(a: BenchResult, b: BenchResult) -> list[str]:
    """Return which further rows only one result has, one per line: these are not compared."""
    found = []
    for one, other, letter in ((a, b, "A"), (b, a, "B")):
        titles = {each.title for each in other.further_data}
        names = [each.title for each in one.further_data if each.title not in titles]
        views = [name for name in one.protocol.further_views if name not in other.protocol.further_views]
        columns = [*(one.groups.columns if one.groups else [])]
        others = [*(other.groups.columns if other.groups else [])]
        groups = [name for name in columns if name not in others]
        parts = (("data", names), ("protocol", views), ("groups by", groups))
        said = "; ".join(f"{what} {', '.join(each)}" for what, each in parts if each)
        if said:
            found.append(f"{said}: in {letter} only, so not compared")
    return found


def _software(result: BenchResult) -> dict[str, Any]:
    machine, gpu = result.machine, result.gpu
    board, gpu_state = result.conditions.jetson_before, result.conditions.gpu_before
    found: dict[str, Any] = dict(machine.versions)
    if devices(result) != ["cpu"]:  # its runtime is onnxruntime; see its version above
        found["runtime"] = ", ".join(dict.fromkeys(entry.runtime for entry in result.networks))
    found |= {"system": machine.os, "kernel": machine.kernel}
    if gpu:
        found |= {"CUDA": gpu.cuda, "CUDA layer": gpu.layer}
    if board:
        found |= {"Jetson Linux": board.linux, "JetPack": board.jetpack}
    if gpu_state:
        found |= {"driver": gpu_state.driver}
    return found


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "unknown" if value is None else str(value)
