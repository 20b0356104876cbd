"""The server's address, socket and token."""

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
_SHORTEST_TOKEN = 16  # minimum length of a user's token
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750, section 2.1: characters allowed in a Bearer header


@dataclass(frozen=True)
class Address:
    """Address to listen on.

    Attributes:
        host: name or IP address, without brackets.
        port: 0: any free port.
    """

    host: str
    port: int

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return is_local(self.host)

    def url(self, token: str | None = None) -> str:
        """Return the URL to open; for a server on all interfaces, one that other machines can reach.

        Args:
            token: required token, added to the URL.
        """
        host = _own() if self.host in ("0.0.0.0", "::") else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={quote(token, safe='')}" if token else "")


def _own() -> str:
    """Return this machine's address on the network, or its host name without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # for documentation (RFC 5737); connecting a UDP socket sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def parse(text: str) -> Address:
    """Parse ``HOST:PORT``, ``HOST`` or ``PORT``; IPv6 in brackets, ``[::1]:4912``.

    Raises:
        InputError: the text is not an address.
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
    """Return whether a URL's host is always this machine, independent of name servers."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def token_for(address: Address, chosen: str | None) -> str | None:
    """Return the required token: the user's; a new one if other machines can connect; else None.

    Raises:
        InputError: the user's token is too short, or has characters that a header cannot hold.
    """
    if chosen is None:
        return None if address.local else secrets.token_urlsafe(24)
    if len(chosen) < _SHORTEST_TOKEN or not _TOKEN.fullmatch(chosen):
        raise InputError(
            f"--token needs at least {_SHORTEST_TOKEN} letters, digits or . _ ~ + / = -; omit it to generate one"
        )
    return chosen


def bind(address: Address) -> tuple[socket.socket, Address]:
    """Open the socket and return it with its actual address.

    Raises:
        InputError: the port is in use or forbidden, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio disables Nagle's algorithm only on sockets declared as TCP; otherwise small responses take 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # reuse a port that was just closed; on Windows this would share one in use
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(1024)  # simultaneous connections wait here and get 429 instead of being refused
    except OSError as error:
        listening.close()
        what = {
            errno.EADDRINUSE: f"port {address.port} is in use; choose another with --listen {address.host}:PORT",
            errno.EACCES: f"port {address.port} needs more rights; use a port of 1024 or above",
        }.get(error.errno or 0, f"cannot listen on {address.host}:{address.port}: {error.strerror or error}")
        raise InputError(what) from None
    return listening, Address(address.host, listening.getsockname()[1])
