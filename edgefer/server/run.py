"""An application on a socket: in the main thread until a signal comes, or in a thread of its own."""

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
_LAST = 60  # seconds that requests have to end once the server was told to stop; a body has 30 to arrive
_CONNECTIONS = 512  # beyond them the answer is 503: each is an open file
_MOST_CONNECTIONS = 768  # beyond them they are closed: those that ask for nothing cannot be answered
_HEAD = 10.0  # seconds that a client has to send the head of a request


class Connection(H11Protocol):
    """uvicorn's, which by itself waits forever for a client that sends its request byte by byte ("slow loris").

    While a request is being answered its body's time is bounded by `edgefer.server.body`. At any other time the next
    request's head must be whole ten seconds after the connection, or after its first byte.
    """

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait(self) -> None:
        if self._is_answering():
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(_HEAD, self._late)

    def _is_answering(self) -> bool:
        upgraded: Any = self.transport.get_protocol()  # to a WebSocket
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
    """uvicorn, whose end on a signal is no error: it takes no new connection and answers what it has."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Connection,
                ws="websockets-sansio",
                log_config=None,
                log_level="critical",  # else each broken request is a line, and each bug a traceback
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=_LAST,
                ws_max_size=4096,  # a page sends words
                ws_per_message_deflate=False,  # JPEG does not get smaller
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop at the first signal, at once at the second one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        # One that is ignored stays so, as under nohup.
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
        """Take a signal."""
        self.force_exit = self.should_exit
        self.stop()

    def stop(self) -> None:
        """Take no new connections, answer what is here, and end."""
        self.should_exit = True


def until_signal(app: FastAPI, listening: socket.socket, started: Callable[[], None]) -> int:
    """Serve in the main thread until SIGINT, SIGTERM or SIGHUP; return how many pictures were answered.

    Args:
        app: from `edgefer.server.app.application`.
        listening: from `edgefer.server.address.bind`.
        started: called once before the first request is read.
    """
    started()
    Server(app).run(sockets=[listening])
    return int(app.state.edgefer.metrics.predictions)


@contextmanager
def in_background(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """Serve in a thread while what is inside runs."""
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
