"""The driver by pycuda."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from pycuda import driver

from edgefer.backends.tensorrt.cuda.driver import Buffer, Cuda, CudaDevice, CudaStream
from edgefer.devices.gpu import Gpu
from edgefer.errors import MissingRequirement
from edgefer.lines import one_line

_SPIN = 1  # CU_CTX_SCHED_SPIN
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads do not end the recording


class PyCuda:
    """See `edgefer.backends.tensorrt.cuda.driver.Cuda`."""

    def __init__(self) -> None:
        self._streams: dict[int, driver.Stream] = {}  # pycuda needs its own objects, not the driver's handles

    @contextmanager
    def device(self) -> Iterator[CudaDevice]:
        """Hold the first GPU's primary context."""
        with _checked("start the NVIDIA driver"):
            driver.init()
            device = driver.Device(0)
        gpu = _describe(device)
        waits = "auto"
        if gpu.integrated and not ctypes.CDLL("libcuda.so.1").cuDevicePrimaryCtxSetFlags_v2(0, _SPIN):
            waits = "spin"
        with _checked("start the GPU"):
            context = device.retain_primary_context()
        try:
            yield CudaDevice(gpu, context, waits)
        finally:
            # pycuda releases a context in any thread only while it is current there, and leaves the driver's stack as
            # it is: that of a context of pycuda's own would have been popped with it.
            context.push()
            context.detach()
            ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    @contextmanager
    def current(self, device: CudaDevice) -> Iterator[None]:
        """Push the context, and pop it."""
        with _checked("use the GPU from this thread"):
            device.context.push()
        try:
            yield
        finally:
            device.context.pop()

    @contextmanager
    def stream(self, device: CudaDevice) -> Iterator[CudaStream]:
        """Make a stream."""
        with _checked("create a stream"):
            stream = driver.Stream(1)  # CU_STREAM_NON_BLOCKING
        handle = stream.handle
        self._streams[handle] = stream
        del stream
        try:
            yield CudaStream(handle, device.gpu)
        finally:
            del self._streams[handle]

    @contextmanager
    def buffer(self, stream: CudaStream, count: int) -> Iterator[Buffer]:
        """Take memory."""
        flags = driver.host_alloc_flags.DEVICEMAP if stream.gpu.integrated else 0
        with _checked(f"take {count:,} bytes of page-locked memory"):
            host = driver.pagelocked_empty(count, np.uint8, mem_flags=flags)
        with ExitStack() as stack:
            stack.callback(host.base.free)
            if stream.gpu.integrated:
                with _checked("map memory to the GPU"):
                    pointer = host.base.get_device_pointer()
            else:
                with _checked(f"take {count:,} bytes of GPU memory"):
                    memory = driver.mem_alloc(count)
                stack.callback(memory.free)
                pointer = int(memory)
            yield Buffer(host, int(pointer), stream.gpu.integrated)

    def copy(self, stream: CudaStream, buffer: Buffer, count: int, to_device: bool) -> None:
        """Queue a copy."""
        if buffer.mapped:
            return
        queue, part = self._streams[stream.handle], buffer.host[:count]
        if to_device:
            with _checked("copy to the GPU"):
                driver.memcpy_htod_async(buffer.pointer, part, queue)
        else:
            with _checked("copy from the GPU"):
                driver.memcpy_dtoh_async(part, buffer.pointer, queue)

    @contextmanager
    def graph(self, stream: CudaStream, work: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Record work. pycuda has no graphs, so this calls the driver directly."""
        cuda, queue = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(stream.handle)
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        with ExitStack() as stack:
            _check(cuda.cuStreamBeginCapture_v2(queue, _THREAD_LOCAL), "record a CUDA graph")
            try:
                work()
            finally:
                ended = cuda.cuStreamEndCapture(
                    queue, ctypes.byref(graph)
                )  # otherwise the stream accepts no other work
                if not ended:
                    stack.callback(cuda.cuGraphDestroy, graph)
            _check(ended, "record a CUDA graph")
            instantiated = cuda.cuGraphInstantiateWithFlags(ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
            _check(instantiated, "prepare a CUDA graph")
            stack.callback(cuda.cuGraphExecDestroy, ready)
            yield lambda: _check(cuda.cuGraphLaunch(ready, queue), "start a CUDA graph")

    def wait(self, stream: CudaStream) -> None:
        """Wait."""
        with _checked("run the network on the GPU"):
            self._streams[stream.handle].synchronize()

    def free(self) -> int:
        """Ask for free memory."""
        with _checked("query the GPU's free memory"):
            free, _ = driver.mem_get_info()
        return int(free)


def layer() -> Cuda:
    """Return these functions."""
    return PyCuda()


@contextmanager
def _checked(what: str) -> Iterator[None]:
    try:
        yield
    except driver.MemoryError as error:
        raise MissingRequirement(f"out of memory: cannot {what}; close other programs on the GPU") from error
    except driver.Error as error:
        if "no CUDA-capable device" in str(error):
            raise MissingRequirement("the NVIDIA driver found no GPU") from error
        raise MissingRequirement(f"cannot {what}: {one_line(error)}") from error


def _check(status: int, what: str) -> None:
    if status:
        raise MissingRequirement(f"cannot {what}: CUDA error {status}")


def _describe(device: driver.Device) -> Gpu:
    major, minor = device.compute_capability()
    version = driver.get_driver_version()
    return Gpu(
        bus=device.pci_bus_id(),
        name=device.name(),
        compute=f"{major}{minor}",
        cuda=f"{version // 1000}.{version % 1000 // 10}",
        memory=device.total_memory(),
        integrated=bool(device.get_attribute(driver.device_attribute.INTEGRATED)),
        layer="pycuda",
    )
