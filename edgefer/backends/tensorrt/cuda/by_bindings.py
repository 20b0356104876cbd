"""The driver by `cuda.bindings` (of cuda-python)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from cuda.bindings import driver

from edgefer.backends.tensorrt.cuda.driver import Buffer, Cuda, CudaDevice, CudaStream
from edgefer.devices.gpu import Gpu
from edgefer.errors import MissingRequirement
from edgefer.lines import one_line

_OUT_OF_MEMORY = driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY
_ATTRIBUTES = driver.CUdevice_attribute


class Bindings:
    """See `edgefer.backends.tensorrt.cuda.driver.Cuda`."""

    @contextmanager
    def device(self) -> Iterator[CudaDevice]:
        """Hold the first GPU's primary context."""
        try:
            started = driver.cuInit(0)
        except Exception as error:  # without libcuda it raises another package's error
            raise MissingRequirement(f"no NVIDIA driver: {one_line(error, 200)}") from None
        if started[0] == driver.CUresult.CUDA_ERROR_NO_DEVICE:
            raise MissingRequirement("the NVIDIA driver found no GPU")
        _check(started, "start the NVIDIA driver")
        (device,) = _check(driver.cuDeviceGet(0), "open the GPU")
        gpu = _describe(device)
        waits = "auto"
        if gpu.integrated:
            set_flags, *_ = driver.cuDevicePrimaryCtxSetFlags(device, driver.CUctx_flags.CU_CTX_SCHED_SPIN)
            waits = "spin" if set_flags == driver.CUresult.CUDA_SUCCESS else "auto"
        (context,) = _check(driver.cuDevicePrimaryCtxRetain(device), "start the GPU")
        try:
            yield CudaDevice(gpu, context, waits)
        finally:
            driver.cuDevicePrimaryCtxRelease(device)

    @contextmanager
    def current(self, device: CudaDevice) -> Iterator[None]:
        """Push the context, and pop it."""
        _check(driver.cuCtxPushCurrent(device.context), "use the GPU from this thread")
        try:
            yield
        finally:
            driver.cuCtxPopCurrent()

    @contextmanager
    def stream(self, device: CudaDevice) -> Iterator[CudaStream]:
        """Make a stream."""
        (stream,) = _check(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING), "create a stream")
        try:
            yield CudaStream(int(stream), device.gpu)
        finally:
            driver.cuStreamDestroy(stream)

    @contextmanager
    def buffer(self, stream: CudaStream, count: int) -> Iterator[Buffer]:
        """Take memory."""
        flags = driver.CU_MEMHOSTALLOC_DEVICEMAP if stream.gpu.integrated else 0
        with ExitStack() as stack:
            (address,) = _check(driver.cuMemHostAlloc(count, flags), f"take {count:,} bytes of page-locked memory")
            stack.callback(driver.cuMemFreeHost, address)
            host = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(int(address)))
            if stream.gpu.integrated:
                (pointer,) = _check(driver.cuMemHostGetDevicePointer(address, 0), "map memory to the GPU")
            else:
                (pointer,) = _check(driver.cuMemAlloc(count), f"take {count:,} bytes of GPU memory")
                stack.callback(driver.cuMemFree, pointer)
            yield Buffer(host, int(pointer), stream.gpu.integrated)

    def copy(self, stream: CudaStream, buffer: Buffer, count: int, to_device: bool) -> None:
        """Queue a copy."""
        if buffer.mapped:
            return
        address = buffer.host.ctypes.data
        if to_device:
            _check(driver.cuMemcpyHtoDAsync(buffer.pointer, address, count, stream.handle), "copy to the GPU")
        else:
            _check(driver.cuMemcpyDtoHAsync(address, buffer.pointer, count, stream.handle), "copy from the GPU")

    @contextmanager
    def graph(self, stream: CudaStream, work: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Record work."""
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        with ExitStack() as stack:
            _check(driver.cuStreamBeginCapture(stream.handle, mode), "record a CUDA graph")
            try:
                work()
            finally:
                ended = driver.cuStreamEndCapture(stream.handle)  # a stream that stays in recording accepts no work
                if ended[0] == driver.CUresult.CUDA_SUCCESS:
                    stack.callback(driver.cuGraphDestroy, ended[1])
            (graph,) = _check(ended, "record a CUDA graph")
            (ready,) = _check(driver.cuGraphInstantiate(graph, 0), "prepare a CUDA graph")
            stack.callback(driver.cuGraphExecDestroy, ready)
            yield lambda: _launch(ready, stream)

    def wait(self, stream: CudaStream) -> None:
        """Wait."""
        _check(driver.cuStreamSynchronize(stream.handle), "run the network on the GPU")

    def free(self) -> int:
        """Ask for free memory."""
        free, _ = _check(driver.cuMemGetInfo(), "query the GPU's free memory")
        return int(free)


def layer() -> Cuda:
    """Return these functions."""
    return Bindings()


def _launch(ready: Any, stream: CudaStream) -> None:
    _check(driver.cuGraphLaunch(ready, stream.handle), "start a CUDA graph")


def _describe(device: Any) -> Gpu:
    wanted = ("COMPUTE_CAPABILITY_MAJOR", "COMPUTE_CAPABILITY_MINOR", "INTEGRATED")
    attributes = [getattr(_ATTRIBUTES, f"CU_DEVICE_ATTRIBUTE_{name}") for name in wanted]
    major, minor, integrated = (
        _check(driver.cuDeviceGetAttribute(each, device), "describe the GPU")[0] for each in attributes
    )
    (name,) = _check(driver.cuDeviceGetName(256, device), "describe the GPU")
    (bus,) = _check(driver.cuDeviceGetPCIBusId(32, device), "describe the GPU")
    (version,) = _check(driver.cuDriverGetVersion(), "describe the GPU")
    (memory,) = _check(driver.cuDeviceTotalMem(device), "describe the GPU")
    return Gpu(
        bus=bus.rstrip(b"\0").decode(errors="replace"),
        name=name.rstrip(b"\0").decode(errors="replace").strip(),
        compute=f"{major}{minor}",
        cuda=f"{version // 1000}.{version % 1000 // 10}",
        memory=int(memory),
        integrated=bool(integrated),
        layer="cuda.bindings",
    )


def _check(answer: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    """Return a call's results without its status."""
    status, *rest = answer
    if status == driver.CUresult.CUDA_SUCCESS:
        return tuple(rest)
    if status == _OUT_OF_MEMORY:
        raise MissingRequirement(f"out of memory: cannot {what}; close other programs on the GPU")
    raise MissingRequirement(f"cannot {what}: {getattr(status, 'name', status)}")
