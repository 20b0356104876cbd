"""Frames in one thread, predictions in another: only the newest frame waits.

``Live`` is a context manager, and so is its ``subscribe``, over which one iterates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.errors import EdgeferError
from edgefer.live.events import Figures, Frame
from edgefer.live.judge import Judge, JudgeSettings
from edgefer.live.meter import Meter
from edgefer.live.newest import Newest
from edgefer.predictor import Predictor

Pixels: TypeAlias = NDArray[np.uint8]
Answered: TypeAlias = "tuple[Pixels, Frame]"

_BACKOFF = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before reconnecting; the last one repeats
_LEFT_ALONE = 1.0  # seconds before a blocked source is abandoned, so that Ctrl-C is quick
_JOIN = 7.0  # seconds allowed for the current frame


class Picture(Protocol):
    """A frame from a source."""

    @property
    def time(self) -> float | None:
        """Its timestamp in seconds, for a file; None: its time is its arrival."""

    @property
    def arrived(self) -> float:
        """Arrival time by `time.perf_counter`."""

    def pixels(self) -> Pixels:
        """Return uint8, (H, W, 3) RGB. Only called for processed frames."""


class Source(Protocol):
    """A source of frames.

    Attributes:
        title: title, printable and without passwords.
        returns: whether to reconnect after it ended: for a camera or a stream, not a file.
    """

    title: str
    returns: bool

    def frames(self, stopped: Event) -> Iterator[Picture]:
        """Open the source and yield its frames as they come, until it ends or `stopped` is set.

        Raises:
            EdgeferError: it cannot be opened, or was lost.
        """


@dataclass(frozen=True)
class _Captured:
    index: int
    time: float
    at: float  # seconds since 1970
    picture: Picture


class Live:
    """A live source with predictions. Use it as a context manager.

    Args:
        source: where frames come from; `edgefer.live.sources.named` opens one by what a user types.
        predictor: from `edgefer.load`. It stays open.
        settings: how frames are judged.
        say: called with a line when a source is lost and when it is back.

    Raises:
        EdgeferError: from ``with``: the source cannot be opened, or there is no face detector.
    """

    def __init__(
        self,
        source: Source,
        predictor: Predictor,
        settings: JudgeSettings | None = None,
        say: Callable[[str], None] = console.say,
    ) -> None:
        self.source = source
        self._predictor, self._settings, self._say = predictor, settings, say
        self._meter = Meter()
        self._waiting: Newest[_Captured] = Newest()
        self._subscribers: list[Newest[Answered]] = []
        self._lock = Lock()
        self._latest: Answered | None = None
        self._stopped, self._opened, self._ended = Event(), Event(), Event()
        self._connected = False
        self._reconnects = 0
        self._error: BaseException | None = None
        self._threads = [Thread(target=self._capture, daemon=True), Thread(target=self._answer, daemon=True)]

    def __enter__(self) -> Live:
        self._predictor.start_detector()
        for thread in self._threads:
            thread.start()
        try:
            while not self._opened.wait(0.2):  # in slices, so that Ctrl-C comes through on Windows too
                pass
            self.check()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def latest(self) -> Answered | None:
        """Return the newest processed frame, uint8 (H, W, 3) RGB, with its result; None before the first."""
        with self._lock:
            return self._latest

    @contextmanager
    def subscribe(self, size: int = 1) -> Iterator[Newest[Answered]]:
        """Subscribe to results from now on: iterate, or call ``get(timeout)``. Before ``with`` it gets all of them.

        Args:
            size: maximum waiting results. For a slow subscriber the oldest are dropped.
        """
        subscriber: Newest[Answered] = Newest(size)
        with self._lock:
            self._subscribers.append(subscriber)
            if not self.running:
                subscriber.close()
        try:
            yield subscriber
        finally:
            subscriber.close()
            with self._lock:
                self._subscribers.remove(subscriber)

    def figures(self) -> Figures:
        """Return the current figures."""
        fps_in, fps_judged = self._meter.rates()
        latencies = self._meter.latencies()
        latest = self.latest()
        return Figures(
            fps_in=fps_in,
            fps_judged=fps_judged,
            p50_ms=latencies and latencies[0],
            p99_ms=latencies and latencies[1],
            captured=self._meter.captured,
            judged=self._meter.judged,
            dropped=self._meter.dropped,
            queue=len(self._waiting),
            faces=len(latest[1].faces) if latest else 0,
            connected=self._connected,
            reconnects=self._reconnects,
        )

    @property
    def running(self) -> bool:
        """Whether there may be more results; False after the end of a file, an error or `stop`."""
        return not self._ended.is_set()

    def check(self) -> None:
        """Raise the error that ended the source, if any.

        Raises:
            EdgeferError: the source could not be opened, a file is broken, the network failed.
        """
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop both threads. A blocked source is abandoned after a second."""
        self._stopped.set()
        self._waiting.close()
        self._waiting.clear()
        self._ended.set()
        for thread, seconds in zip(self._threads, (_LEFT_ALONE, _JOIN), strict=True):
            if thread.ident is not None:
                thread.join(seconds)

    def _capture(self) -> None:
        """Store each frame as the newest, and reconnect a lost source."""
        lost = 0  # attempts since frames came
        index = 0
        start: float | None = None
        try:
            while not self._stopped.is_set():
                why = "it ended"
                try:
                    for picture in self.source.frames(self._stopped):
                        start = picture.arrived if start is None else start
                        own = picture.time
                        moment = picture.arrived - start if own is None else own
                        at = time.time() - (time.perf_counter() - picture.arrived)
                        self._meter.arrived(self._waiting.put(_Captured(index, moment, at, picture)))
                        index += 1
                        if lost:
                            self._reconnects += 1
                            self._say(f"{self.source.title} is back")
                        lost, self._connected = 0, True
                        self._opened.set()
                except EdgeferError as error:
                    if not (self.source.returns and self._opened.is_set()):
                        raise
                    why = str(error)
                self._connected = False
                if not self.source.returns or self._stopped.is_set():
                    break
                if not lost:
                    self._say(f"{self.source.title} was lost ({why}); reconnecting")
                self._stopped.wait(_BACKOFF[min(lost, len(_BACKOFF) - 1)])
                lost += 1
        except BaseException as error:
            self._error = error
        finally:
            self._connected = False
            self._waiting.close()
            self._opened.set()

    def _answer(self) -> None:
        """Process the newest frame in a loop."""
        judge = Judge(self._predictor, self._settings)
        try:
            for captured in self._waiting:
                pixels = captured.picture.pixels()
                faces = judge.faces(pixels, captured.time)
                latency = (time.perf_counter() - captured.picture.arrived) * 1e3
                self._meter.answered(latency)
                high, wide = pixels.shape[:2]
                frame = Frame(captured.index, captured.time, captured.at, wide, high, faces, latency)
                with self._lock:
                    self._latest = (pixels, frame)
                    for subscriber in self._subscribers:
                        subscriber.put((pixels, frame))
                if self._stopped.is_set():
                    break
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._stopped.set()
            with self._lock:
                self._ended.set()
                for subscriber in self._subscribers:
                    subscriber.close()
