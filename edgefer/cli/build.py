"""`edgefer build`: builds engines for other GPUs into a bundle, or for this machine's GPU into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Json
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.bundle.manifest import Engine

_COMPUTE = "86,89,120"  # Ampere, Ada and Blackwell desktop GPUs
_MAX_BATCH = 32
NOT_RUN = "not run here: an engine needs one of these GPUs and the same version of TensorRT for RTX"


def command(
    bundle: Annotated[
        Path | None, typer.Argument(help="Default: the newest in runs/compress.", show_default=False)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="jetson, tensorrt or rtx: build for this machine's GPU, for a fast first use."),
    ] = None,
    sm: Annotated[str, typer.Option(help="Compute capabilities of the GPUs; one engine for all.")] = _COMPUTE,
    max_batch: Annotated[int, typer.Option(min=1, max=4096, help="Largest batch; fastest at 1.")] = _MAX_BATCH,
    as_json: Json = False,
) -> None:
    """Build TensorRT engines ahead of time. For RTX GPUs, or with --device for this machine's."""
    from edgefer import bundle as bundles
    from edgefer.backends.tensorrt import ahead
    from edgefer.cli import output

    if device is not None:
        if sm != _COMPUTE or max_batch != _MAX_BATCH:
            raise InputError("--sm and --max-batch are for engines for other GPUs; omit them with --device")
        _here(device, bundle, as_json)
        return
    compute = ahead.compute_capabilities(sm)
    found = bundles.load(bundle) if bundle else bundles.newest()
    found, built = ahead.build(found, compute, max_batch, _check)
    engines = found.manifest.engines[-len(built) :]
    if as_json:
        listed = [
            {**engine.model_dump(), "warnings": list(done.warnings), "seconds": round(done.seconds, 3)}
            for engine, done in zip(engines, built, strict=True)
        ]
        output.print_json({"command": "build", "bundle": str(found.path), "engines": listed})
        return
    output.print_rows(f"built into {found.path}", rows(engines))
    output.print_line(NOT_RUN)


def _here(device: str, path: Path | None, as_json: bool) -> None:
    """Build missing engines for this machine's GPU, and print where they are cached."""
    from edgefer import bundle as bundles
    from edgefer.backends.tensorrt import ahead
    from edgefer.bench.from_paths import newest
    from edgefer.cli import output

    found = bundles.load(path) if path else newest()
    prepared = ahead.prepare(found, device)
    if as_json:
        listed = [
            {"network": each.network, "bytes": each.bytes, "seconds": round(each.seconds, 3)} for each in prepared
        ]
        output.print_json({"command": "build", "bundle": str(found.path), "device": device, "engines": listed})
        return
    rows = {each.network: f"{each.bytes:,} bytes, ready in {each.seconds:.0f} s" for each in prepared}
    output.print_rows(f"engines for {device}", rows)


def rows(engines: Sequence[Engine]) -> dict[str, str]:
    """Return a description of each engine, by the network's name."""
    return {
        engine.network: f"{engine.bytes:,} bytes, SM {', '.join(engine.compute)}, TensorRT for RTX {engine.version}"
        for engine in engines
    }


def _check(graph: Path) -> None:
    """Lint a graph before it is built, if onnx is installed; compress has linted it already."""
    from edgefer import console
    from edgefer.cli import output
    from edgefer.errors import MissingExtra

    try:
        with output.needs_extra("compress"):
            from edgefer.graph import linter
            from edgefer.graph.reading import read
    except MissingExtra:
        console.say_once("graphs are not linted before the build: linting needs the extra compress")
        return
    linter.check(read(graph), "rtx")
