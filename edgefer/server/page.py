"""Routes of the live page: its three files, and the WebSocket that sends frames."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect

from edgefer import pages
from edgefer.server.watch import Watch

_FILES = Path(__file__).parent
_SHARED = Path(pages.__file__).parent
_STYLE = (_SHARED / "page.css", _SHARED / "expressions.css", _FILES / "live.css")
_TRY_LATER = 1013  # RFC 6455, section 7.4: IANA's registry of close codes


def add(app: FastAPI, watch: Watch | None) -> None:
    """Add the page to an application; without a live picture, ``/`` returns one line of text."""

    async def style() -> Response:
        return Response("".join(map(_read, _STYLE)), media_type="text/css")

    app.add_api_route("/style.css", style, methods=["GET"], include_in_schema=False)
    if watch is None:
        app.add_api_route("/", _nothing_to_see, methods=["GET"], include_in_schema=False)
        return

    async def html() -> Response:
        return Response(_read(_FILES / "live.html"), media_type="text/html")

    async def script() -> Response:
        return Response(_read(_FILES / "live.js"), media_type="text/javascript")

    async def frames(socket: WebSocket) -> None:
        await socket.accept()
        with watch.page() as page:
            if page is None:
                await socket.close(_TRY_LATER, "too many pages are open")
                return
            try:
                await socket.send_json(watch.hello)
                while await socket.receive_text():  # "next": a slow page gets fewer frames, not older ones
                    await socket.send_bytes(await watch.next(page))
            except (WebSocketDisconnect, RuntimeError, KeyError):  # the client disconnected, or sent bytes
                return

    app.add_api_route("/", html, methods=["GET"], include_in_schema=False)
    app.add_api_route("/live.js", script, methods=["GET"], include_in_schema=False)
    app.add_api_websocket_route("/frames", frames)


async def _nothing_to_see() -> Response:
    return Response("edgefer serve: POST a picture to /predict; /openapi.json describes it\n", media_type="text/plain")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
