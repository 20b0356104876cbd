"""Engines built ahead of time: into a bundle for other GPUs, into the cache for this machine's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer import bundle as bundles
from edgefer import console
from edgefer.backends import registry
from edgefer.backends.tensorrt import builder
from edgefer.backends.tensorrt.builder import Built
from edgefer.bundle import Bundle
from edgefer.errors import InputError


@dataclass(frozen=True)
class Prepared:
    """An engine in the cache.

    Attributes:
        network: its name in the bundle.
        bytes: size of the engine.
        seconds: time to build and load it, or to load it.
    """

    network: str
    bytes: int
    seconds: float


def prepare(bundle: Bundle, device: str) -> list[Prepared]:
    """Build the engines of all of a bundle's networks for this machine's GPU, and load each once.

    Raises:
        InputError: unknown device, not a TensorRT device, or TensorRT rejects a network.
        MissingRequirement: no such GPU, or TensorRT is not installed.
    """
    backend = registry.get(device)
    if not backend.on_gpu:
        raise InputError(f"--device {device} needs no engine; jetson, tensorrt and rtx do")
    backend.check()
    prepared = []
    names = backend.networks(bundle)
    with console.progress("preparing engines", len(names)) as advance:
        for name in names:
            started = time.monotonic()
            with registry.open_network(bundle, name, device) as session:
                size = int(session.details().network.get("engine_bytes") or 0)
            prepared.append(Prepared(name, size, time.monotonic() - started))
            advance(1, name)
    return prepared


def compute_capabilities(named: str) -> list[str]:
    """Parse compute capabilities as users write them: ``8.6,SM89``.

    Raises:
        InputError: one of them is not supported by TensorRT for RTX.
        MissingRequirement: it is not installed.
    """
    found = [each.strip().removeprefix("sm").removeprefix("_").replace(".", "") for each in named.lower().split(",")]
    found = list(dict.fromkeys(found))
    builder.check_compute(found)
    return found


def build(
    bundle: Bundle, compute: Sequence[str], max_batch: int, check: Callable[[Path], None] | None = None
) -> tuple[Bundle, list[Built]]:
    """Build an engine of each RTX network and add it to the bundle, with its sidecar.

    Args:
        bundle: from `edgefer.bundle.load`.
        compute: compute capabilities, one engine for all: ``["86", "89"]``.
        max_batch: largest batch.
        check: rejects graphs that TensorRT would reject or misread (`edgefer.graph.linter`, which needs onnx).

    Returns:
        The updated bundle, and the builder's report on each engine, in the manifest's order.

    Raises:
        InputError: the bundle has no network for RTX, TensorRT rejects one, or a compute capability is unknown.
        MissingRequirement: TensorRT for RTX is not installed.
    """
    names = [name for name, network in bundle.manifest.networks.items() if network.target == "rtx"]
    if not names:
        raise InputError(f"{bundle.path} has no network for TensorRT for RTX; compress again with this edgefer")
    if check is not None:
        for name in names:
            check(bundle.file(name))
    built = []
    with console.progress("building", len(names)) as advance:
        for name in names:
            built.append(builder.build(bundle.content(name), "tensorrt_rtx", compute, max_batch))
            advance(1, name)
    for name, done in zip(names, built, strict=True):  # all or none
        for warning in done.warnings:
            console.say(f"{name}: TensorRT warns: {warning}")
        fields = {"file": f"{name}.engine", "network": name, "runtime": "tensorrt_rtx", "version": done.version}
        bundle = bundles.add_engine(bundle, done.engine, **fields, compute=list(compute), max_batch=max_batch)
    return bundle, built
