"""A common interface to files in a folder and in a zip."""

from __future__ import annotations

import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgefer import limits
from edgefer.data.contents import reading
from edgefer.errors import InputError
from edgefer.lines import printable

OURS = "edgefer-crop"  # written by `edgefer data crop` next to faces
_RATIO = 200  # maximum expansion of a zip: pictures are already compressed


@dataclass(frozen=True)
class File:
    """A file.

    Attributes:
        path: path below the top, separated by `/`.
        size: in bytes.
        changed: modification and change time (0 in a zip). The latter cannot be set, so it distinguishes files
            unpacked with the same name, size and time.
    """

    path: str
    size: int
    changed: tuple[int, int] = (0, 0)


class Tree(Protocol):
    """Folders and files below one top."""

    def label(self, path: str) -> str:
        """Return the name of a file or folder for messages."""

    def listing(self, folder: str) -> tuple[list[str], list[File]]:
        """Return the names of the folders and the files in `folder` (the top is ``""``), sorted, none hidden."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes.

        Raises:
            InputError: it is damaged, too large or unreadable.
        """


class FolderTree:
    """A folder on disk."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def label(self, path: str) -> str:  # noqa: D102
        return printable(str(self.top / path))

    def listing(self, folder: str) -> tuple[list[str], list[File]]:  # noqa: D102
        folders, files = [], []
        with reading(self.label(folder)), os.scandir(self.top / folder) as entries:
            for entry in entries:
                if hidden(entry.name):
                    continue
                path = join(folder, entry.name)
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    raise InputError(f"{self.label(path)} is a broken link; remove it") from None
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.name)
                elif stat.S_ISREG(status.st_mode):
                    files.append(File(path, status.st_size, (status.st_mtime_ns, status.st_ctime_ns)))
        return sorted(folders), sorted(files, key=lambda file: file.path)

    def read(self, path: str) -> bytes:  # noqa: D102
        return limits.read_bytes(self.top / path, limits.PICTURE_IN_DATA, self.label(path))


class ZipTree:
    """A zip, read in place.

    Args:
        archive: the zip.
        name: its name in messages.
        most: maximum entries.

    Raises:
        InputError: an entry's name points outside the folder, is too long or too deep, it is encrypted, or
            there are too many entries; or they expand to much more than pictures do.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str, most: int) -> None:
        self.name = name
        self.archive = archive
        self.entries: dict[str, zipfile.ZipInfo] = {}
        self._children: dict[str, tuple[set[str], list[File]]] = {"": (set(), [])}
        listed = archive.infolist()
        if len(listed) > most:
            raise InputError(
                f"{name} lists {len(listed):,} entries where {most:,} are possible; unpack it and give the folder"
            )
        inflated, packed = sum(entry.file_size for entry in listed), sum(entry.compress_size for entry in listed)
        if inflated > _RATIO * packed + limits.PICTURE_IN_DATA:
            raise InputError(f"{name} would expand to {inflated / 1e9:,.1f} GB; do not trust this file")
        for entry in listed:
            path = safe_path(entry.filename, name)
            if entry.flag_bits & 1:
                raise InputError(
                    f"{name}: {printable(path)} is encrypted; unpack it with its password and give the folder"
                )
            parts = path.rstrip("/").split("/")
            if any(hidden(part) for part in parts):
                continue
            folders = parts if path.endswith("/") else parts[:-1]
            for depth in range(len(folders)):
                self._children["/".join(folders[:depth])][0].add(folders[depth])
                self._children.setdefault("/".join(folders[: depth + 1]), (set(), []))
            if not path.endswith("/"):
                self._children["/".join(folders)][1].append(File(path, entry.file_size))
                self.entries[path] = entry

    def label(self, path: str) -> str:  # noqa: D102
        return printable(f"{self.name}: {path}" if path else self.name)

    def listing(self, folder: str) -> tuple[list[str], list[File]]:  # noqa: D102
        folders, files = self._children[folder]
        return sorted(folders), sorted(files, key=lambda file: file.path)

    def read(self, path: str) -> bytes:  # noqa: D102
        entry = self.entries[path]
        _check_size(self.label(path), entry.file_size)
        with reading(self.label(path)), self.archive.open(entry) as file:
            # With a length, zipfile expands no more than that, even if the entry understates its size.
            return file.read(entry.file_size)


def join(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`; the top is ``""``."""
    return f"{folder}/{name}" if folder else name


def hidden(name: str) -> bool:
    """Return whether a file or folder belongs to the system or to edgefer (.DS_Store, ._x, __MACOSX, ...)."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini", OURS)


def safe_path(name: str, archive: str) -> str:
    """Return an archive entry's path with `/` between its parts.

    Raises:
        InputError: it points outside the archive's folder.
    """
    if len(name) > limits.NAME or name.count("/") + name.count("\\") > limits.DEPTH:
        raise InputError(f"{archive}: the entry {name[:60]!r}... is too long or too deep; do not trust this file")
    path = name.replace("\\", "/")
    if path.startswith("/") or path[1:2] == ":" or ".." in path.split("/"):
        raise InputError(f"{archive}: the entry {name!r} points outside the archive; do not trust this file")
    return path.removeprefix("./")


def _check_size(label: str, size: int) -> None:
    if size > limits.PICTURE_IN_DATA:
        raise limits.too_large(label, size, limits.PICTURE_IN_DATA)
