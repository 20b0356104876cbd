"""Cache of engines built on this device."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefer import console, locks, paths
from edgefer.backends.tensorrt import builder
from edgefer.backends.tensorrt.builder import Built, Runtime
from edgefer.devices.gpu import Gpu
from edgefer.errors import MissingRequirement


@dataclass(frozen=True)
class Wanted:
    """The key of an engine in the cache.

    Attributes:
        graph: SHA-256 of the ONNX file.
        gpu: name of the GPU: ``Orin`` on every Jetson Orin.
        board: the GPU's board and power mode, which affect TensorRT's choices; None: unknown.
        compute: its compute capability.
        precision: of the graph.
        max_batch: images at a time.
        workspace: bytes for the builder, None: all.
        dla: number of the DLA, None for the GPU.
        runtime: that builds it.
        tensorrt: its version.
        cuda: the driver's.
    """

    graph: str
    gpu: str
    board: str | None
    compute: str
    precision: str
    max_batch: int
    workspace: int | None
    dla: int | None
    runtime: Runtime
    tensorrt: str
    cuda: str


_CHANGING = (
    "tensorrt",
    "cuda",
)  # an engine for another version of these is replaced; everything else has its own entry


@dataclass(frozen=True)
class Kept:
    """An engine from the cache.

    Attributes:
        engine: its bytes.
        path: where it is kept.
        built: the builder's report, if just built.
        on_gpu: names of the layers that DLA could not run.
    """

    engine: bytes
    path: Path
    built: Built | None
    on_gpu: tuple[str, ...]


def engine(
    graph: Path,
    precision: str,
    gpu: Gpu,
    runtime: Runtime,
    max_batch: int = builder.MAX_BATCH,
    workspace: int | None = None,
    dla: int | None = None,
    board: str | None = None,
) -> Kept:
    """Return the engine of a graph for this machine's GPU, built if the cache has none that fits.

    Two processes build the same engine once: the second waits. The cache never
    contains a partial engine.

    Args:
        graph: an ONNX file.
        precision: of the network: ``int8``.
        gpu: from the driver.
        runtime: that builds and runs it.
        max_batch: see `builder.build`, also for the next two.
        workspace: bytes.
        dla: number of a DLA.
        board: see `Wanted`.

    Raises:
        InputError: TensorRT refuses the graph.
        MissingRequirement: TensorRT is not installed, or the cache cannot be written.
    """
    version = str(builder.api(runtime).__version__)
    wanted = Wanted(
        graph=paths.sha256(graph),
        gpu=gpu.name,
        board=board,
        compute=gpu.compute,
        precision=precision,
        max_batch=max_batch,
        workspace=workspace,
        dla=dla,
        runtime=runtime,
        tensorrt=version,
        cuda=gpu.cuda,
    )
    place = path(wanted)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = place.with_suffix(".lock")
        lock.touch()
        with locks.awaited(lock, lambda: console.say("another process builds this engine: waiting for it")):
            found, why = _read(place, wanted)
            if found is not None:
                return found
            console.say(f"{why}: building it for {gpu.name}. This is done once and can take minutes")
            compute = [_named(gpu)] if runtime == "tensorrt_rtx" else []
            built = builder.build(graph.read_bytes(), runtime, compute, max_batch, workspace, dla, timings(wanted))
            _write(place, wanted, built)
    except OSError as error:
        raise MissingRequirement(
            f"cannot cache engines in {place.parent}: {error.strerror}; set EDGEFER_CACHE to a writable folder"
        ) from error
    return Kept(built.engine, place, built, built.on_gpu)


def _named(gpu: Gpu) -> str:
    """Return TensorRT for RTX's name of a GPU; GPUs without one may still work."""
    return gpu.compute if gpu.compute in builder.compute_capabilities() else builder.CURRENT


def path(wanted: Wanted) -> Path:
    """Return the path of an engine; its description is next to it."""
    fixed = {name: value for name, value in asdict(wanted).items() if name not in _CHANGING}
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    return (
        paths.cache_dir() / "engines" / f"{wanted.precision}-{wanted.runtime}-sm{wanted.compute}-{digest[:20]}.engine"
    )


def timings(wanted: Wanted) -> Path:
    """Return the path of TensorRT's timing cache, valid for one version and GPU."""
    digest = hashlib.sha256(f"{wanted.gpu} {wanted.board}".encode()).hexdigest()[:8]
    return paths.cache_dir() / "engines" / f"timings-{wanted.tensorrt}-sm{wanted.compute}-{digest}"


def _read(place: Path, wanted: Wanted) -> tuple[Kept | None, str]:
    """Return the cached engine, or None and why it cannot be used."""
    if not place.exists():
        return None, f"no {wanted.precision} engine of this network is cached yet"
    try:
        said: dict[str, Any] = json.loads(place.with_suffix(".json").read_text())
        content = place.read_bytes()
        on_gpu = tuple(map(str, said.pop("on_gpu")))
        if said.pop("sha256") != hashlib.sha256(content).hexdigest():
            return None, "the cached engine is damaged"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, "the cached engine cannot be read"
    for name, value in asdict(wanted).items():
        if said.get(name) != value:
            names = {"tensorrt": "TensorRT", "cuda": "a driver for CUDA"}
            return None, f"the cached engine is for {names.get(name, name)} {said.get(name)}, not {value}"
    return Kept(content, place, None, on_gpu), ""


def _write(place: Path, wanted: Wanted, built: Built) -> None:
    """Write description, then engine: an engine that does not match its description is rebuilt."""
    digest = hashlib.sha256(built.engine).hexdigest()
    with paths.write_atomically(place.with_suffix(".json")) as part:
        part.write_text(json.dumps({**asdict(wanted), "sha256": digest, "on_gpu": list(built.on_gpu)}, indent=1))
    with paths.write_atomically(place) as part:
        part.write_bytes(built.engine)
