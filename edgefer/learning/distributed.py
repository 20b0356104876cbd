"""Training in several processes, started by PyTorch's torchrun: ranks and communication.

Each process takes its part of every batch and of the validation images. Only the first one writes files and prints.
Without torchrun there is one process, and these functions do nothing.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from edgefer import console, paths
from edgefer.errors import InputError, MissingRequirement
from edgefer.learning import optimizer

T = TypeVar("T")

_PATIENCE = timedelta(days=1)  # a process may take long to read its data; one that dies is detected at once
_alone = False  # the other processes have ended


def launched() -> bool:
    """Return whether torchrun started this process. It restarts the same command after losing a process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join(device: str | None) -> None:
    """Wait for the other processes if torchrun started this one; from then on only the first one prints.

    Args:
        device: ``cpu`` or ``cuda``; by default cuda if available. Gradients use NCCL on cuda, else Gloo.

    Raises:
        MissingRequirement: this machine has fewer GPUs than processes.
    """
    if not launched() or os.environ["WORLD_SIZE"] == "1" or _alone or dist.is_initialized():
        return
    on_cuda = device == "cuda" or (device is None and torch.cuda.is_available())
    if on_cuda:
        here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > gpus:
            raise MissingRequirement(f"{here} processes share {gpus} GPUs here; use torchrun --nproc-per-node {gpus}")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
    store, index, count = next(rendezvous("env://", timeout=_PATIENCE))
    store = _fresh(store, index, count)
    dist.init_process_group(backend, timeout=_PATIENCE, store=store, rank=index, world_size=count)
    atexit.register(leave)  # otherwise Gloo's threads abort a process that ends
    if not is_first():
        console.enable(False)


def _fresh(store: Store, index: int, count: int) -> Store:
    """Return a part of torchrun's store that only the processes running now use.

    torchrun starts processes again with the same store, which still holds the addresses of the ended ones (PyTorch
    issue 135712), and its count of restarts differs between machines. So the first process names a part, and the
    others use it once it has answered them by a name of their own: the answer can't be an old one.
    """
    own = uuid.uuid4().hex
    if index == 0:
        store.set("edgefer", own)
        for other in range(1, count):
            name = store.get(f"edgefer/{own}/{other}").decode()
            store.set(f"edgefer/{own}/{other}/{name}", "")
        return PrefixStore(own, store)
    while True:
        first = store.get("edgefer").decode()
        store.set(f"edgefer/{first}/{index}", own)
        if store.check([f"edgefer/{first}/{index}/{own}"]):
            return PrefixStore(first, store)
        time.sleep(0.02)


def leave() -> None:
    """Continue without the others."""
    if world_size() > 1:
        dist.destroy_process_group()


def go_on_alone() -> None:
    """Leave the remaining work to the first process and end the others.

    Raises:
        SystemExit: in all other processes.
    """
    global _alone
    others = not is_first()
    leave()
    _alone = True
    if others:
        sys.exit(0)


def rank() -> int:
    """Return this process's index, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Return whether this process writes files and prints."""
    return rank() == 0


def command(line: str) -> str:
    """Return an edgefer command as typed for the current numbers of processes and machines."""
    if world_size() == 1:
        return line
    machines, here = os.environ["GROUP_WORLD_SIZE"], os.environ["LOCAL_WORLD_SIZE"]
    return f"torchrun {f'--nnodes {machines} ' if machines != '1' else ''}--nproc-per-node {here} -m {line}"


def from_first(work: Callable[[], T]) -> T:
    """Call `work` in the first process only, and return its result in all."""
    found = [work() if is_first() else None]
    if world_size() > 1:
        dist.broadcast_object_list(found)
    return found[0]  # type: ignore[return-value]


def first_then_others(work: Callable[[], T]) -> T:
    """Return `work()`, called by one process per machine first, so the others find its cache."""
    if world_size() == 1:
        return work()
    leads = os.environ["LOCAL_RANK"] == "0"
    found = work() if leads else None
    dist.barrier()
    return found if found is not None else work()


