"""A few threads that predict, and a bounded number of requests that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """As many requests as there are places for are being answered."""


class Pool:
    """Threads and places. All methods belong to one event loop.

    Args:
        workers: threads.
        queue: requests that may wait for one.

    Attributes:
        taken: places in use now.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.taken = 0
        self._places = workers + queue
        self._threads = ThreadPoolExecutor(workers, "edgefer-predict")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place, from before a body is read until the answer is there: it bounds the memory of bodies too.

        Raises:
            Busy: there is none.
        """
        if self.taken >= self._places:
            raise Busy
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, function: Callable[[], T]) -> T:
        """Return what a function returns that runs in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def close(self) -> None:
        """End the threads, after what they do now."""
        self._threads.shutdown()
