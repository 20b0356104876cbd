"""What `edgefer bench` does where the device that it is asked for is not here: `projection.json`, and exit code 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import InputError, LackError, MissingExtra

if TYPE_CHECKING:
    from typing import TypeGuard

    from edgefer.devices.specs import Family

_ABSENT = {"jetson": "there is no Jetson here", "rtx": "there is no GPU of NVIDIA's here"}


def wanted(device: str, asked: bool) -> TypeGuard[Family]:
    """Return whether a bench ends in a projection: the device is not here, or `--project` asks for one.

    Raises:
        InputError: `--project` with a device that is not projected.
    """
    from edgefer.devices import present

    if device in _ABSENT:
        return asked or not present.here(device)
    if asked and device == "cpu":
        raise InputError("--project is for --device jetson or rtx; the CPU is here to be measured")
    return False


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
        LackError: nothing was measured and `asked` is false (after all has been printed), or the extra is missing.
    """
    from edgefer import bundle as opened
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.cli import output

    try:
        with output.needs_extra("compress"):
            from edgefer.projection.project import project, statement
            from edgefer.projection.table import tables
    except MissingExtra as missing:
        raise LackError(f"{_ABSENT[device]} to measure on; for a projection: {missing}") from None
    found = [opened.load(path) for path in bundles] if bundles else [opened.newest()]
    if out is not None:
        paths.check_unused(out)
    if not as_json:
        output.print_line(statement(device))  # before anything else is seen, reading and evaluating too
    projection = project(found, datasets.find(data), device=device, threads=threads, split=split)
    title = found[0].manifest.name if len(found) == 1 else f"{len(found)}-bundles"
    folder = out or paths.new_run("bench", f"{title}-projected")
    with paths.write_folder_atomically(folder) as part:
        (part / "projection.json").write_text(projection.model_dump_json(indent=1) + "\n", encoding="utf-8")
    files = {"projection": str(folder / "projection.json")}
    line = f"nothing was measured: {_ABSENT[device]}; measure: {projection.measure}; --project makes this no error"
    failed = None if asked else LackError(line)
    if as_json:
        output.print_json({"command": "bench", **files, **projection.model_dump(mode="json")}, failed)
        return
    output.screen().print(tables(projection))
    output.print_rows("written", files)
    if failed:
        raise failed
