"""Read a picture from a request's body, with limits on size and time, and never to disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

_SECONDS = 30.0  # seconds that a client has to send a picture
_FIELDS = 16  # bytes allowed for the rest of a form


class _InMemory(MultiPartParser):
    """A parser that keeps files in memory: Starlette's writes those over 1 MB to disk, and faces must not be stored."""

    spool_max_size = 0  # no limit: the body is in memory already


async def picture(request: Request, max_bytes: int) -> bytes:
    """Return the picture in a body: the body itself, or the file in a form.

    Raises:
        HTTPException: 413 too large, 408 too slow, 422 no picture or several.
    """
    try:
        content = await asyncio.wait_for(_read(request, max_bytes), _SECONDS)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"the picture did not arrive within {_SECONDS:.0f} seconds") from None
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        content = await _file(request, content)
    if not content:
        raise HTTPException(422, "there is no picture in the body; curl --data-binary @photo.jpg sends one")
    return content


async def _read(request: Request, max_bytes: int) -> bytes:
    too_large = HTTPException(413, f"the picture has more than {max_bytes:,} bytes")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > max_bytes:
            raise too_large
    return bytes(content)


async def _file(request: Request, content: bytes) -> bytes:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield content

    try:
        form = await _InMemory(request.headers, whole(), max_files=1, max_fields=_FIELDS).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        said = error.message if isinstance(error, MultiPartException) else "it is damaged"
        raise HTTPException(422, f"the form cannot be read: {said}") from None
    for value in form.values():
        if isinstance(value, UploadFile):
            return await value.read()
    raise HTTPException(422, "there is no file in the form; curl -F picture=@photo.jpg sends one")
