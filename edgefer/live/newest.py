"""A place for a few values between two threads, where a new value replaces the oldest: nothing ever queues up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Holds the newest values. Any thread may use it.

    Args:
        size: how many values wait at most.
    """

    def __init__(self, size: int = 1) -> None:
        self._values: deque[T] = deque(maxlen=size)
        self._changed = Condition()
        self._closed = False

    def put(self, value: T) -> bool:
        """Add a value, and return whether an older one had to go."""
        with self._changed:
            full = len(self._values) == self._values.maxlen
            self._values.append(value)
            self._changed.notify_all()
        return full

    def get(self, timeout: float | None = None) -> T | None:
        """Return the oldest value that waits; None after `timeout` seconds without one, or at the end."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._values:
                left = None if until is None else until - time.monotonic()
                if self._closed or (left is not None and left <= 0):
                    return None
                self._changed.wait(left)
            return self._values.popleft()

    def close(self) -> None:
        """End: what waits can still be had, then `get` returns None at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._values.clear()

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        with self._changed:
            return self._closed and not self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        """Yield values until the end."""
        while (value := self.get()) is not None:
            yield value
