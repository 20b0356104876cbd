"""A running engine, shared by all threads; each thread has its own lane."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, paths
from edgefer.backends.base import Closing, Details, Sides, in_parts, padded
from edgefer.backends.tensorrt import builder
from edgefer.backends.tensorrt.builder import Runtime
from edgefer.backends.tensorrt.cuda import driver
from edgefer.backends.tensorrt.cuda.driver import Cuda, CudaDevice
from edgefer.errors import InputError, MissingRequirement


class EngineSession(Closing):
    """An engine that is ready to run; see `edgefer.backends.base.Session`.

    The engine is shared. A TensorRT execution context is not thread-safe, so each thread has a
    lane: a stream, page-locked buffers, and for each batch of 1, 2, 4, ... images a context and a CUDA graph.

    Attributes:
        input_shape: (channels, height, width) of one input.
        classes: number of outputs.
        max_batch: largest batch; `infer` splits larger ones.
        on_gpu: names of the layers that the DLA could not run.
        engine_bytes: size of the engine.
    """

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self.input_shape: Sides = shared.sides
        self.classes: int = shared.classes
        self.max_batch = shared.max_batch
        self.on_gpu: tuple[str, ...] = ()
        self.engine_bytes = 0
        self._lanes = threading.local()
        with shared.layer.current(shared.device):
            self._lanes.mine = shared.lane()
            self._lanes.mine.lane.prepare(1)  # report missing memory now, not at the first prediction
        # Runs at exit, or after garbage collection, on any thread.
        self._finalizer = weakref.finalize(self, shared.close)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of a batch."""
        shared = self._shared
        shared.check_open()
        sides = self.input_shape
        if batch.dtype != np.float32 or batch.ndim != 4 or batch.shape[1:] != sides or not len(batch):
            wanted = ", ".join(map(str, ("N", *sides)))
            raise InputError(
                f"the engine cannot run on {batch.dtype} of shape {batch.shape}: it takes float32 ({wanted})"
            )
        mine: _Mine | None = getattr(self._lanes, "mine", None)
        with shared.layer.current(shared.device):
            if mine is None:
                mine = self._lanes.mine = shared.lane()
            lane = mine.lane
            with lane.lock:
                shared.check_open()
                return in_parts(lane.infer, batch, self.max_batch)

    def close(self) -> None:
        """Free the resources of all threads; `infer` raises from now on."""
        self._finalizer()

    def details(self) -> Details:
        """Return what a result records about an engine."""
        shared = self._shared
        return Details(
            protocol={
                "transfers": "mapped" if shared.device.gpu.integrated else "copied",
                "cuda_graphs": shared.graphs,
                "waits": shared.device.waits,
                "dla": shared.dla,
                "tf32": True,
                "graph_optimization": None,
                "arena": None,
            },
            network={
                "engine_bytes": self.engine_bytes,
                "cuda_graphs": shared.recorded,
                "on_gpu": list(self.on_gpu),
            },
            gpu=shared.device.gpu,
            buffer_bytes=shared.max_batch * (shared.in_bytes + shared.out_bytes),
        )


