"""Where a server listens, and who may ask it: addresses, sockets, tokens."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import quote

from edgefer.errors import InputError
from edgefer.lines import printable

PORT = 4912
LOCAL = f"127.0.0.1:{PORT}"
_SHORTEST_TOKEN = 16  # characters of one that a user chooses
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750, section 2.1: what a Bearer header can have


@dataclass(frozen=True)
class Address:
    """What a server listens on.

    Attributes:
        host: a name or a number, without brackets.
        port: 0 for one that is free.
    """

    host: str
    port: int

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)

    def url(self, token: str | None = None) -> str:
        """Return what a browser opens; of a server on all addresses, with the one that others reach.

        Args:
            token: that the page demands.
        """
        host = _own() if self.host in ("0.0.0.0", "::") else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={quote(token, safe='')}" if token else "")


def _own() -> str:
    """Return the address from which this machine would send to others; its name where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # for documentation (RFC 5737); UDP sends nothing to connect
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def parse(text: str) -> Address:
    """Return the address of ``HOST:PORT``, ``HOST`` or ``PORT``; IPv6 in brackets, ``[::1]:4912``.

    Raises:
        InputError: it is not one.
    """
    if text.isascii() and text.isdigit():
        host, port = "127.0.0.1", text
    else:
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([\w.-]+))(?::(\d{1,5}))?", text, re.ASCII)
        if match is None:
            raise InputError(f"--listen is HOST:PORT, such as {LOCAL} or 0.0.0.0:{PORT}, not {printable(text)}")
        host, port = match[1] or match[2], match[3] or str(PORT)
    if int(port) > 65535:
        raise InputError(f"--listen names port {port}; ports end at 65535")
    return Address(host, int(port))


def is_local(host: str) -> bool:
    """Return whether a host, as a URL has it but without a port, is this machine whatever a name server says."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def token_for(address: Address, chosen: str | None) -> str | None:
    """Return the token to demand: the chosen one; beyond this machine a new one; else none.

    Raises:
        InputError: the chosen one is short, or cannot stand in a header.
    """
    if chosen is None:
        return None if address.local else secrets.token_urlsafe(24)
    if len(chosen) < _SHORTEST_TOKEN or not _TOKEN.fullmatch(chosen):
        raise InputError(
            f"--token needs at least {_SHORTEST_TOKEN} letters, digits or . _ ~ + / = -; omit it to generate one"
        )
    return chosen


def bind(address: Address) -> tuple[socket.socket, Address]:
    """Open the socket; return it with the address that it got.

    Raises:
        InputError: the port is in use, may not be used, or the host is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio sends small answers at once only on a socket that says it is TCP; others wait 40 ms for Nagle's algorithm.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # a port that was just left; on Windows this would share one that is in use
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(1024)  # connections that come at once wait here, and are answered with 429, not refused
    except OSError as error:
        listening.close()
        what = {
            errno.EADDRINUSE: f"port {address.port} is in use; choose another with --listen {address.host}:PORT",
            errno.EACCES: f"port {address.port} needs more rights; use a port of 1024 or above",
        }.get(error.errno or 0, f"cannot listen on {address.host}:{address.port}: {error.strerror or error}")
        raise InputError(what) from None
    return listening, Address(address.host, listening.getsockname()[1])
