"""`edgefer project`, and `edgefer bench` without its device: `projection.json`, exit code 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Bundles, CpuThreads, Data, Json, Judged
from edgefer.errors import InputError, MissingExtra, MissingRequirement

if TYPE_CHECKING:
    from typing import TypeGuard

    from edgefer.devices.specs import Family

_ABSENT = {
    "jetson": "there is no Jetson here",
    "rtx": "there is no NVIDIA GPU here",
    "pi": "this is not a Raspberry Pi",
}


def command(
    bundles: Bundles = None,
    device: Annotated[str, typer.Option(help="jetson, rtx or pi (Raspberry Pi).")] = "jetson",
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result. Default: runs/project/<time>-<name>.")
    ] = None,
    threads: CpuThreads = 1,
    split: Judged = "test",
    as_json: Json = False,
) -> None:
    """Project a bundle's latency on other devices from data sheets. Measures accuracy on this CPU."""
    if not projected(device):
        raise InputError(
            f"{device} cannot be projected, only {', '.join(_ABSENT)}. To measure it: edgefer bench --device {device}"
        )
    run(device, bundles, data, out=out, threads=threads, split=split, asked=True, as_json=as_json)


def projected(device: str) -> TypeGuard[Family]:
    """Return whether a device can be projected."""
    return device in _ABSENT


def run(
    device: Family,
    bundles: Sequence[Path] | None,
    data: Path | None,
    *,
    out: Path | None,
    threads: int,
    split: str,
    asked: bool,
    as_json: bool,
) -> None:
    """Write and print a projection.

    Raises:
        MissingRequirement: nothing was measured and `asked` is false (after printing everything), or the
            extra is missing.
    """
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.cli import output
    from edgefer.cli.options import opened

    try:
        with output.needs_extra("compress"):
            from edgefer.projection.estimate import project, statement
            from edgefer.projection.table import tables
    except MissingExtra as missing:
        raise MissingRequirement(f"{_ABSENT[device]} to measure on. For a projection: {missing}") from None
    found = opened(bundles)
    if out is not None:
        paths.check_unused(out)
    if not as_json:
        output.print_line(statement(device))  # checked first, before reading and evaluating
    projection = project(found, datasets.find(data), device=device, threads=threads, split=split)
    title = found[0].manifest.name if len(found) == 1 else f"{len(found)}-bundles"
    command = "project" if asked else "bench"
    folder = out or paths.new_run(command, title if asked else f"{title}-projected")
    with paths.write_folder_atomically(folder) as part:
        (part / "projection.json").write_text(projection.model_dump_json(indent=1) + "\n", encoding="utf-8")
    files = {"projection": str(folder / "projection.json")}
    line = (
        f"nothing was measured: {_ABSENT[device]}. To measure: {projection.measure}. `edgefer project` makes this "
        f"exit with 0"
    )
    failed = None if asked else MissingRequirement(line)
    if as_json:
        output.print_json({"command": command, **files, **projection.model_dump(mode="json")}, failed)
        return
    output.screen().print(tables(projection))
    output.print_rows("written", files)
    if failed:
        raise failed
