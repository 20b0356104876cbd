"""A minimal GPU for machines without one: a driver compiled from `libcuda.c`, under the real pycuda or
cuda.bindings. ONNX Runtime on the "device" memory replaces TensorRT's runtime, which needs a real GPU.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

SOURCE = Path(__file__).with_name("libcuda.c")
_Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def driver() -> ctypes.CDLL:
    """Compile the driver and load it before the real one: whoever asks for libcuda.so.1 from now on gets it.

    Once per process: of two copies, each would record half of a graph. It has no GPU until FAKE_CUDA_DEVICES says so,
    so that other tests of this process find none.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libcuda.so.1"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library), str(SOURCE), "-ldl"], check=True
        )
        return ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


class Engine:
    """The engine attributes that edgefer reads, from an ONNX file."""

    num_io_tensors = 2

    def __init__(self, model: bytes, most: int, trt: Any, cuda: ctypes.CDLL, dtype: Any = None) -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.most, self.trt, self.cuda, self.dtype = most, trt, cuda, dtype or trt.float32
        self.nodes = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.memory = True
        self.contexts: list[Context] = []

    def get_tensor_name(self, number: int) -> str:
        return str(self.nodes[number].name)

    def get_tensor_mode(self, name: str) -> Any:
        return self.trt.TensorIOMode.INPUT if name == self.nodes[0].name else self.trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self.dtype

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [(batch, *self.nodes[0].shape[1:]) for batch in (1, 1, self.most)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *next(node for node in self.nodes if node.name == name).shape[1:])

    def create_execution_context(self, config: Any = None) -> Context | None:
        self.config = config
        if self.memory:
            self.contexts.append(Context(self))
        return self.contexts[-1] if self.memory else None

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()


class RuntimeConfig:
    """For TensorRT for RTX: takes a cache of kernels."""

    dynamic_shapes_kernel_specialization_strategy: Any = None

    def create_runtime_cache(self) -> Any:
        return RuntimeCache()

    def set_runtime_cache(self, cache: Any) -> None:
        self.cache = cache


class RuntimeCache:
    """Counts how often it was loaded."""

    content = b"kernels"

    def deserialize(self, content: bytes) -> None:
        self.content = content + b" again"

    def serialize(self) -> bytes:
        return self.content


class Context:
    """Computes on the given addresses, in the stream's order, or when the graph is launched."""

    works = True
    recordable = True
    takes, gives_back = 0, 0  # device memory, in the first run and in the second

    def __init__(self, engine: Engine) -> None:
        self.engine, self.runs = engine, 0
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()
        self._function = _Function(self._run)

    def is_stream_capturable(self, stream: int) -> bool:
        return self.recordable

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = tuple(shape)
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.engine.cuda.cuLaunchHostFunc(ctypes.c_void_p(stream), self._function, None)
        return self.works

    def _run(self, _: Any) -> None:
        self.runs += 1
        self.engine.cuda.fake_use(ctypes.c_long({1: self.takes, 2: -self.gives_back}.get(self.runs, 0)))
        source, target = (node.name for node in self.engine.nodes)
        (logits,) = self.engine.session.run([target], {source: _at(self.addresses[source], self.shape)})
        _at(self.addresses[target], logits.shape)[...] = logits


def _at(address: int, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
