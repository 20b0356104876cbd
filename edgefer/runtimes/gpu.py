"""A bundle's network on a GPU: its engine from the bundle, from the cache, or built now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from edgefer import console, paths
from edgefer.bundle.folder import Bundle
from edgefer.bundle.manifest import Engine
from edgefer.runtimes import cuda, engine, engine_cache, tensorrt
from edgefer.runtimes.cuda import Gpu
from edgefer.runtimes.tensorrt import Flavour

FLAVOURS: dict[str, Flavour] = {"jetson": "tensorrt", "rtx": "tensorrt_rtx"}

_WORKSPACE = 1 << 30  # bytes: where CPU and GPU share their memory, a build must not take what the system runs in


@dataclass(frozen=True)
class Options:
    """How engines are built and run.

    Attributes:
        graphs: as CUDA graphs.
        dla: number of a deep learning accelerator to build for.
        board: that the GPU stands on, with its power mode: an engine is tuned to them.
    """

    graphs: bool = True
    dla: int | None = None
    board: str | None = None


def activate(bundle: Bundle, network: str, device: str, options: Options) -> engine.Session:
    """Start a network on the first GPU.

    Args:
        bundle: from `edgefer.bundle.load`.
        network: its name in the manifest, e.g. ``int8-tensorrt``.
        device: ``jetson`` or ``rtx``.
        options: how.

    Raises:
        LackError: no GPU, no driver, TensorRT is not installed, or too little memory.
        InputError: TensorRT refuses the network.
    """
    flavour = FLAVOURS[device]
    tensorrt.api(flavour)  # what is not installed is said before what is not there
    layer = cuda.find()
    with layer.stream() as stream:
        gpu = stream.gpu
    content, on_gpu = _engine(bundle, network, gpu, flavour, options)
    digest = hashlib.sha256(content).hexdigest()[:20]
    kernels = paths.cache_dir() / "engines" / f"{digest}-sm{gpu.compute}.kernels" if flavour == "tensorrt_rtx" else None
    session = engine.activate(content, flavour, layer, options.graphs, kernels, options.dla)
    session.on_gpu, session.engine_bytes = on_gpu, len(content)
    return session


def _engine(
    bundle: Bundle, network: str, gpu: Gpu, flavour: Flavour, options: Options
) -> tuple[bytes, tuple[str, ...]]:
    """Return an engine, and the layers that no DLA took."""
    for shipped in bundle.manifest.engines if flavour == "tensorrt_rtx" else ():
        if shipped.network == network:
            why = _unfit(shipped, bundle, gpu)
            if not why:
                return bundle.engine(shipped), ()
            console.say(f"{shipped.file} {why}")
    most_batch = tensorrt.MOST_BATCH if options.dla is None else 1
    workspace = _WORKSPACE if gpu.integrated else None
    precision = bundle.manifest.networks[network].precision
    graph = bundle.file(network)
    kept = engine_cache.engine(
        graph, precision, gpu, flavour, most_batch, workspace, dla=options.dla, board=options.board
    )
    return kept.engine, kept.on_gpu


def _unfit(shipped: Engine, bundle: Bundle, gpu: Gpu) -> str:
    """Return why an engine of the bundle cannot be used here, or nothing."""
    version = str(tensorrt.api(shipped.runtime).__version__)
    if shipped.version != version:
        return f"is for TensorRT for RTX {shipped.version}, here is {version}"
    if gpu.compute not in shipped.compute:
        return f"is for SM {', '.join(shipped.compute)}, {gpu.name} is SM {gpu.compute}"
    if shipped.graph_sha256 != bundle.manifest.networks[shipped.network].sha256:
        return "was built from another graph"
    return ""
