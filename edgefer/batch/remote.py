"""Remote files through fsspec: object stores, web servers. Missing files raise InputError, lost connections do not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from edgefer import limits
from edgefer.errors import EdgeferError, InputError, MissingExtra, MissingRequirement
from edgefer.lines import one_line, printable

EXTRA = "ray"
_REFUSED = (400, 401, 403, 404, 405, 410, 416, 451)  # HTTP methods that are safe to retry


class LostConnection(MissingRequirement):
    """A store or server does not respond: no picture is at fault, and the same command resumes later."""


@dataclass(frozen=True)
class RemoteFile:
    """A remote file.

    Attributes:
        address: its URL.
        size: in bytes; -1 if unknown.
        version: changes with the content: an ETag or a time.
    """

    address: str
    size: int
    version: str


def is_address(name: str) -> bool:
    """Return whether a name is a URL of any scheme, not a path."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.replace("+", "").isalnum()


def local_path(address: str) -> Path | None:
    """Return the path of a ``file://`` URL; None for others."""
    return Path(url2pathname(urlsplit(address).path)) if address.startswith("file://") else None


def public(address: str) -> str:
    """Return a URL without user and password, because it is written to tables. Paths are unchanged."""
    if not is_address(address):
        return address
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def listing(address: str) -> list[RemoteFile]:
    """Return the file at a URL, or the files below it, sorted.

    Raises:
        InputError: nothing is there, or access is denied.
        MissingRequirement: fsspec or its driver for the URL is not installed, or the store does not respond.
    """
    with _asking(address):
        system, path = _system(address)
        about = system.info(path)
        if about["type"] != "directory":
            return [_file(address, about)]
        if address.startswith(("http://", "https://")):
            raise InputError(f"{printable(public(address))} is a page; name the pictures and archives on it")
        found = system.find(path, detail=True)
        top, below = address.rstrip("/"), len(path.rstrip("/")) + 1
        return [_file(f"{top}/{name[below:]}", found[name]) for name in sorted(found)]


@contextmanager
def opened(address: str) -> Iterator[BinaryIO]:
    """Open a seekable file; blocks are downloaded as they are read.

    Raises:
        InputError: it is missing, or the server does not support range requests.
        MissingRequirement: see `listing`.
    """
    with _asking(address):
        system, path = _system(address)
        file = system.open(path, "rb")
    with file:
        if not file.seekable():
            raise InputError(f"{printable(public(address))} comes from a server without ranges; download it first")
        yield io.BufferedReader(_RemoteReader(file, address))


def content(address: str, most: int) -> bytes:
    """Return a file's content.

    Raises:
        InputError: it is missing, or larger than `most` bytes.
        MissingRequirement: see `listing`.
    """
    with opened(address) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise limits.too_large(printable(public(address)), len(found), most)
    return found


class _RemoteReader(io.RawIOBase):
    """A remote file whose connection errors are never blamed on the file, whichever library reads it."""

    def __init__(self, file: Any, address: str) -> None:
        self._file, self._address = file, address

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, place: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._file.seek(place, whence))

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        with _asking(self._address):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class RemoteFolder:
    """A remote folder for output files.

    Args:
        address: its URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        with _asking(address):
            self._system, self._path = _system(address)

    def names(self) -> set[str]:
        """Return the names of its files without hidden ones; empty if the folder does not exist."""
        with _asking(self.address):
            self._system.invalidate_cache()
            if not self._system.isdir(self._path):
                return set()
            names = {entry.rstrip("/").rpartition("/")[2] for entry in self._system.ls(self._path, detail=False)}
            return {name for name in names if not name.startswith(".")}

    def put(self, name: str, content: bytes) -> None:
        """Write a file. Stores show an object only when it is complete."""
        with _asking(self.address):
            self._system.makedirs(self._path, exist_ok=True)
            self._system.pipe_file(f"{self._path.rstrip('/')}/{name}", content)

    def note(self, name: str) -> bytes | None:
        """Return a small file's content, or None if it is missing."""
        with _asking(self.address):
            try:
                found: bytes = self._system.cat_file(f"{self._path.rstrip('/')}/{name}")
            except FileNotFoundError:
                return None
            return found

    def remove(self, name: str) -> None:
        """Remove a file."""
        with _asking(self.address):
            self._system.rm_file(f"{self._path.rstrip('/')}/{name}")

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a file."""
        with opened(f"{self.address.rstrip('/')}/{name}") as file:
            yield file


def _system(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError:
        raise MissingExtra("fsspec, which reads addresses,", EXTRA) from None
    shown = printable(public(address))
    if "::" in address:
        raise InputError(f"{shown} is a chain of addresses; name the archive itself")
    try:
        system, path = url_to_fs(address)
    except ImportError as error:  # its message names the package: Install s3fs to access S3
        raise MissingRequirement(f"{shown} cannot be read: {one_line(error, 120)}") from None
    except ValueError as error:
        raise InputError(f"{shown} cannot be read: {one_line(error, 120)}") from None
    return system, path


def _file(address: str, about: dict[str, Any]) -> RemoteFile:
    version = next((about[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if about.get(key)), "")
    size = about.get("size")
    return RemoteFile(address, -1 if size is None else int(size), str(version))


@contextmanager
def _asking(address: str) -> Iterator[None]:
    """Convert exceptions of a store's library to errors that name the URL.

    Raises:
        InputError: the file is missing, or access is denied.
        LostConnection: anything else.
    """
    try:
        yield
    except EdgeferError:
        raise
    except FileNotFoundError:
        raise InputError(f"{printable(public(address))} is not there") from None
    except Exception as error:
        shown = printable(public(address))
        said = "" if "@" in str(error) else one_line(error, 160)  # which may contain a password
        said = said or type(error).__name__
        if isinstance(error, PermissionError) or getattr(error, "status", None) in _REFUSED:
            raise InputError(f"{shown} cannot be read: {said}") from None
        raise LostConnection(f"{shown} cannot be reached: {said}; the same command goes on later") from None
