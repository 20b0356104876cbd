"""Serve an application on a socket: in the main thread until a signal arrives, or in a separate thread."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_LAST = 60  # seconds for requests to finish on shutdown; a body has 30 to arrive
_CONNECTIONS = 512  # further connections get 503: each is an open file
_MOST_CONNECTIONS = 768  # further connections are closed: idle ones cannot be answered
_HEAD = 10.0  # seconds for a client to send the request headers


class Connection(H11Protocol):
    """uvicorn's protocol with a timeout: uvicorn waits forever for slow clients ("slow loris").

    `edgefer.server.body` limits the time for a body. Otherwise the next request's headers must be complete ten seconds
    after the connection was opened, or after their first byte.
    """

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Handle data from the client."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close."""
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait(self) -> None:
        if self._is_answering():
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(_HEAD, self._late)

    def _is_answering(self) -> bool:
        upgraded: Any = self.transport.get_protocol()  # upgraded to a WebSocket
        return upgraded is not self or (self.cycle is not None and not self.cycle.response_complete)

    def _late(self) -> None:
        self._waiting = None
        if not self._is_answering():
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class Server(uvicorn.Server):
    """uvicorn with a clean exit on signals: it accepts no new connections and answers the pending requests."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Connection,
                ws="websockets-sansio",
                log_config=None,
                log_level="critical",  # otherwise each malformed request logs a line, and each bug a traceback
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=_LAST,
                ws_max_size=4096,  # pages send only short texts
                ws_per_message_deflate=False,  # JPEG does not compress further
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Shut down at the first signal; stop immediately at the second."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        # An ignored signal stays ignored, as under nohup.
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.force_exit = self.should_exit
        self.stop()

    def stop(self) -> None:
        """Accept no new connections, answer pending requests, and stop."""
        self.should_exit = True


def until_signal(app: FastAPI, listening: socket.socket, started: Callable[[], None]) -> int:
    """Serve in the main thread until SIGINT, SIGTERM or SIGHUP; return the number of pictures answered.

    Args:
        app: from `edgefer.server.app.application`.
        listening: from `edgefer.server.address.bind`.
        started: called once, before the first request is read.
    """
    started()
    Server(app).run(sockets=[listening])
    return int(app.state.edgefer.metrics.predictions)


@contextmanager
def in_background(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """Serve in a thread during the `with` block."""
    server = Server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True, name="edgefer-server")
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        yield
    finally:
        server.stop()
        thread.join(_LAST)