class _Shared:
    """State shared by all threads; has no reference to the session, so that it can be garbage-collected."""

    def __init__(
        self,
        engine: Any,
        runtime: Runtime,
        layer: Cuda,
        device: CudaDevice,
        graphs: bool,
        resources: ExitStack,
        kernels: _Kernels | None,
        dla: int | None,
    ) -> None:
        trt = builder.api(runtime)
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        outputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]
        if len(inputs) != 1 or len(outputs) != 1 or any(engine.get_tensor_dtype(name) != trt.float32 for name in names):
            raise InputError("an engine must have one input and one output, both float32")
        self.input, self.output = inputs[0], outputs[0]
        least, _, most = (tuple(shape) for shape in engine.get_tensor_profile_shape(self.input, 0))
        self.min_batch, self.max_batch = int(least[0]), int(most[0])
        self.sides = tuple(int(side) for side in most[1:])
        self.classes = int(engine.get_tensor_shape(self.output)[1])
        self.in_bytes, self.out_bytes = 4 * int(np.prod(self.sides)), 4 * self.classes  # of one image
        self.engine: Any | None = engine
        self.runtime, self.layer, self.device, self.kernels = runtime, layer, device, kernels
        self.graphs, self.dla = graphs, dla
        self.recorded = graphs  # False after the first batch that could not be recorded
        self._resources = resources
        self._process = os.getpid()
        self._lock = threading.RLock()  # reentrant: garbage collection may return a lane while it is held
        self._lanes: dict[int, tuple[threading.Lock, ExitStack]] = {}

    def check_open(self) -> None:
        """Raise if the session is closed or forked."""
        if os.getpid() != self._process:
            raise RuntimeError("this process was forked from the one that loaded the engine; load it again here")
        if self.engine is None:
            raise RuntimeError("the engine has been closed")

    def lane(self) -> _Mine:
        """Return the calling thread's lane; it is returned when the thread ends."""
        resources = ExitStack()
        try:
            with self._lock:
                self.check_open()
                lane = _Lane(self, resources)
                self._lanes[id(resources)] = (lane.lock, resources)
        except BaseException:
            resources.close()
            raise
        mine = _Mine(lane)
        weakref.finalize(mine, self._end, id(resources))
        return mine

    def _end(self, key: int) -> None:
        """Return a lane."""
        if os.getpid() != self._process:
            return
        with self._lock:
            _, resources = self._lanes.pop(key, (None, None))
        if resources is not None:
            with self.layer.current(self.device):
                resources.close()

    def close(self) -> None:
        """Free all resources, once."""
        if os.getpid() != self._process or self.engine is None:
            return
        with self._lock:
            lanes, self._lanes = list(self._lanes.values()), {}
            engine, self.engine = self.engine, None
        try:
            with self.layer.current(self.device), ExitStack() as stack:
                if self.kernels is not None:
                    stack.callback(self.kernels.keep)
                for lock, resources in lanes:
                    stack.push(resources)
                    stack.enter_context(lock)  # until that thread's inference is done
        except MissingRequirement:
            pass  # the failure has been reported
        finally:
            self.kernels = None
            del engine  # before the context it depends on
            self._resources.close()


class _Mine:
    """Holds a thread's lane in thread-local storage."""

    def __init__(self, lane: _Lane) -> None:
        self.lane = lane


