"""A thread pool for predictions, with a limited number of waiting requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """All places are taken."""


class Pool:
    """The thread pool and its places. All methods belong to one event loop.

    Args:
        workers: number of threads.
        queue: maximum number of waiting requests.

    Attributes:
        taken: number of places in use.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.taken = 0
        self._places = workers + queue
        self._threads = ThreadPoolExecutor(workers, "edgefer-predict")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place from before the body is read until the response is ready, which also limits memory for bodies.

        Raises:
            Busy: no place is free.
        """
        if self.taken >= self._places:
            raise Busy
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in one of the threads and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def close(self) -> None:
        """Stop the threads after their current work."""
        self._threads.shutdown()
