"""Keeps a network's shapes static while torch traces it, except for the batch.

Under torch's tracer `x.shape` holds tensors, and computations with them become part of the graph.
In edgefer's exports only the batch is dynamic. Other dynamic sizes make graphs longer, hide shapes from the exporter,
break networks that compare sizes, and move NNCF's quantizers, which would count ``height * width`` as a multiplication.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from edgefer.compression.extension import load_nncf

_PRIMES = (5, 7, 11, 13)
_SHAPE = Tensor.shape.__get__  # type: ignore[attr-defined]


def batch_for(example: Tensor) -> Tensor:
    """Return a batch of one repeated image with a size that differs from most other sizes of a network.

    Args:
        example: one image, (1, C, H, W).

    Returns:
        The same image n times, n a prime that does not divide its side, (n, C, H, W).
    """
    number = next((prime for prime in _PRIMES if example.shape[-1] % prime), _PRIMES[-1])
    return example.repeat(number, 1, 1, 1)


@contextmanager
def known_shapes(batch: Tensor) -> Iterator[None]:
    """Make tensor sizes plain numbers, except multiples of the batch.

    Sizes that are such multiples by chance stay tensors.

    Args:
        batch: from `batch_for`.
    """
    load_nncf()
    from nncf.torch.function_hook.hook_executor_mode import FunctionHookMode

    counted = FunctionHookMode.__torch_function__

    def without_sizes(
        self: Any, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        tensors = [each for each in args if isinstance(each, Tensor)]
        if tensors and all(each.ndim == 0 and not each.is_floating_point() for each in tensors):
            return func(*args, **(kwargs or {}))  # arithmetic on sizes, which only occurs while tracing
        return counted(self, func, types, args, kwargs)

    FunctionHookMode.__torch_function__ = without_sizes
    try:
        with _Sizes(len(batch)):
            yield
    finally:
        FunctionHookMode.__torch_function__ = counted


class _Sizes(TorchFunctionMode):
    """Converts the sizes that a network queries to numbers."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self._batch = batch

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is not Tensor.size and func != _SHAPE:
            return found
        if isinstance(found, torch.Size):
            return torch.Size([self._known(size) for size in found])
        return self._known(found)

    def _known(self, size: Any) -> Any:
        return size if int(size) % self._batch == 0 else int(size)
