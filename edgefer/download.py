"""A file from the network: bounded in size, time and redirects."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from typing import IO

from edgefer.errors import InputError, MissingRequirement
from edgefer.limits import too_large
from edgefer.lines import one_line, printable

REDIRECTS = 5
_SECONDS = 30.0  # for the whole download
_SILENT_SECONDS = 10.0  # without receiving a byte
_BLOCK = 64 * 1024
_LONGEST = 200  # characters of an address in a message


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow only http and https, not local files or ftp."""
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.HTTPError(newurl, code, "redirects away from http", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def get(address: str, most: int, seconds: float = _SECONDS, silent_seconds: float = _SILENT_SECONDS) -> bytes:
    """Return the content of an http or https address.

    The server only learns this machine's address and "edgefer": no cookie or referrer is sent.

    Args:
        address: http:// or https://.
        most: bytes that it may have.
        seconds: for all of it.
        silent_seconds: that the server may take until its next bytes.

    Raises:
        InputError: it is not such an address, the server refuses it, or it has more than `most` bytes.
        MissingRequirement: no connection, or it takes too long or ends too early.
    """
    label = printable(address if len(address) <= _LONGEST else f"{address[:_LONGEST]}...")
    if not address.startswith(("http://", "https://")):
        raise InputError(f"{label} is not an http or https address")
    end = time.monotonic() + seconds
    opener = urllib.request.build_opener(_Redirects)
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "edgefer"})
        with opener.open(request, timeout=silent_seconds) as answer:
            promised = answer.headers.get("Content-Length")
            if promised and promised.isdigit() and int(promised) > most:
                raise too_large(label, int(promised), most)
            content = bytearray()
            while block := answer.read1(_BLOCK):
                content += block
                if len(content) > most:
                    raise InputError(f"{label} is larger than edgefer reads: more than {most:,} bytes")
                if time.monotonic() > end:
                    raise MissingRequirement(f"{label} took longer than {seconds:.0f} s")
            if promised and promised.isdigit() and len(content) < int(promised):
                raise MissingRequirement(f"{label} ended after {len(content):,} of {int(promised):,} bytes")
    except urllib.error.HTTPError as error:
        raise InputError(
            f"{label} is not available: the server says {error.code} {one_line(error.reason, 80)}"
        ) from None
    except (urllib.error.URLError, OSError, http.client.HTTPException, ssl.SSLError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, (TimeoutError, socket.timeout)):
            raise MissingRequirement(f"{label} did not answer within {silent_seconds:.0f} s") from None
        raise MissingRequirement(f"{label} cannot be reached: {one_line(reason, 120)}") from None
    except ValueError as error:  # an invalid port or character
        raise InputError(f"{label} is not an address: {one_line(error, 80)}") from None
    return bytes(content)
