"""Frames for pages that watch the live picture: each gets the newest frame on request, without a queue.

A message is the length of a JSON text (4 bytes, big-endian), the JSON text, and the frame as JPEG. The JPEG is missing
if there is no newer frame. Labels of the last minute are kept in memory; images are not.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.live.events import FaceChange, Frame, changes
from edgefer.live.notice import NOTICE
from edgefer.live.pipeline import Live
from edgefer.predictor import Predictor

MINUTE = 60.0  # seconds of labels to keep
_SEGMENTS = 400  # maximum number of labels
_CHANGES = 30  # number shown
_GAP = 1.0  # seconds without a face that leave a gap in its timeline
_TICK = 0.5  # seconds between messages while no frame arrives
_SIDE = 960  # pixels, longer side of transmitted frames
_QUALITY = 80
_PAGES = 8  # maximum number of watching pages


@dataclass
class Segment:
    """A period in which a face had one label, in seconds since the first frame."""

    track: int
    label: str
    start: float
    end: float


class History:
    """Labels of the last minute. Not thread-safe."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque(maxlen=_SEGMENTS)
        self._open: dict[int, Segment] = {}
        self._changes: deque[tuple[int, FaceChange]] = deque(maxlen=_CHANGES)
        self._number = 0
        self._before: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Add the prediction for a frame."""
        for change in changes(self._before, frame):
            self._number += 1
            self._changes.append((self._number, change))
        self._before = frame
        for face in frame.faces:
            last = self._open.get(face.track)
            if last is not None and frame.time - last.end <= _GAP:
                last.end = frame.time  # the previous label was shown until now
            if last is None or last.label != face.label or last.end < frame.time:
                last = Segment(face.track, face.label, frame.time, frame.time)
                self._open[face.track] = last
                self._segments.append(last)
        self._open = {track: last for track, last in self._open.items() if frame.time - last.end <= _GAP}
        while self._segments and self._segments[0].end < frame.time - MINUTE:
            self._segments.popleft()

    def as_dict(self) -> dict[str, Any]:
        """Return the labels as plain JSON values."""
        return {
            "strip": [[each.track, each.label, round(each.start, 2), round(each.end, 2)] for each in self._segments],
            "changes": [
                {
                    "number": number,
                    "event": change.kind,
                    "captured_at": round(change.captured_at, 3),
                    "track": change.face.track,
                    "label": change.face.label,
                    "confidence": round(change.face.confidence, 4),
                    "before": change.before,
                }
                for number, change in self._changes
            ],
        }


class Page:
    """A watching page. `newer` belongs to the server's event loop."""

    def __init__(self) -> None:
        self.newer = asyncio.Event()
        self.asks = False


class Watch:
    """Sends the live picture to watching pages.

    Args:
        live: the live picture.
        predictor: the source of the labels.
    """

    def __init__(self, live: Live, predictor: Predictor) -> None:
        self._live = live
        self.hello = {
            "source": live.source.title,
            "bundle": predictor.bundle.manifest.name,
            "network": predictor.network,
            "device": predictor.device,
            "labels": list(predictor.labels),
            "notice": list(NOTICE),
        }
        self._pages: list[Page] = []
        self._newest = b""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="edgefer-watch")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start, in the server's event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Stop."""
        self._stopped.set()
        self._thread.join(_TICK * 4)

    @contextmanager
    def page(self) -> Iterator[Page | None]:
        """Add a watching page; None if there are too many."""
        if len(self._pages) >= _PAGES:
            yield None
            return
        page = Page()
        self._pages.append(page)
        try:
            yield page
        finally:
            self._pages.remove(page)

    async def next(self, page: Page) -> bytes:
        """Return the newest message that the page has not received, waiting for one if needed."""
        page.asks = True
        await page.newer.wait()
        page.newer.clear()
        page.asks = False
        return self._newest

    def _follow(self) -> None:
        history = History()
        with self._live.subscribe() as answers:
            ended = False
            while not self._stopped.is_set():
                answered = None if ended else answers.get(_TICK)
                if answered is not None:
                    history.add(answered[1])
                elif not self._live.running:
                    ended = True
                    self._stopped.wait(_TICK)
                if any(page.asks for page in tuple(self._pages)):
                    self._publish(message(answered, history, self._live))

    def _publish(self, content: bytes) -> None:
        def tell() -> None:
            self._newest = content
            for page in self._pages:
                page.newer.set()

        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(tell)
        except RuntimeError:  # the server has stopped
            self._stopped.set()


def message(answered: tuple[NDArray[np.uint8], Frame] | None, history: History, live: Live) -> bytes:
    """Return a message in the format described in the module."""
    about = {
        "frame": answered[1].as_dict() if answered else None,
        "figures": live.figures().as_dict(),
        "running": live.running,
        "at": time.time(),
        **history.as_dict(),
    }
    head = json.dumps(about, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "big") + head + (jpeg(answered[0]) if answered else b"")


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Return a frame as a JPEG of at most 960 pixels on its longer side."""
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=1.5)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
