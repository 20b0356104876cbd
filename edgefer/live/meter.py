"""Rates, latencies and dropped frames of a live source."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

import numpy as np

_WINDOW = 10.0  # window of rates and latencies in seconds
_MAX = 10_000  # frames of it that are kept: a thousand a second


class Meter:
    """Counts frames; any thread may use it. Times are those of `time.perf_counter`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrivals: deque[float] = deque(maxlen=_MAX)
        self._answers: deque[tuple[float, float]] = deque(maxlen=_MAX)  # when, and milliseconds
        self.captured = self.judged = self.dropped = 0

    def arrived(self, dropped: bool) -> None:
        """Count a frame that arrived, and one that it replaced."""
        with self._lock:
            self._arrivals.append(time.perf_counter())
            self.captured += 1
            self.dropped += dropped

    def answered(self, latency_ms: float) -> None:
        """Count a processed frame."""
        with self._lock:
            self._answers.append((time.perf_counter(), latency_ms))
            self.judged += 1

    def rates(self) -> tuple[float, float]:
        """Return the arriving and the processed frames per second."""
        now = time.perf_counter()
        with self._lock:
            return _rate(list(self._arrivals), now), _rate([when for when, _ in self._answers], now)

    def latencies(self) -> tuple[float, float] | None:
        """Return the median and the 99th percentile in milliseconds; None without a result in the last ten seconds."""
        now = time.perf_counter()
        with self._lock:
            recent = [latency for when, latency in self._answers if now - when <= _WINDOW]
        if not recent:
            return None
        p50, p99 = np.percentile(recent, [50, 99])
        return float(p50), float(p99)


def _rate(times: list[float], now: float) -> float:
    """Return the times a second within the window; of a shorter history, over what there is."""
    recent = [when for when in times if now - when <= _WINDOW]
    if len(recent) < 2:
        return 0.0
    return len(recent) / _WINDOW if now - times[0] > _WINDOW else (len(recent) - 1) / max(now - recent[0], 1e-9)
