"""Check that NVIDIA's driver supports what edgefer's TensorRT sessions need, on a GPU without TensorRT.

python benchmarks/runtimes/driver.py [--threads 8] [--out driver.json]

Runs edgefer's own driver layer (cuda.bindings, else pycuda) with copies in the place of a network: numbers go to the
GPU and come back, in many threads, from recorded graphs, from sessions that close in another order than they opened.
Each section ends as ran, stand-in (a test's GPU), missing or failed. Exit code: 0, 1 a section failed, 3 no GPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import protocol
from edgefer import paths
from edgefer.backends.tensorrt.cuda import driver
from edgefer.backends.tensorrt.cuda.driver import Buffer, Cuda, CudaDevice, CudaStream
from edgefer.devices import machine, nvidia
from edgefer.errors import EdgeferError

_BYTES = 1 << 20
_LAUNCHES = 1000


class _NotThere(Exception):
    """A requirement of a section, besides the driver, is not installed."""


class Lane:
    """A thread's resources: a stream and a buffer, in the current context."""

    def __init__(self, cuda: Cuda, device: CudaDevice) -> None:
        self.cuda, self.device, self._stack = cuda, device, ExitStack()
        with cuda.current(device):
            self.stream: CudaStream = self._stack.enter_context(cuda.stream(device))
            self.buffer: Buffer = self._stack.enter_context(cuda.buffer(self.stream, _BYTES))

    def close(self) -> None:
        with self.cuda.current(self.device):
            self._stack.close()

    def round_trip(self, value: int) -> bool:
        """Return whether bytes survive the round trip to the GPU."""
        with self.cuda.current(self.device):
            self.buffer.host[:] = value
            self.cuda.copy(self.stream, self.buffer, _BYTES, to_device=True)
            self.cuda.wait(self.stream)
            if not self.buffer.mapped:
                self.buffer.host[:] = 0
            self.cuda.copy(self.stream, self.buffer, _BYTES, to_device=False)
            self.cuda.wait(self.stream)
        return bool((self.buffer.host == value).all())


def threads(cuda: Cuda, device: CudaDevice, count: int) -> str:
    """Each thread has its own current context, stream and buffer."""
    together = threading.Barrier(count)

    def work(number: int) -> bool:
        lane = Lane(cuda, device)
        together.wait(timeout=60)
        try:
            return all(lane.round_trip((number + turn) % 251 + 1) for turn in range(20))
        finally:
            lane.close()

    with ThreadPoolExecutor(count) as pool:
        right = list(pool.map(work, range(count)))
    if not all(right):
        raise RuntimeError(f"{right.count(False)} of {count} threads got other bytes back than they sent")
    return f"{count} threads at once, 20 round trips of {_BYTES:,} bytes each"


def graphs(cuda: Cuda, device: CudaDevice) -> str:
    """A recorded copy uses the buffer's content at launch, each time it is launched."""
    lane = Lane(cuda, device)
    times = []
    try:
        with cuda.current(device):
            work: Callable[[], None] = lambda: cuda.copy(lane.stream, lane.buffer, _BYTES, True)  # noqa: E731
            with cuda.graph(lane.stream, work) as launch:
                for number in range(_LAUNCHES):
                    lane.buffer.host[:64] = number % 251
                    start = time.perf_counter_ns()
                    launch()
                    cuda.wait(lane.stream)
                    times.append((time.perf_counter_ns() - start) / 1000)
            lane.buffer.host[:64] = 0 if not lane.buffer.mapped else lane.buffer.host[:64]
            cuda.copy(lane.stream, lane.buffer, _BYTES, to_device=False)
            cuda.wait(lane.stream)
        if not (lane.buffer.host[:64] == (_LAUNCHES - 1) % 251).all():
            raise RuntimeError("what came back is not what the last launch copied")
    finally:
        lane.close()
    return f"{_LAUNCHES} launches, p50 {statistics.median(times):.1f} us with a copy of {_BYTES:,} bytes"


def order(cuda: Cuda) -> str:
    """Three holders of the primary context close in a different order than they opened, in another thread."""
    with ExitStack() as rest:
        stacks = [ExitStack() for _ in range(3)]
        devices = [stack.enter_context(cuda.device()) for stack in stacks]
        lanes = [Lane(cuda, device) for device in devices]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lanes[0].close).result()
            pool.submit(stacks[0].close).result()
        rest.callback(stacks[1].close)
        rest.callback(lanes[1].close)
        lanes[2].close()
        stacks[2].close()
        if not lanes[1].round_trip(77):
            raise RuntimeError("the second holder got other bytes back after the others had closed")
    return "first and third closed, the second still worked"


def memory(cuda: Cuda, device: CudaDevice) -> str:
    """All resources are released."""
    with cuda.current(device):
        before = cuda.free()
    for _ in range(50):
        lane = Lane(cuda, device)
        lane.close()
    with cuda.current(device):
        lost = before - cuda.free()
    if lost > 25 * _BYTES:
        raise RuntimeError(f"{lost:,} bytes are gone after 50 buffers were taken and given back")
    return f"{before:,} bytes free, {max(0, lost):,} fewer after 50 buffers"


def readings(device: CudaDevice) -> str:
    """NVML's description of the GPU, from nvidia-smi."""
    card = nvidia.describe(None if device.gpu.integrated else device.gpu.bus)
    if card is None:
        raise _NotThere("nvidia-smi is not there or says nothing (a Jetson has none)")
    unread = [name for name in ("temperature", "clock", "watts", "throttled") if getattr(card, name) is None]
    return f"{card.model_dump_json()}{f'; not said: {unread}' if unread else ''}"


def run(count: int) -> tuple[dict[str, Any], int]:
    """Run all sections; return the result and the exit code."""
    found: dict[str, dict[str, str]] = {}
    code = 0
    with ExitStack() as stack:
        cuda = driver.find()
        device = stack.enter_context(cuda.device())
        gpu = asdict(device.gpu)
        state = "stand-in" if device.gpu.name == "Fake GPU" else "ran"
        sections: dict[str, Callable[[], str]] = {
            "a context a thread": lambda: threads(cuda, device, count),
            "graphs": lambda: graphs(cuda, device),
            "closing out of order": lambda: order(cuda),
            "memory given back": lambda: memory(cuda, device),
            "NVML readings": lambda: readings(device),
        }
        for name, section in sections.items():
            try:
                found[name] = {"state": state, "said": section()}
            except _NotThere as error:
                found[name] = {"state": "missing", "said": str(error)}
            except Exception as error:  # after any error the other sections are still useful
                found[name], code = {"state": "failed", "said": f"{type(error).__name__}: {error}"}, 1
            print(f"{name:<22} {found[name]['state']:<9} {found[name]['said']}", flush=True)
    result = {"protocol": protocol(__doc__), "gpu": gpu, "waits": device.waits, "sections": found}
    return {**result, "machine": machine.describe().model_dump()}, code


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("driver.json"))
    given = parser.parse_args()
    try:
        result, code = run(given.threads)
    except EdgeferError as error:
        print(f"edgefer: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    paths.write_json(given.out, result, indent=1)
    print(f"written: {given.out}")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