class _Lane:
    """One thread's resources."""

    def __init__(self, shared: _Shared, resources: ExitStack) -> None:
        self.lock = threading.Lock()
        self._shared = shared
        self._resources = resources  # closed in reverse: graphs, contexts, buffers, the stream
        self._stream = resources.enter_context(shared.layer.stream(shared.device))
        self._in, self._out = (
            resources.enter_context(shared.layer.buffer(self._stream, shared.max_batch * each))
            for each in (shared.in_bytes, shared.out_bytes)
        )
        resources.callback(self._wait)  # nothing must run in freed memory
        self._slots: dict[int, _Slot] = {}

    def prepare(self, count: int) -> _Slot:
        """Return what runs a batch of `count` images, padded to a power of two."""
        size = max(self._shared.min_batch, min(padded(count), self._shared.max_batch))
        if size not in self._slots:
            self._slots[size] = _Slot(self._shared, self, size, self._resources)
        return self._slots[size]

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run one batch; images are independent, so padding changes nothing."""
        shared, count = self._shared, len(batch)
        slot = self.prepare(count)
        size = slot.size
        host = self._in.host[: size * shared.in_bytes].view(np.float32).reshape(size, *shared.sides)
        host[:count] = batch
        host[count:] = 0
        slot.run()
        self._wait()
        out = self._out.host[: count * shared.out_bytes].view(np.float32)
        return out.reshape(count, shared.classes).copy()

    def _wait(self) -> None:
        self._shared.layer.wait(self._stream)


class _Slot:
    """An execution context for one batch size, with a CUDA graph from the second use on."""

    def __init__(self, shared: _Shared, lane: _Lane, size: int, resources: ExitStack) -> None:
        assert shared.engine is not None
        self._shared, self._lane, self.size, self._resources = shared, lane, size, resources
        config = (shared.kernels.config,) if shared.kernels else ()
        context = shared.engine.create_execution_context(*config)
        if context is None:
            said = builder.last_error(shared.runtime)
            raise MissingRequirement(
                f"{shared.device.gpu.name} has not enough memory for the engine: close other programs that use it "
                f"({said})"
            )
        self._context: Any = context
        resources.callback(self._forget)
        buffers = ((shared.input, lane._in), (shared.output, lane._out))
        if not all(context.set_tensor_address(name, buffer.pointer) for name, buffer in buffers):
            raise MissingRequirement(f"TensorRT rejects the engine's buffers: {builder.last_error(shared.runtime)}")
        if not context.set_input_shape(shared.input, (size, *shared.sides)):
            raise InputError(f"the engine does not accept a batch of {size}")
        self._ran = False
        self._launch: Callable[[], None] | None = None

    def run(self) -> None:
        """Queue the inference. The first run may allocate, which cannot be recorded, so the second is recorded."""
        if self._ran and self._launch is None and self._shared.recorded:
            self._record()
        (self._launch or self._queue)()
        self._ran = True

    def _queue(self) -> None:
        shared, lane = self._shared, self._lane
        shared.layer.copy(lane._stream, lane._in, self.size * shared.in_bytes, to_device=True)
        if not self._context.execute_async_v3(lane._stream.handle):
            said = builder.last_error(shared.runtime)
            raise MissingRequirement(f"TensorRT cannot run the engine on {shared.device.gpu.name}: {said}")
        shared.layer.copy(lane._stream, lane._out, self.size * shared.out_bytes, to_device=False)

    def _record(self) -> None:
        shared, stream = self._shared, self._lane._stream
        capturable = getattr(self._context, "is_stream_capturable", None)  # only in TensorRT for RTX
        try:
            if capturable is None or capturable(stream.handle):
                self._launch = self._resources.enter_context(shared.layer.graph(stream, self._queue))
        except MissingRequirement:
            pass
        shared.recorded = self._launch is not None

    def _forget(self) -> None:
        self._launch = self._context = None


class _Kernels:
    """File cache of the kernels that TensorRT for RTX compiles on an engine's first run."""

    def __init__(self, engine: Any, trt: ModuleType, file: Path | None) -> None:
        self.config = engine.create_runtime_config()
        self._cache = self.config.create_runtime_cache()
        self._file = file
        self._before = file.read_bytes() if file is not None and file.is_file() else b""
        if self._before:
            self._cache.deserialize(self._before)
        self.config.set_runtime_cache(self._cache)
        # Compile before running: with lazy compilation, substitute kernels would be timed and recorded.
        strategies = trt.DynamicShapesKernelSpecializationStrategy
        self.config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER

    def keep(self) -> None:
        """Write new kernels."""
        content = bytes(self._cache.serialize())
        if self._file is None or content == self._before:
            return
        try:
            with paths.write_atomically(self._file) as part:
                part.write_bytes(content)
        except OSError as error:
            console.say(f"cannot cache compiled kernels in {self._file.parent}: {error.strerror}")


def open_engine(
    engine: bytes,
    runtime: Runtime,
    layer: Cuda | None = None,
    graphs: bool = True,
    kernels: Path | None = None,
    dla: int | None = None,
) -> EngineSession:
    """Load an engine onto the first GPU.

    Args:
        engine: from `builder.build`, by the same version of TensorRT.
        runtime: that built it.
        layer: the driver; by default the installed one.
        graphs: record repeated batch sizes as CUDA graphs, if the engine supports it.
        kernels: file cache of the kernels that TensorRT for RTX compiles.
        dla: number of the deep learning accelerator that it was built for.

    Raises:
        MissingRequirement: no GPU, no driver, not enough memory, or TensorRT cannot load the engine.
        InputError: the engine is not an image classifier.
    """
    trt = builder.api(runtime)
    layer = layer or driver.find()
    with ExitStack() as resources:
        device = resources.enter_context(layer.device())
        with layer.current(device):
            loaded = builder.load(engine, runtime, dla)
            if loaded is None:
                said = builder.last_error(runtime)
                raise MissingRequirement(
                    f"TensorRT {trt.__version__} cannot load the engine on {device.gpu.name}: {said}"
                )
            cache = _Kernels(loaded, trt, kernels) if runtime == "tensorrt_rtx" else None
            shared = _Shared(loaded, runtime, layer, device, graphs, resources, cache, dla)
            del loaded, cache
        shared._resources = resources.pop_all()
    try:
        return EngineSession(shared)
    except BaseException:
        shared.close()
        raise
