"""An engine run by TensorRT or TensorRT for RTX: activate, infer, deactivate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, paths
from edgefer.errors import InputError, LackError
from edgefer.runtimes import cuda, tensorrt
from edgefer.runtimes.cuda import Cuda, Stream
from edgefer.runtimes.tensorrt import Flavour


class Session:
    """An engine that is ready to run: page-locked buffers, one stream, and a CUDA graph for a batch that comes again.

    Attributes:
        shape: (channels, height, width) of one input.
        classes: number of outputs.
        most: images at a time; `infer` cuts larger batches.
        gpu: that it runs on.
        graphs: whether inferences are CUDA graphs: None before the first one comes again, False from the first one
            that could not be recorded.
        transfers: ``copied`` to and from the device, or ``mapped`` into it.
        on_gpu: names of the layers that a DLA was asked for and could not take.
        engine_bytes: size of the engine.
        buffer_bytes: memory for inputs and outputs that the device reaches, of `most` images.
    """

    def __init__(
        self,
        engine: Any,
        context: Any,
        stream: Stream,
        layer: Cuda,
        flavour: Flavour,
        graphs: bool,
        resources: ExitStack,
        cache: _Kernels | None,
    ) -> None:
        trt = tensorrt.api(flavour)
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        outputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]
        if len(inputs) != 1 or len(outputs) != 1 or any(engine.get_tensor_dtype(name) != trt.float32 for name in names):
            raise InputError("an engine must have one input and one output, both float32")
        self._input = inputs[0]
        self.most, *sides = (int(side) for side in engine.get_tensor_profile_shape(self._input, 0)[2])
        self.shape = tuple(sides)
        self.classes = int(engine.get_tensor_shape(outputs[0])[1])
        self.gpu = stream.gpu
        self.graphs: bool | None = None if graphs else False
        self.transfers = "mapped" if stream.gpu.integrated else "copied"
        self._engine, self._context, self._stream, self._layer = engine, context, stream, layer
        self._flavour, self._cache = flavour, cache
        self._resources = resources  # closed in reverse: buffers before the stream
        self._in_bytes, self._out_bytes = 4 * int(np.prod(sides)), 4 * self.classes  # of one image
        self._in, self._out = (
            resources.enter_context(layer.buffer(stream, self.most * each))
            for each in (self._in_bytes, self._out_bytes)
        )
        context.set_tensor_address(self._input, self._in.pointer)
        context.set_tensor_address(outputs[0], self._out.pointer)
        self.on_gpu: tuple[str, ...] = ()
        self.engine_bytes = 0
        self.buffer_bytes = self.most * (self._in_bytes + self._out_bytes)
        self._batch = 0  # that the context is set to
        self._recorded = ExitStack()  # the graph of that batch
        self._launch: Callable[[], None] | None = None
        resources.callback(self._recorded.close)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of a batch.

        Args:
            batch: float32, (N, C, H, W), what `Preprocessing.apply` gives.

        Returns:
            float32, (N, classes).

        Raises:
            InputError: the batch has another type or shape than the engine takes.
            LackError: the GPU fails.
        """
        if self._context is None:
            raise RuntimeError("the engine has been deactivated")
        if batch.dtype != np.float32 or batch.ndim != 4 or batch.shape[1:] != self.shape or not len(batch):
            wanted = ", ".join(map(str, ("N", *self.shape)))
            raise InputError(
                f"the engine cannot run on {batch.dtype} of shape {batch.shape}: it takes float32 ({wanted})"
            )
        if len(batch) <= self.most:
            return self._infer(batch)
        parts = [self._infer(batch[start : start + self.most]) for start in range(0, len(batch), self.most)]
        return np.concatenate(parts)

    def _infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        count = len(batch)
        self._in.host[: count * self._in_bytes].view(np.float32).reshape(batch.shape)[...] = batch
        if count != self._batch:
            # The first run of a batch may allocate, which no graph records.
            self._forget()
            if not self._context.set_input_shape(self._input, batch.shape):
                raise InputError(f"the engine takes no batch of {count}")
            self._batch = count
            self._queue()
        else:
            if self._launch is None and self.graphs is not False:
                self._record()
            (self._launch or self._queue)()
        self._layer.wait(self._stream)
        out = self._out.host[: count * self._out_bytes].view(np.float32)
        return out.reshape(count, self.classes).copy()

    def _queue(self) -> None:
        self._layer.copy(self._stream, self._in, self._batch * self._in_bytes, to_device=True)
        if not self._context.execute_async_v3(self._stream.handle):
            raise LackError(f"TensorRT cannot run the engine on {self.gpu.name}: {tensorrt.last_error(self._flavour)}")
        self._layer.copy(self._stream, self._out, self._batch * self._out_bytes, to_device=False)

    def _record(self) -> None:
        capturable = getattr(self._context, "is_stream_capturable", None)  # TensorRT for RTX has it
        try:
            if capturable is None or capturable(self._stream.handle):
                self._launch = self._recorded.enter_context(self._layer.graph(self._stream, self._queue))
        except LackError:
            pass
        self.graphs = self._launch is not None

    def _forget(self) -> None:
        self._launch, self._batch = None, 0
        self._recorded.close()

    def deactivate(self) -> None:
        """Give everything back; `infer` raises from now on."""
        if self._context is None:
            return
        try:
            self._layer.wait(self._stream)  # nothing must run in what is given back
            if self._cache is not None:
                self._cache.keep()
        except LackError:
            pass  # whatever failed has been said
        finally:
            self._launch = self._context = self._engine = self._cache = None
            self._resources.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.deactivate()


