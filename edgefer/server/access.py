"""Access control by token or, without one, by Host and Origin. Also sets the headers of every response.

Without a token, only requests that name this machine are answered: a web page that resolves to 127.0.0.1 (DNS
rebinding) still sends its own host name. A token makes this check unnecessary: browsers keep cookies by host.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgefer.server.address import is_local

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OPEN = ("/healthz", "/style.css")  # reveal nothing; the token form uses the style too
_ASK = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>edgefer: token</title><link rel="stylesheet" href="style.css"></head>
<body><main class="ask"><h1>This page needs a token</h1>
<p>Open the address that <code>edgefer</code> printed when it started, or enter its token.</p>
<form method="get" action="/"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<button type="submit">Open</button></form></main></body></html>
"""


class Guard:
    """ASGI middleware that rejects unauthorized requests.

    Args:
        app: the wrapped application.
        token: required token; None: answer only this machine.
        refused: called with path and status of each rejected request.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, refused: Callable[[str, int], None] = lambda path, status: None
    ) -> None:
        self._app, self._token, self._refused = app, token, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        with_headers = _adding(send)
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, with_headers)
            return
        if refusal.status_code in (401, 403):
            self._refused(scope["path"], refusal.status_code)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the response to a rejected request; None: let it through."""
        if scope["path"] in _OPEN:
            return None
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._token is None and not is_local(_name(host)):
            return _problem(403, "this server answers only localhost; --listen opens it to others")
        if origin is not None and _place(origin) != host:
            return _problem(403, "this server does not answer requests from other sites")
        if self._token is None or self._is_token(_bearer(headers)) or self._is_token(_cookie(headers, _port(scope))):
            return None
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            return self._sign_in(scope)
        return _problem(401, "the token is missing or wrong; send Authorization: Bearer TOKEN")

    def _sign_in(self, scope: Scope) -> Response:
        """Move a token from the URL to a cookie, or ask for it."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._is_token(given):
            return HTMLResponse(_ASK, 401, {"WWW-Authenticate": "Bearer"})
        back = RedirectResponse("/", 303)
        # Not "strict": the cookie would not be sent when the printed link is opened from a mail or a chat.
        # "lax" sends it only with such links, and no GET changes state.
        back.set_cookie(_cookie_name(_port(scope)), given, httponly=True, samesite="lax")
        return back

    def _is_token(self, given: str) -> bool:
        return self._token is not None and secrets.compare_digest(given.encode(), self._token.encode())


def _adding(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return with_headers


def _problem(status: int, what: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": what}, status, headers)


def _place(origin: str) -> str | None:
    """Return host and port of an Origin header; None if it is invalid."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _name(host: str) -> str:
    """Return a Host header without the port."""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host


def _bearer(headers: Headers) -> str:
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _cookie(headers: Headers, port: int) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(port))
    except CookieError:
        return ""
    return found.value if found else ""


def _cookie_name(port: int) -> str:
    return f"edgefer-{port}"  # browsers share cookies across a host's ports


def _port(scope: Scope) -> int:
    server = scope.get("server")
    return server[1] or 0 if server else 0
