"""An engine run by TensorRT or TensorRT for RTX: activate, infer, deactivate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import paths
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
        graphs: whether inferences are CUDA graphs; False from the first one that could not be recorded.
        transfers: ``copied`` to and from the device, or ``mapped`` into it.
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
        self.gpu, self.graphs = stream.gpu, graphs
        self.transfers = "mapped" if stream.gpu.integrated else "copied"
        self._engine, self._context, self._stream, self._layer = engine, context, stream, layer
        self._resources = resources  # closed in reverse: buffers before the stream
        self._in_bytes, self._out_bytes = 4 * int(np.prod(sides)), 4 * self.classes  # of one image
        self._in, self._out = (
            resources.enter_context(layer.buffer(stream, self.most * each))
            for each in (self._in_bytes, self._out_bytes)
        )
        context.set_tensor_address(self._input, self._in.pointer)
        context.set_tensor_address(outputs[0], self._out.pointer)
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
            if self._launch is None and self.graphs:
                self._record()
            (self._launch or self._queue)()
        self._layer.wait(self._stream)
        out = self._out.host[: count * self._out_bytes].view(np.float32)
        return out.reshape(count, self.classes).copy()

    def _queue(self) -> None:
        self._layer.copy(self._stream, self._in, self._batch * self._in_bytes, to_device=True)
        if not self._context.execute_async_v3(self._stream.handle):
            raise LackError(f"TensorRT cannot run the engine on {self.gpu.name}")
        self._layer.copy(self._stream, self._out, self._batch * self._out_bytes, to_device=False)

    def _record(self) -> None:
        try:
            self._launch = self._recorded.enter_context(self._layer.graph(self._stream, self._queue))
        except LackError:
            self.graphs = False

    def _forget(self) -> None:
        self._launch, self._batch = None, 0
        self._recorded.close()

    def deactivate(self) -> None:
        """Give everything back; `infer` raises from now on."""
        self._launch = self._context = self._engine = None
        self._resources.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.deactivate()


def activate(
    engine: bytes, flavour: Flavour, layer: Cuda | None = None, graphs: bool = True, kernels: Path | None = None
) -> Session:
    """Load an engine onto the first GPU.

    Args:
        engine: from `tensorrt.build`, by the same version of TensorRT.
        flavour: that built it.
        layer: the driver; by default the one that is installed.
        graphs: record a batch size that comes again as a CUDA graph, where the engine takes that.
        kernels: TensorRT for RTX compiles kernels when an engine runs first; this file keeps them for the next time.

    Raises:
        LackError: no GPU, no driver, too little memory, or TensorRT cannot load the engine here.
        InputError: the engine is no classifier of images.
    """
    trt = tensorrt.api(flavour)
    layer = layer or cuda.find()
    resources = ExitStack()
    try:
        stream = resources.enter_context(layer.stream())
        loaded, why = tensorrt.load(engine, flavour)
        if loaded is None:
            raise LackError(f"TensorRT {trt.__version__} cannot load the engine on {stream.gpu.name}: {why}")
        config = loaded.create_runtime_config() if flavour == "tensorrt_rtx" else None
        cache = config.create_runtime_cache() if config else None
        if config and cache:
            if kernels is not None and kernels.is_file():
                cache.deserialize(kernels.read_bytes())
            config.set_runtime_cache(cache)
        context = loaded.create_execution_context(config) if config else loaded.create_execution_context()
        if context is None:
            raise LackError(
                f"out of memory: {stream.gpu.name} has too little for the engine: close what else runs there"
            )
        if hasattr(context, "is_stream_capturable"):
            graphs = graphs and bool(context.is_stream_capturable(stream.handle))
        session = Session(loaded, context, stream, layer, flavour, graphs, resources)
        if cache is not None and kernels is not None:
            session.infer(np.zeros((1, *session.shape), np.float32))  # compiles what one image takes
            with paths.write_atomically(kernels) as part:
                part.write_bytes(bytes(cache.serialize()))
    except BaseException:
        resources.close()
        raise
    return session
