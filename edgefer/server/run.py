"""An application on a socket: in the main thread until a signal comes, or in a thread of its own."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_LAST = 60  # seconds that requests have to end once the server was told to stop; a body has 30 to arrive
_CONNECTIONS = 512  # beyond them the answer is 503: each is an open file


class Server(uvicorn.Server):
    """uvicorn, whose end on a signal is no error: it takes no new connection and answers what it has."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
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
