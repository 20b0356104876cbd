"""List pictures, divide them into shards, and read a shard's pictures."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from edgefer import console, inputs, limits, predictions
from edgefer.batch import remote
from edgefer.data import archives
from edgefer.data.contents import reading
from edgefer.data.trees import ZipTree
from edgefer.errors import InputError
from edgefer.lines import counted, printable
from edgefer.live import sources as streams
from edgefer.live.video import ENDINGS as VIDEOS

Kind: TypeAlias = Literal["files", "folder", "zip", "tar", "tar.gz", "video", "broken"]
Entry: TypeAlias = "tuple[str, int, str | int]"  # member, bytes, and a version or an offset

IN_ORDER = ("tar.gz", "video")  # read in sequence; the number of pictures is known only at the end
_ARCHIVES: dict[str, Kind] = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz"}
_INFLATED = 200  # maximum unpacked bytes per packed byte in a .tar.gz, as in a zip
_FORM = 1  # format version of the output


@dataclass(frozen=True)
class Shard:
    """Consecutive pictures of one source.

    Attributes:
        name: of the output files without suffix; it depends on pictures and settings.
        source: name in rows: as given, or the file within a given folder.
        place: path or URL to open.
        kind: how to read it.
        count: number of pictures; 0 if unknown (`IN_ORDER`).
        packed: the entries, compressed.
        error: for a source that cannot be listed.
    """

    name: str
    source: str
    place: str
    kind: Kind
    count: int
    packed: bytes = b""
    error: str = ""

    @property
    def entries(self) -> list[Entry]:
        """The pictures; empty if the source is `IN_ORDER`."""
        return [(member, size, mark) for member, size, mark in json.loads(zlib.decompress(self.packed))]


@dataclass(frozen=True)
class BatchPicture:
    """A picture to process.

    Attributes:
        member: path in the source; None if the source is the picture, or a video.
        frame: frame number in a video.
        time: seconds in a video.
        read: returns the pixels, uint8, (H, W) or (H, W, 3). Raises InputError if it cannot.
    """

    source: str
    member: str | None
    frame: int | None
    time: float | None
    read: Callable[[], NDArray[np.uint8]]

    @classmethod
    def of_source(cls, shard: Shard, error: InputError) -> BatchPicture:
        """Return a placeholder for a source that cannot be read, or not any further."""
        return cls(_text(shard.source), None, None, None, _raises(error))

    def failing(self, error: InputError) -> BatchPicture:
        """Return the picture marked as unreadable."""
        return replace(self, read=_raises(error))


@dataclass(frozen=True)
class _Listed:
    source: str
    place: str
    kind: Kind
    entries: Sequence[Entry] = ()
    version: object = None
    error: str = ""


def shards(names: Sequence[str], settings: object, rows: int) -> list[Shard]:
    """List the pictures, each once, and divide them into shards.

    Args:
        names: files, folders, patterns, archives, videos and URLs.
        settings: plain JSON values that affect the rows.
        rows: maximum number of pictures per shard.

    Raises:
        InputError: a source is missing or empty.
        MissingRequirement: a URL cannot be read on this machine, or at present.
    """
    found = []
    for listed in _listed(names):
        if listed.kind in IN_ORDER or listed.kind == "broken":
            found.append(_shard(listed, (), 0, settings))
        for number, start in enumerate(range(0, len(listed.entries), rows)):
            found.append(_shard(listed, listed.entries[start : start + rows], number, settings))
    return found


def _shard(listed: _Listed, entries: Sequence[Entry], number: int, settings: object) -> Shard:
    packed = zlib.compress(json.dumps(entries).encode())
    what = json.dumps([_FORM, settings, listed.source, listed.kind, listed.version, listed.error, entries])
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    stem = re.sub(r"[^\w.-]+", "_", listed.source.rstrip("/").rpartition("/")[2], flags=re.ASCII)[:40].lstrip("._")
    name = f"{stem or 'pictures'}-{digest}" if listed.kind in IN_ORDER else f"{stem or 'pictures'}-{number:05}-{digest}"
    count = 1 if listed.kind == "broken" else len(entries)
    return Shard(name, listed.source, listed.place, listed.kind, count, packed, listed.error)


def _listed(names: Sequence[str]) -> Iterator[_Listed]:
    single: list[Entry] = []  # thousands of names may share shards
    seen: set[str] = set()
    for name in names:
        if name.startswith("data:"):
            raise InputError(f"{inputs.shown(name)} is no file; --out takes files, folders, archives and addresses")
        path = remote.local_path(name) if remote.is_address(name) else None
        if remote.is_address(name) and path is None:
            yield from _at_address(name, single, seen)
            continue
        try:
            for place in predictions.places(name if path is None else str(path)):
                yield from _in_folder(place, seen) if place.is_dir() else _of_file(place, single, seen)
        except OSError as error:
            where = printable(str(error.filename or name)[:200])
            raise InputError(f"{where} cannot be looked at: {error.strerror}") from None
    if single:
        yield _Listed("", "", "files", single)


def _of_file(path: Path, single: list[Entry], seen: set[str]) -> Iterator[_Listed]:
    if not _is_new(os.path.realpath(path), seen):
        return
    kind = _kind(path.name)
    if kind is None:
        status = path.stat()
        single.append((str(path), status.st_size, status.st_mtime_ns))
    else:
        yield _of_container(str(path), str(path), kind)


def _in_folder(folder: Path, seen: set[str]) -> Iterator[_Listed]:
    """Yield the pictures below a folder, then its archives and videos."""
    pictures: list[Entry] = []
    containers, others, known = [], 0, 0
    for path in sorted(predictions.files_below(folder)):
        if not path.is_file():
            continue
        if not _is_new(os.path.realpath(path), seen):
            known += 1
            continue
        kind = _kind(path.name)
        if kind is not None:
            containers.append((path, kind))
        elif path.suffix.lower() in inputs.ENDINGS:
            status = path.stat()
            pictures.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
        else:
            others += 1
    _say_left_out(others, str(folder))
    if not pictures and not containers and not known:
        raise InputError(f"{printable(str(folder))} holds no picture, archive or video")
    yield _Listed(str(folder), str(folder), "folder", pictures)
    for path, kind in containers:
        yield _of_container(str(path), str(path), kind)


def _at_address(address: str, single: list[Entry], seen: set[str]) -> Iterator[_Listed]:
    kind = _kind(urlsplit(address).path)
    if kind is None and address.startswith(("http://", "https://")):  # checked when it is read
        if _is_new(address, seen):
            single.append((address, -1, ""))
        return
    files = remote.listing(address)
    if len(files) == 1 and files[0].address == address:
        [file] = files
        if kind is None and _is_new(address, seen):
            single.append((address, file.size, file.version))
        elif kind is not None and _is_new(address, seen):
            yield _of_container(remote.public(address), address, kind, file)
        return
    pictures: list[Entry] = []
    containers, others = [], 0
    top = f"{address.rstrip('/')}/"
    for file in files:
        if not _is_new(file.address, seen):
            continue
        kind = _kind(file.address)
        if kind is not None:
            containers.append((file, kind))
        elif file.address.lower().endswith(inputs.ENDINGS):
            pictures.append((file.address.removeprefix(top), file.size, file.version))
        else:
            others += 1
    _say_left_out(others, remote.public(address))
    if not pictures and not containers:
        raise InputError(f"{printable(remote.public(address))} holds no picture, archive or video")
    yield _Listed(remote.public(address), address, "folder", pictures)
    for file, kind in containers:
        yield _of_container(remote.public(file.address), file.address, kind, file)


def _of_container(source: str, place: str, kind: Kind, file: remote.RemoteFile | None = None) -> _Listed:
    """Return an archive with its pictures, or a video; one that cannot be listed comes with its error."""
    shown = printable(source)
    try:
        if file is None:
            limits.check_file(Path(place), limits.ARCHIVE, shown)
            status = Path(place).stat()
            version: object = [status.st_size, status.st_mtime_ns]
        else:
            version = [file.size, file.version]
        if kind in IN_ORDER:
            return _Listed(source, place, kind, (), version)
        with _open(place, shown) as opened:
            entries, others = _of_archive(opened, kind, shown)
    except InputError as error:
        return _Listed(source, place, "broken", error=str(error))
    _say_left_out(others, source)
    if not entries:
        return _Listed(source, place, "broken", error=f"{shown} holds no picture")
    return _Listed(source, place, kind, entries, None if kind == "zip" else version)  # a zip has checksums


def _of_archive(opened: BinaryIO, kind: Kind, label: str) -> tuple[list[Entry], int]:
    """Return the pictures of a zip or tar, each name once, and the number of other files."""
    found: dict[str, Entry] = {}
    others = 0
    with reading(label):
        if kind == "zip":
            with _zip(opened, label) as tree:
                each: Iterator[Entry] = iter([(path, info.file_size, info.CRC) for path, info in tree.entries.items()])
        else:
            each = ((path, size, start) for path, start, size in archives.members(opened, label))
        for entry in each:
            if entry[0].lower().endswith(inputs.ENDINGS):
                found.setdefault(entry[0], entry)
            else:
                others += 1
    return list(found.values()), others


@contextmanager
def _open(place: str, label: str) -> Iterator[BinaryIO]:
    if remote.is_address(place):
        with remote.opened(place) as file:
            yield file
    else:
        with limits.opened(Path(place), label) as file:
            yield file


@contextmanager
def _zip(opened: BinaryIO, label: str) -> Iterator[ZipTree]:
    size = opened.seek(0, io.SEEK_END)
    opened.seek(0)
    raw = cast("io.FileIO", opened)  # any seekable object that reads into a buffer
    bounded = limits.BoundedReads(raw, limits.directory(size), label)
    with zipfile.ZipFile(bounded) as archive:
        yield ZipTree(archive, label, limits.entries(size))


class ShardReader:
    """Reads shards in turn, keeping the last archive open for the next one. Call `close` at the end."""

    def __init__(self) -> None:
        self._place: tuple[str, Kind] | None = None
        self._stack = ExitStack()
        self._held: Any = None

    def close(self) -> None:
        """Close the open archive."""
        self._stack.close()
        self._place = None

    def pictures(self, shard: Shard) -> Iterator[BatchPicture]:
        """Yield the pictures of a shard in order; for an `IN_ORDER` source, all of them.

        If a source cannot be read any further, the last picture raises its error.

        Raises:
            MissingRequirement: a store does not respond, or PyAV is not installed.
        """
        if shard.kind == "broken":
            yield BatchPicture.of_source(shard, InputError(shard.error))
        elif shard.kind in IN_ORDER:
            read = _frames if shard.kind == "video" else _members
            try:
                yield from read(shard)
            except InputError as error:
                yield BatchPicture.of_source(shard, error)
        else:
            for entry in shard.entries:
                yield self._picture(shard, entry)

    def _picture(self, shard: Shard, entry: Entry) -> BatchPicture:
        member = entry[0]
        if shard.kind == "files":
            return BatchPicture(_text(remote.public(member)), None, None, None, lambda: _single(member))
        label = printable(f"{shard.source}: {member}" if shard.kind in ("zip", "tar") else f"{shard.source}/{member}")

        def read() -> NDArray[np.uint8]:
            return inputs.decoded(self._bytes(shard, entry, label), label)

        return BatchPicture(_text(shard.source), _text(member), None, None, read)

    def _bytes(self, shard: Shard, entry: Entry, label: str) -> bytes:
        member, size, mark = entry
        if shard.kind == "folder":
            if remote.is_address(shard.place):
                return remote.content(f"{shard.place.rstrip('/')}/{member}", limits.PICTURE)
            return limits.read_bytes(Path(shard.place) / member, limits.PICTURE, label)
        held = self._opened(shard)
        if shard.kind == "zip":
            if member not in held.entries:
                raise InputError(f"{label} is not there any more")
            return cast("ZipTree", held).read(member)
        if size > limits.PICTURE_IN_DATA:
            raise limits.too_large(label, size, limits.PICTURE_IN_DATA)
        with reading(label):
            held.seek(mark)
            content: bytes = held.read(size)
        if len(content) < size:
            raise InputError(f"{label} is cut short")
        return content

    def _opened(self, shard: Shard) -> Any:
        if self._place != (shard.place, shard.kind):
            self.close()
            label = printable(shard.source)
            file = self._stack.enter_context(_open(shard.place, label))
            with reading(label):
                self._held = self._stack.enter_context(_zip(file, label)) if shard.kind == "zip" else file
            self._place = (shard.place, shard.kind)
        return self._held


def _single(name: str) -> NDArray[np.uint8]:
    if not remote.is_address(name):
        return inputs.read(Path(name))
    if name.startswith(("http://", "https://")):
        return inputs.read(name)
    return inputs.decoded(remote.content(name, limits.PICTURE), printable(remote.public(name)))


def _members(shard: Shard) -> Iterator[BatchPicture]:
    """Yield the pictures of a .tar.gz, each name once."""
    label = printable(shard.source)
    seen: set[str] = set()
    with reading(label), _open(shard.place, label) as packed:
        size = packed.seek(0, io.SEEK_END)
        packed.seek(0)
        most = _INFLATED * size + limits.PICTURE_IN_DATA
        archive = cast("BinaryIO", io.BufferedReader(archives.Inflated(packed, label, most), 1 << 16))
        for member, length in archives.streamed(archive, label):
            if not member.lower().endswith(inputs.ENDINGS) or not _is_new(member, seen):
                continue
            name = f"{label}: {printable(member)}"

            def read(length: int = length, name: str = name) -> NDArray[np.uint8]:
                if length > limits.PICTURE_IN_DATA:
                    raise limits.too_large(name, length, limits.PICTURE_IN_DATA)
                with reading(name):
                    content = archive.read(length)
                return inputs.decoded(content, name)

            yield BatchPicture(_text(shard.source), _text(member), None, None, read)
        if not seen:
            raise InputError(f"{label} holds no picture")


def _frames(shard: Shard) -> Iterator[BatchPicture]:
    label = printable(shard.source)
    with ExitStack() as stack:
        away = remote.is_address(shard.place)
        url: Any = stack.enter_context(_open(shard.place, label)) if away else f"file:{shard.place}"
        container, stream = stack.enter_context(streams.opened(url, label, threads=True))
        clock = streams.Clock(stream)
        for number, (frame, _) in enumerate(streams.decoded(container, stream, label)):
            moment = round(clock.moment(frame, number), 3)
            yield BatchPicture(_text(shard.source), None, number, moment, lambda frame=frame: streams.rgb(frame))  # type: ignore[misc]


def _raises(error: InputError) -> Callable[[], NDArray[np.uint8]]:
    def read() -> NDArray[np.uint8]:
        raise error

    return read


def _kind(name: str) -> Kind | None:
    """Return the kind of file by its suffix; None for pictures and ignored files."""
    lowered = name.lower()
    kind = next((kind for ending, kind in _ARCHIVES.items() if lowered.endswith(ending)), None)
    return kind or ("video" if lowered.endswith(VIDEOS) else None)


def _is_new(name: str, seen: set[str]) -> bool:
    if name in seen:
        return False
    seen.add(name)
    return True


def _text(name: str) -> str:
    """Return a name as Unicode for Parquet; invalid bytes become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _say_left_out(count: int, source: str) -> None:
    if count:
        console.say(f"skipped in {source}: {counted(count, 'file')} without a picture's ending")
