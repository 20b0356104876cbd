"""`edgefer build`: engines for GPUs that are not here, into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_COMPUTE = "86,89,120"  # Ampere, Ada and Blackwell desktop cards


def build(
    bundle: Annotated[
        Path | None, typer.Argument(help="Default: the newest in runs/compress.", show_default=False)
    ] = None,
    sm: Annotated[str, typer.Option(help="Compute capabilities of the GPUs, one engine for all.")] = _COMPUTE,
    most_batch: Annotated[int, typer.Option(min=1, max=4096, help="Images at a time; it is fastest at one.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Build a bundle's engines for TensorRT for RTX ahead of time; no GPU is needed for it."""
    from edgefer import bundle as bundles
    from edgefer import console
    from edgefer.cli import output
    from edgefer.errors import InputError
    from edgefer.runtimes import tensorrt

    found = bundles.load(bundle) if bundle else bundles.newest()
    names = [name for name, network in found.manifest.networks.items() if network.target == "rtx"]
    if not names:
        raise InputError(f"{found.path} has no network for TensorRT for RTX; compress again with this edgefer")
    compute = [each.strip().removeprefix("sm").removeprefix("_").replace(".", "") for each in sm.lower().split(",")]
    built = []
    with console.progress("building", len(names)) as advance:
        for name in names:
            done = tensorrt.build(found.file(name).read_bytes(), "tensorrt_rtx", compute, most_batch)
            for warning in done.warnings:
                console.say(f"{name}: TensorRT warns: {warning}")
            fields = {"file": f"{name}.engine", "network": name, "runtime": "tensorrt_rtx", "version": done.version}
            found = bundles.add_engine(found, done.engine, **fields, compute=compute, most_batch=most_batch)
            built.append(
                {
                    **found.manifest.engines[-1].model_dump(),
                    "warnings": list(done.warnings),
                    "seconds": round(done.seconds, 3),
                }
            )
            advance(1, name)
    if as_json:
        output.print_json({"command": "build", "bundle": str(found.path), "engines": built})
        return
    rows = {
        str(
            engine["network"]
        ): f"{engine['bytes']:,} bytes, SM {', '.join(compute)}, TensorRT for RTX {engine['version']}"
        for engine in built
    }
    output.print_rows(f"built into {found.path}", rows)
    print("not run here: an engine needs a GPU of these, and the same version of TensorRT for RTX")
