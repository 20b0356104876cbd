"""TensorRT on a Jetson or any NVIDIA GPU, and TensorRT for RTX; engines are built if not cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, paths
from edgefer.backends import onnxruntime, targets
from edgefer.backends.base import Meter, Options, fitting
from edgefer.backends.targets import Target
from edgefer.backends.tensorrt import builder, cache, session
from edgefer.backends.tensorrt.builder import Runtime
from edgefer.backends.tensorrt.cuda import driver
from edgefer.backends.tensorrt.cuda.driver import Cuda
from edgefer.backends.tensorrt.session import EngineSession
from edgefer.bundle.folder import Bundle
from edgefer.bundle.manifest import Engine
from edgefer.devices import jetson
from edgefer.devices.gpu import Gpu
from edgefer.errors import MissingRequirement

_WORKSPACE = 1 << 30  # bytes: if CPU and GPU share memory, a build must leave enough for the system
_COMPARED = 32  # inputs for comparing a new engine with ONNX Runtime


class TensorRT:
    """See `edgefer.backends.base.Backend`.

    Args:
        device: its name for users.
        title: the runtime's name.
        runtime: the Python module.
        target: form of INT8 graph that it reads.
        jetson: whether it is for Jetsons; None: any.
        sensors: kinds of energy sensor.
    """

    automatic = True
    on_gpu = True

    def __init__(
        self, device: str, title: str, runtime: Runtime, target: Target, jetson: bool | None, sensors: Sequence[str]
    ) -> None:
        self.device, self.title, self.runtime = device, title, runtime
        self.targets: tuple[Target, ...] = (target,)
        self.sensors = sensors
        self._jetson = jetson

    def check(self) -> None:
        """Return if TensorRT is installed and there is a GPU of this device's kind."""
        _, gpu = self._found()
        if self._jetson is not None and self._jetson != (gpu.integrated or jetson.describe() is not None):
            raise MissingRequirement(f"{gpu.name} is {'no' if self._jetson else 'a'} Jetson; choose another --device")

    def version(self) -> str:
        """Return its version."""
        return f"{self.title} {builder.api(self.runtime).__version__}"

    def networks(self, bundle: Bundle) -> list[str]:
        """Return plain networks and those for TensorRT."""
        return fitting(bundle, self.targets)

    def open(self, bundle: Bundle, network: str, options: Options) -> EngineSession:
        """Start a network on the first GPU; build its engine if none fits."""
        layer, gpu = self._found()
        content, on_gpu, new = self._engine(bundle, network, gpu, options)
        digest = hashlib.sha256(content).hexdigest()[:20]
        kept = paths.cache_dir() / "engines" / f"{digest}-sm{gpu.compute}.kernels"
        kernels = kept if self.runtime == "tensorrt_rtx" else None
        opened = session.open_engine(content, self.runtime, layer, options.cuda_graphs, kernels, options.dla)
        opened.on_gpu, opened.engine_bytes = on_gpu, len(content)
        if new:
            try:
                _compare(opened, bundle.file(network), f"the {network} engine on {gpu.name}")
            except BaseException:
                opened.close()
                raise
        return opened

    def open_model(self, model: Path | bytes, threads: int = 1) -> EngineSession:
        """Refuse: an engine takes minutes to build, and a graph says little about its target."""
        raise MissingRequirement(f"{self.title} runs only networks of a bundle")

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Refuse: TensorRT needs an engine for each picture size."""
        raise MissingRequirement(f"{self.title} runs only networks of a bundle")

    def meter(self) -> AbstractContextManager[Meter]:
        """Return a reader of the GPU's free memory that excludes the CUDA context."""
        return _meter()

    def _found(self) -> tuple[Cuda, Gpu]:
        """Return the driver and the GPU; missing packages are reported before missing hardware."""
        builder.api(self.runtime)
        layer = driver.find()
        with layer.device() as device:
            return layer, device.gpu

    def _engine(self, bundle: Bundle, network: str, gpu: Gpu, options: Options) -> tuple[bytes, tuple[str, ...], bool]:
        """Return an engine, the layers that DLA could not run, and whether it was just built."""
        for shipped in bundle.manifest.engines if self.runtime == "tensorrt_rtx" else ():
            if shipped.network == network:
                why = _unfit(shipped, bundle, gpu)
                if not why:
                    return bundle.engine(shipped), (), False
                console.say(f"{shipped.file} {why}")
        kept = cache.engine(
            bundle.file(network),
            bundle.manifest.networks[network].precision,
            gpu,
            self.runtime,
            builder.MAX_BATCH if options.dla is None else 1,
            _WORKSPACE if gpu.integrated else None,
            dla=options.dla,
            board=options.board or jetson.named(jetson.describe()),
        )
        return kept.engine, kept.on_gpu, kept.built is not None


JETSON = TensorRT("jetson", "TensorRT", "tensorrt", targets.TENSORRT, True, ["INA3221"])
GPU = TensorRT("tensorrt", "TensorRT", "tensorrt", targets.TENSORRT, None, ["INA3221", "nvidia-smi"])
RTX = TensorRT("rtx", "TensorRT for RTX", "tensorrt_rtx", targets.RTX, False, ["nvidia-smi"])


@contextmanager
def _meter() -> Iterator[Callable[[], int]]:
    layer = driver.find()
    with layer.device() as device:

        def free() -> int:
            with layer.current(device):
                return layer.free()

        yield free


def _compare(opened: EngineSession, graph: Path, what: str) -> None:
    """Refuse an engine that disagrees with ONNX Runtime on the same graph.

    On noise most labels must agree: rounding changes a few, a wrong engine most.
    """
    shape = (_COMPARED, *(int(side or 1) for side in opened.input_shape))
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with onnxruntime.open_model(graph) as right:
        wanted = right.infer(noise)
    found = opened.infer(noise)
    same = int((found.argmax(axis=1) == wanted.argmax(axis=1)).sum())
    if not np.isfinite(found).all() or same < _COMPARED // 2:
        raise MissingRequirement(
            f"{what} gives wrong results: {same} of {_COMPARED} predictions equal ONNX Runtime's; update "
            "TensorRT or the driver, and attach `edgefer doctor --json` to a bug report"
        )
    if same < _COMPARED - 3:
        console.say(
            f"{what} agrees with ONNX Runtime on {same} of {_COMPARED} predictions: check it with `edgefer bench`"
        )


def _unfit(shipped: Engine, bundle: Bundle, gpu: Gpu) -> str:
    """Return why an engine of the bundle cannot be used here, or nothing."""
    version = str(builder.api(shipped.runtime).__version__)
    if shipped.version != version:
        return f"is for TensorRT for RTX {shipped.version}, not {version}"
    if gpu.compute not in shipped.compute:
        return f"is for SM {', '.join(shipped.compute)}, not for {gpu.name} (SM {gpu.compute})"
    if shipped.graph_sha256 != bundle.manifest.networks[shipped.network].sha256:
        return "was built from another graph"
    return ""
