"""Figures of a network in a result, by name: paths in `NetworkEntry`, such as ``latency.p50``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from edgefer.bench.probes.cold_start import ColdStart
from edgefer.bench.probes.energy import Rail
from edgefer.bench.probes.gpu_memory import GpuMemory
from edgefer.bench.probes.memory import Memory
from edgefer.bench.result import NetworkEntry, Quality
from edgefer.evaluation.timing import Latency

_QUALITY = tuple(Quality.model_fields)
_PER_CLASS = ("images", "precision", "recall", "f1")
_ENERGY = ("seconds", "inferences", "readings")
_RAIL = tuple(field.name for field in fields(Rail))
_GROUPS = {
    "quality": _QUALITY,
    "leak_free": _QUALITY,
    "shared": _QUALITY,
    "latency": tuple(field.name for field in fields(Latency)),
    "with_preprocessing": tuple(field.name for field in fields(Latency)),
    "memory": tuple(field.name for field in fields(Memory)),
    "gpu_memory": tuple(field.name for field in fields(GpuMemory)),
    "cold_start": tuple(field.name for field in fields(ColdStart)),
    "energy": _ENERGY,
}
RAILS = "energy.rails."


def figures_of(entry: NetworkEntry) -> dict[str, float | None]:
    """Return the figures of a network; None: not measured; missing rails are omitted.

    Curves (quantiles, throughput, robustness) and the confusion matrix have none.
    """
    found: dict[str, float | None] = {"file_bytes": entry.file_bytes}
    for group, names in _GROUPS.items():
        part: Any = getattr(entry, group)
        found |= {f"{group}.{name}": None if part is None else getattr(part, name) for name in names}
    for row in entry.per_class:
        found |= {f"per_class.{row.label}.{name}": getattr(row, name) for name in _PER_CLASS}
    for rail, spent in entry.energy.rails.items() if entry.energy else ():
        found |= {f"{RAILS}{rail}.{name}": getattr(spent, name) for name in _RAIL}
    for each in entry.evaluations:
        found |= {f"evaluations.{each.data}.{each.protocol}.{name}": getattr(each.quality, name) for name in _QUALITY}
        if each.shared:
            shared = {name: getattr(each.shared, name) for name in _QUALITY}
            found |= {f"evaluations.{each.data}.{each.protocol}.shared.{name}": value for name, value in shared.items()}
    for column in entry.groups:
        for of_group in column.groups:
            start = f"groups.{column.column}.{of_group.group}"
            found |= {f"{start}.images": of_group.images, f"{start}.accuracy": of_group.accuracy.estimate}
            found |= {f"{start}.calibration_error": of_group.calibration_error.estimate}
            found |= {f"{start}.recall.{each.label}": each.recall for each in of_group.recall}
        if column.gap:
            gap = {"difference": column.gap.difference, "p_corrected": column.gap.p_corrected}
            found |= {f"groups.{column.column}.gap.{name}": value for name, value in gap.items()}
    for probe, values in entry.probes.items():
        found |= {f"probes.{probe}.{name}": value for name, value in values.items()}
    return found


def is_rail(name: str) -> bool:
    """Return whether a name is a power rail's figure, on any device."""
    return name.startswith(RAILS) and name.rpartition(".")[2] in _RAIL and name.count(".") >= 3


def is_share(name: str) -> bool:
    """Return whether a figure is a share, 0 to 1; changes of shares are in points."""
    group, last = name.partition(".")[0], name.rpartition(".")[2]
    shares = ("quality", "leak_free", "shared", "per_class", "evaluations", "groups")
    return group in shares and last not in ("images", "p_corrected")


def summary(names: list[str]) -> str:
    """Return the names for display: one entry for all classes, one for all groups."""
    short = [name for name in names if not name.startswith(("per_class.", "groups."))]
    if any(name.startswith("groups.") for name in names):
        short.append("groups.COLUMN.GROUP.accuracy, groups.COLUMN.gap.difference")
    if any(name.startswith("per_class.") for name in names):
        short += [f"per_class.CLASS.{name}" for name in _PER_CLASS]
    return ", ".join(short)