@contextmanager
def run_folder(out: Path | None, kind: str, name: str) -> Iterator[Path]:
    """Yield the folder that the first process writes; see `edgefer.paths.run_folder`.

    Raises:
        InputError: another training uses it, or torchrun restarts a run that has no name.
    """
    if out is None and launched() and os.environ["TORCHELASTIC_MAX_RESTARTS"] != "0":
        raise InputError("a restarted process goes on where the last one stopped; name that folder with --out")
    if is_first():
        with paths.run_folder(out, kind, name) as folder:
            yield from_first(lambda: folder)
    else:
        yield from_first(Path)


def share_on_machine(work: Sequence[T]) -> Sequence[T]:
    """Return this process's share of work whose results all processes of the machine read from disk (`wait`)."""
    if world_size() == 1:
        return work
    return work[int(os.environ["LOCAL_RANK"]) :: int(os.environ["LOCAL_WORLD_SIZE"])]


def wait() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()


def total(*values: float) -> tuple[float, ...]:
    """Return the sum over all processes of each value."""
    if world_size() == 1:
        return values
    sums = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(sums)
    return tuple(sums.tolist())


def gathered(value: T) -> list[T]:
    """Return the values of all processes, in order."""
    found: list[Any] = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(found, value)
    return found


def places(count: int) -> NDArray[np.int64]:
    """Return the batch positions of this process, int64, ascending; all processes together cover the batch.

    Position i and its mixup partner count - 1 - i stay together, so mixup gives the same result as in the whole
    batch.

    Args:
        count: number of images in the batch.

    Raises:
        InputError: there are fewer than two images per process.
    """
    if world_size() == 1:
        return np.arange(count)
    half = count // 2
    if half < world_size():
        raise InputError(f"a batch of {count} is too small for {world_size()} processes: each takes two images or more")
    firsts = np.array_split(np.arange(half), world_size())[rank()]
    middle = np.arange(half, count - half if rank() == world_size() - 1 else half)
    return np.concatenate([firsts, middle, count - 1 - firsts[::-1]])


def part(count: int) -> NDArray[np.int64]:
    """Return which of `count` images this process validates, int64; all processes together cover them."""
    return np.array_split(np.arange(count), world_size())[rank()]


def with_shared_batchnorm(network: nn.Module, device: str) -> nn.Module:
    """Return a network with BatchNorm statistics over all processes' images, on cuda.

    On a CPU each process uses its own images, since torch has no SyncBatchNorm there; a note says so.
    """
    if world_size() == 1 or not optimizer.batchnorms(network):
        return network
    if device == "cuda":
        shared: nn.Module = convert_sync_batchnorm(network)
        return shared
    console.say("BatchNorm takes its statistics from each process's own images: torch has no SyncBatchNorm for CPUs")
    return network


def replicated(network: nn.Module) -> nn.Module:
    """Return a wrapper that averages gradients over all processes; weights are copied from the first one.

    Make a new one when other weights are trained.
    """
    if world_size() == 1:
        return network
    for values in network.buffers():
        dist.broadcast(values, 0)
    devices = [torch.cuda.current_device()] if next(network.parameters()).is_cuda else None
    with warnings.catch_warnings():
        # torch 2.14 renames broadcast_buffers to a name that torch 2.11 doesn't have
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*broadcast_buffers")
        # `average_statistics` averages BatchNorm's statistics, so don't copy the first process's
        return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)


def average_statistics(network: nn.Module) -> None:
    """Average BatchNorm's running statistics over all processes after a step, so that all validate the same network.

    The variance between the processes' means is ignored; it is small.
    """
    if world_size() == 1:
        return
    statistics = [
        values
        for each in optimizer.batchnorms(network)
        if each.training and not isinstance(each, nn.SyncBatchNorm)
        for values in (each.running_mean, each.running_var)
        if values is not None
    ]
    if not statistics:
        return
    flat = torch.cat([values.flatten() for values in statistics])
    dist.all_reduce(flat)
    means = (flat / world_size()).split([each.numel() for each in statistics])
    for values, mean in zip(statistics, means, strict=True):
        values.copy_(mean.view_as(values))


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Give each process its own random numbers (for dropout), without affecting the shared ones.

    Args:
        seed: different for each step.
    """
    if world_size() == 1:
        yield
        return
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed((seed * world_size() + rank()) % 2**63)
        yield


def backward(loss: Tensor) -> None:
    """Compute gradients of a loss that is a sum over processes, although DDP averages gradients."""
    (loss * world_size()).backward()