class _Kernels:
    """The kernels that TensorRT for RTX compiles when an engine runs first, kept in a file for the next time."""

    def __init__(self, engine: Any, trt: ModuleType, file: Path | None) -> None:
        self.config = engine.create_runtime_config()
        self._cache = self.config.create_runtime_cache()
        self._file = file
        self._before = file.read_bytes() if file is not None and file.is_file() else b""
        if self._before:
            self._cache.deserialize(self._before)
        self.config.set_runtime_cache(self._cache)
        # Compiled before it runs, not while others run in its place: those would be timed, and recorded for good.
        strategies = trt.DynamicShapesKernelSpecializationStrategy
        self.config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER

    def keep(self) -> None:
        """Write them, if there are others than before."""
        content = bytes(self._cache.serialize())
        if self._file is None or content == self._before:
            return
        try:
            with paths.write_atomically(self._file) as part:
                part.write_bytes(content)
        except OSError as error:
            console.say(f"compiled kernels cannot be kept in {self._file.parent}: {error.strerror}")


def activate(
    engine: bytes,
    flavour: Flavour,
    layer: Cuda | None = None,
    graphs: bool = True,
    kernels: Path | None = None,
    dla: int | None = None,
) -> Session:
    """Load an engine onto the first GPU.

    Args:
        engine: from `tensorrt.build`, by the same version of TensorRT.
        flavour: that built it.
        layer: the driver; by default the one that is installed.
        graphs: record a batch size that comes again as a CUDA graph, where the engine takes that.
        kernels: TensorRT for RTX compiles kernels when an engine runs first; this file keeps them for the next time.
        dla: number of the deep learning accelerator that it was built for.

    Raises:
        LackError: no GPU, no driver, too little memory, or TensorRT cannot load the engine here.
        InputError: the engine is no classifier of images.
    """
    trt = tensorrt.api(flavour)
    layer = layer or cuda.find()
    resources = ExitStack()
    loaded = cache = context = None
    try:
        stream = resources.enter_context(layer.stream())
        loaded = tensorrt.load(engine, flavour, dla)
        if loaded is None:
            said = tensorrt.last_error(flavour)
            raise LackError(f"TensorRT {trt.__version__} cannot load the engine on {stream.gpu.name}: {said}")
        cache = _Kernels(loaded, trt, kernels) if flavour == "tensorrt_rtx" else None
        context = loaded.create_execution_context(cache.config) if cache else loaded.create_execution_context()
        if context is None:
            said = tensorrt.last_error(flavour)
            raise LackError(
                f"{stream.gpu.name} has too little memory for the engine: close what else runs there ({said})"
            )
        return Session(loaded, context, stream, layer, flavour, graphs, resources, cache)
    except BaseException:
        del context, cache, loaded  # before what they stand on
        resources.close()
        raise
