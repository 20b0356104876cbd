"""A bounded queue between two threads in which a new value replaces the oldest."""

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
        size: maximum number of waiting values.
    """

    def __init__(self, size: int = 1) -> None:
        self._values: deque[T] = deque(maxlen=size)
        self._changed = Condition()
        self._closed = False

    def put(self, value: T) -> bool:
        """Add a value, and return whether an older one was dropped."""
        with self._changed:
            full = len(self._values) == self._values.maxlen
            self._values.append(value)
            self._changed.notify_all()
        return full

    def get(self, timeout: float | None = None) -> T | None:
        """Return the oldest waiting value; None after `timeout` seconds, or at the end."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._values:
                left = None if until is None else until - time.monotonic()
                if self._closed or (left is not None and left <= 0):
                    return None
                self._changed.wait(left)
            return self._values.popleft()

    def close(self) -> None:
        """End: waiting values can still be read, then `get` returns None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Drop waiting values."""
        with self._changed:
            self._values.clear()

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        with self._changed:
            return self._closed and not self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        """Yield values until the end."""
        while (value := self.get()) is not None:
            yield value
