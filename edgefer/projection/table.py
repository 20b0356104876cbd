"""Render a projection for an 80-column terminal: every table of times states that none was measured."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefer.console import NOTE_STYLE
from edgefer.devices.specs import DeviceSpec
from edgefer.projection.result import Projected, Projection, Workload
from edgefer.report.table import bundle_line, data_line, grid, marked, name

PROJECTED = "Projected, not measured: minimum time by roofline, batch 1"


def tables(projection: Projection) -> Group:
    """Return all of a projection except its statement, which goes first."""
    parts: list[RenderableType] = [_heading(projection), _quality(projection)]
    for bundle in projection.bundles:
        workloads = [each for each in projection.workloads if each.bundle == bundle.title]
        parts += [_times(projection, bundle.title, workloads), Text("\n".join(map(_work, workloads)))]
    parts += [Text(f"{projection.method}."), _sources(projection)]
    parts += [Text("\n".join(f"note: {each}" for each in _notes(projection)), style=NOTE_STYLE)]
    parts += [Text(f"To measure: {projection.measure}")]
    return Group(*(line for part in parts for line in (Text(), part)))


def _heading(projection: Projection) -> Text:
    return Text("\n".join([data_line(projection), *map(bundle_line, projection.bundles)]))


def _quality(projection: Projection) -> Table:
    title = marked(projection, f"Accuracy of the device's graphs, run by {projection.networks[0].runtime}")
    table = grid(title, ("network", "accuracy\n%", "95 %\ninterval", "leak-free\n%", "macro\nF1", "file\nMB"))
    for entry in projection.networks:
        quality = entry.quality
        table.add_row(
            Text(name(projection, entry)),
            f"{100 * quality.accuracy:.2f}",
            f"{100 * quality.low:.1f} to {100 * quality.high:.1f}",
            "" if entry.leak_free is None else f"{100 * entry.leak_free.accuracy:.2f}",
            f"{quality.macro_f1:.3f}",
            f"{entry.file_bytes / 1e6:.2f}",
        )
    return table


def _times(projection: Projection, bundle: str, workloads: Sequence[Workload]) -> Table:
    how = f", {projection.threads} thread{'s' * (projection.threads > 1)}" if projection.device == "pi" else ""
    title = f"{PROJECTED}{how}" + (f": {bundle}" if len(projection.bundles) > 1 else "")
    unit = "ms" if projection.device == "pi" else "us"
    headers = [f"projected\n{each.precision.upper()}, {unit}" for each in workloads]
    cpu = projection.device == "pi"
    rates = ("FP32, core\nGFLOP/s", "INT8, core\nGOP/s") if cpu else ("FP16\nTFLOP/s", "INT8\nTOP/s")
    table = grid(title, ("", "memory\nGB/s", *rates, *headers))
    for device in projection.devices:
        found = [_one(projection, each, device.name).projected_milliseconds for each in workloads]
        table.add_row(
            Text(device.name + (" (not runnable)" if device.not_runnable else "")),
            f"{device.bandwidth:g}",
            *("" if rate is None else f"{rate:.3g}" for rate in _rates(device)),
            *("" if time is None else f"{time:.2f}" if cpu else f"{1000 * time:.1f}" for time in found),
        )
    return table


def _rates(device: DeviceSpec) -> tuple[float | None, float | None]:
    """Return the rates to show: FP16 and INT8 for a GPU in 10^12/s, FP32 and INT8 per CPU core in 10^9/s."""
    if device.fp32 is None:
        return device.fp16, device.int8
    return 1000 * device.fp32, None if device.int8 is None else 1000 * device.int8


def _one(projection: Projection, workload: Workload, device: str) -> Projected:
    key = (workload.bundle, workload.network, workload.precision, device)
    return next(
        each for each in projection.projected if (each.bundle, each.network, each.precision, each.device) == key
    )


def _work(each: Workload) -> str:
    how = (
        f"from {each.network}"
        if each.as_filed
        else f"from the layers of {each.network}, as the bundle has no {each.precision.upper()} file"
    )
    return (
        f"{each.precision.upper()}: {each.kernels} kernels, {each.macs / 1e6:.1f} M multiply-accumulates, "
        f"{each.moved_bytes / 1e6:.2f} MB moved ({how})"
    )


def _sources(projection: Projection) -> Text:
    named: dict[str, list[str]] = {}
    for device in projection.devices:
        named.setdefault(device.source, []).append(device.name)
    said = "Makers' figures. Sources, derivations and checks are in projection.json:"
    return Text("\n".join([said, *(f"- {', '.join(names)}: {source}" for source, names in named.items())]))


def _notes(projection: Projection) -> list[str]:
    reasons = [(each.name, why) for each in projection.devices for why in (each.not_runnable, each.no_int8) if why]
    return [*(f"{name}: {why}" for name, why in reasons), *projection.warnings]
