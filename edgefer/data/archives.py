"""Reads a table in a .tar or .tar.gz as a stream.

Python's tarfile reads names of any stated length into memory, and gzip reads a name byte
by byte. Here every step is bounded; the fields of a header are read by tarfile.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO

from edgefer import limits
from edgefer.data.trees import hidden, safe_path
from edgefer.errors import InputError

_CHUNK = 1 << 16
_LONGEST_HEADER = 1 << 16  # bytes of a name or of a pax header, stored before their member
_MAX_INFLATED = limits.TABLE + limits.GIGA  # a table, and the members before and after it
_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


class Inflated(io.RawIOBase):
    """A gzip file's content, checksums included.

    Args:
        packed: the file, from its first byte.
        name: its name in messages.
        most: bytes that it may hold.
    """

    def __init__(self, packed: IO[bytes], name: str, most: int = _MAX_INFLATED) -> None:
        self._packed, self._name, self._most = packed, name, most
        self._inflate = zlib.decompressobj(31)  # with gzip's header and checksum
        self._waiting = b""
        self._total = 0

    def readable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._total

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer`, possibly in part; return the number of bytes, 0 at the end.

        Raises:
            InputError: there is more than `most`.
            EOFError: the file is truncated.
            zlib.error: it is damaged.
        """
        while True:
            if self._inflate.eof:
                rest = (self._inflate.unused_data or self._packed.read(_CHUNK)).lstrip(b"\0")  # padding of tapes
                if not rest:
                    if self._inflate.unused_data.strip(b"\0") or not (more := self._packed.read(_CHUNK)):
                        return 0
                    rest = more.lstrip(b"\0")
                    if not rest:
                        continue
                self._inflate, self._waiting = zlib.decompressobj(31), rest
            packed = self._waiting or self._packed.read(_CHUNK)
            if not packed:
                raise EOFError("it is truncated")
            content = self._inflate.decompress(packed, len(buffer))
            self._waiting = self._inflate.unconsumed_tail
            if content:
                self._total += len(content)
                if self._total > self._most:
                    raise InputError(f"{self._name} expands to more than {self._most / 1e9:.1f} GB")
                buffer[: len(content)] = content
                return len(content)


class Member(io.RawIOBase):
    """The content of one member of a tar.

    Args:
        archive: at the member's first byte.
        size: of the member.
    """

    def __init__(self, archive: IO[bytes], size: int) -> None:
        self._archive, self._left = archive, size

    def readable(self) -> bool:  # noqa: D102
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer`, possibly in part; return the number of bytes, 0 at the end.

        Raises:
            EOFError: the archive is truncated.
        """
        content = self._archive.read(min(len(buffer), self._left))
        if not content and self._left:
            raise EOFError("it is truncated")
        self._left -= len(content)
        buffer[: len(content)] = content
        return len(content)


def find(archive: IO[bytes], names: tuple[str, ...], label: str) -> tuple[str, int] | None:
    """Return name and size of the first regular file called one of `names`; the stream is at its content.

    Args:
        archive: a tar, from its first byte.
        names: of a file, without folder.
        label: the archive's name in messages.

    Raises:
        InputError: a name points outside the archive, or there are too many members or too long a header.
        tarfile.HeaderError: a header is damaged.
        EOFError: the archive is truncated.
    """
    for name, path, member in _entries(archive, label):
        # By its type only: a regular file by POSIX, whatever its suffix.
        if member.type in tarfile.REGULAR_TYPES and path.rpartition("/")[2] in names:
            return name, member.size
    return None


def members(archive: IO[bytes], label: str) -> Iterator[tuple[str, int, int]]:
    """Yield path, offset and size of each regular file of an uncompressed tar, without hidden ones.

    Args:
        archive: a seekable tar, from its first byte.
        label: the archive's name in messages.

    Raises:
        InputError, tarfile.HeaderError, EOFError: see `find`.
    """
    end = archive.seek(0, io.SEEK_END)
    archive.seek(0)
    for _, path, member in _entries(archive, label):
        start = archive.tell()
        if member.type not in tarfile.REGULAR_TYPES:
            continue
        if start + member.size > end:
            raise EOFError("it is truncated")
        if not any(hidden(part) for part in path.split("/")):
            yield path, start, member.size
        archive.seek(start)  # whoever asks may have read elsewhere


def streamed(archive: IO[bytes], label: str) -> Iterator[tuple[str, int]]:
    """Yield path and size of each regular file of a tar, hidden ones left out; `archive` stands at its content then.

    Args:
        archive: a tar from its first byte, which knows where it is; it need not seek.
        label: its name in messages.

    Raises:
        InputError, tarfile.HeaderError, EOFError: see `find`.
    """
    for _, path, member in _entries(archive, label):
        if member.type in tarfile.REGULAR_TYPES and not any(hidden(part) for part in path.split("/")):
            yield path, member.size


def _entries(archive: IO[bytes], label: str) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Yield name, path and header of each member; the stream is at its content, and continues after it.

    As much of the content may be read meanwhile as there is.
    """
    said = ""  # a name too long for its member's header comes before it
    for _ in range(limits.ENTRIES):
        header = _exactly(archive, tarfile.BLOCKSIZE)
        if header.count(0) == tarfile.BLOCKSIZE:
            return
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        if member.size < 0:
            raise tarfile.ReadError("a member has a size below 0")
        padded = -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if member.type in (*_NAMES, *_PAX):
            if member.size > _LONGEST_HEADER:
                raise InputError(f"{label}: it contains a name of {member.size:,} bytes; do not trust this file")
            content = _exactly(archive, padded)[: member.size]
            if member.type == tarfile.GNUTYPE_LONGNAME:
                said = content.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif member.type == tarfile.XHDTYPE:
                said = _pax_path(content) or said
            continue
        name, said = said or member.name, ""
        start = archive.tell()
        yield name, safe_path(name, label), member
        if member.type not in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE):
            _skip(archive, start + padded - archive.tell(), label)
    raise InputError(f"{label} has more than {limits.ENTRIES:,} members; do not trust this file")


def _pax_path(content: bytes) -> str:
    """Return the path in a pax header, or an empty string: its records are ``length key=value``."""
    while content:
        length, _, rest = content.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not len(length) + 1 < int(length) <= len(content):
            raise tarfile.ReadError("a pax header is damaged")
        key, _, value = rest[: int(length) - len(length) - 1].removesuffix(b"\n").partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    return ""


def _skip(archive: IO[bytes], size: int, label: str) -> None:
    if size > _MAX_INFLATED:
        raise InputError(f"{label} has a member of {size / 1e9:.1f} GB before its table; do not trust this file")
    while size:
        read = len(archive.read(min(size, 1 << 20)))
        if not read:
            raise EOFError("it is truncated")
        size -= read


def _exactly(archive: IO[bytes], size: int) -> bytes:
    content = archive.read(size)
    if len(content) < size:
        raise EOFError("it is truncated")
    return content
