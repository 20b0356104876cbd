"""Processes that train together, as PyTorch's torchrun starts them: which one this is, and what all of them say.

Each takes its part of every batch and of the validation images; the first one alone writes files and prints. Without
torchrun there is one process, and all of this does nothing.
"""

from __future__ import annotations

import atexit
import os
import sys
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
from torch.nn.parallel import DistributedDataParallel

from edgefer import console, paths
from edgefer.errors import InputError, MissingRequirement
from edgefer.learning import optimizer

T = TypeVar("T")

_PATIENCE = timedelta(days=1)  # one process may read a large data set meanwhile; one that ended is noted at once
_alone = False  # the others have left


def launched() -> bool:
    """Return whether torchrun started this process. It starts the same command again after a process was lost."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join(device: str | None) -> None:
    """Wait for the other processes that torchrun started, if it did; only the first one speaks from now on.

    Args:
        device: ``cpu`` or ``cuda``, or None for cuda where there is one. Gradients go by NCCL on cuda, else by Gloo.

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
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo", timeout=_PATIENCE)
    atexit.register(leave)  # Gloo's threads abort a process that ends without it
    if not is_first():
        console.enable(False)


def leave() -> None:
    """Go on without the others."""
    if world_size() > 1:
        dist.destroy_process_group()


def go_on_alone() -> None:
    """Leave what is left to do to the first process; the others end here.

    Raises:
        SystemExit: this is another one.
    """
    global _alone
    others = not is_first()
    leave()
    _alone = True
    if others:
        sys.exit(0)


def rank() -> int:
    """Return which process this is, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Return whether this process writes files and prints."""
    return rank() == 0


def command(line: str) -> str:
    """Return an edgefer command as it is typed for as many processes on as many machines."""
    if world_size() == 1:
        return line
    machines, here = os.environ["GROUP_WORLD_SIZE"], os.environ["LOCAL_WORLD_SIZE"]
    return f"torchrun {f'--nnodes {machines} ' if machines != '1' else ''}--nproc-per-node {here} -m {line}"


def from_first(work: Callable[[], T]) -> T:
    """Return what `work` returns in the first process, which alone calls it."""
    found = [work() if is_first() else None]
    if world_size() > 1:
        dist.broadcast_object_list(found)
    return found[0]  # type: ignore[return-value]


def first_then_others(work: Callable[[], T]) -> T:
    """Return what `work` returns, called on each machine by one process first: the others find what it caches."""
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
        InputError: another training is writing it, or torchrun is to restart a run without a name.
    """
    if out is None and launched() and os.environ["TORCHELASTIC_MAX_RESTARTS"] != "0":
        raise InputError("a restarted process goes on where the last one stopped; name that folder with --out")
    if is_first():
        with paths.run_folder(out, kind, name) as folder:
            yield from_first(lambda: folder)
    else:
        yield from_first(Path)


def share_on_machine(work: Sequence[T]) -> Sequence[T]:
    """Return what this process does of work whose results all processes of this machine find on its disk (`wait`)."""
    if world_size() == 1:
        return work
    return work[int(os.environ["LOCAL_RANK"]) :: int(os.environ["LOCAL_WORLD_SIZE"])]


def wait() -> None:
    """Wait until all processes are here."""
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
    """Return what each process has, in their order."""
    found: list[Any] = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(found, value)
    return found


def places(count: int) -> NDArray[np.int64]:
    """Return which images of a batch this process takes, int64, ascending; all of them over all processes.

    The one at place i stays with that at count - 1 - i, which mixup mixes it with: so mixup in this part gives what it
    gives in the whole batch.

    Args:
        count: images of the batch.

    Raises:
        InputError: there are fewer than two for each process.
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
    """Return which of so many images this process validates, int64; all of them over all processes."""
    return np.array_split(np.arange(count), world_size())[rank()]


def with_shared_batchnorm(network: nn.Module, device: str) -> nn.Module:
    """Return a network whose BatchNorm takes its statistics from all processes' images, on cuda.

    On a CPU it takes them from each process's own, since torch has no SyncBatchNorm there; a line says so.
    """
    if world_size() == 1 or not optimizer.batchnorms(network):
        return network
    if device == "cuda":
        shared: nn.Module = convert_sync_batchnorm(network)
        return shared
    console.say("BatchNorm takes its statistics from each process's own images: torch has no SyncBatchNorm for CPUs")
    return network


def replicated(network: nn.Module) -> nn.Module:
    """Return what calls a network and averages its gradients over all processes; it becomes the first one's.

    Made again where other weights learn.
    """
    if world_size() == 1:
        return network
    for values in network.buffers():
        dist.broadcast(values, 0)
    devices = [torch.cuda.current_device()] if next(network.parameters()).is_cuda else None
    with warnings.catch_warnings():
        # torch 2.14 renames broadcast_buffers to what torch 2.11 does not know
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*broadcast_buffers")
        # BatchNorm's statistics are averaged by `average_statistics`, not taken from the first process
        return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)


def average_statistics(network: nn.Module) -> None:
    """Give BatchNorm's running statistics of all processes their mean, after a step: each validates the same network.

    The variance lacks that of the processes' means, which is small next to it.
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
    """Let what a network draws (dropout) differ between processes, and leave the draws that they share as they are.

    Args:
        seed: another one for each step.
    """
    if world_size() == 1:
        yield
        return
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed((seed * world_size() + rank()) % 2**63)
        yield


def backward(loss: Tensor) -> None:
    """Compute gradients of a loss that is the sum of what the processes have: their mean is taken, not their sum."""
    (loss * world_size()).backward()
