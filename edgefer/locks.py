"""Locks on files and folders, to avoid concurrent writers and detect leftovers of killed processes.

A lock is the operating system's (``flock``) on the file or folder itself: it ends with its process and
leaves no file. Without such locks (Windows, some network file systems) nothing is locked, and leftovers are deleted
after a day.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    _LOCKS = False
else:
    _LOCKS = True

_STALE_SECONDS = 86_400.0


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock an existing file or folder, which may be renamed meanwhile.

    Raises:
        BlockingIOError: another process has locked it.
        FileNotFoundError: it no longer exists.
    """
    lock = _lock(path)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def awaited(path: Path, busy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lock an existing file or folder, waiting for other processes.

    Args:
        path: of it.
        busy: called if another process has locked it.
    """
    if not _LOCKS:
        yield
        return
    lock = _open(path)
    try:
        with suppress(OSError):  # NFS locks no folder
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy()
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def remove_abandoned(path: Path) -> None:
    """Delete a file or a folder recursively, unless it is locked or not permitted."""
    with suppress(OSError):
        lock = _lock(path)
        try:
            if lock is None and time.time() - path.stat().st_mtime < _STALE_SECONDS:
                return
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        finally:
            if lock is not None:
                os.close(lock)


def _lock(path: Path) -> int | None:
    """Return the descriptor that locks `path`, or None without such locks."""
    if not _LOCKS:
        return None
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there, ours = path.stat(), os.fstat(lock)
    except (BlockingIOError, FileNotFoundError):
        os.close(lock)
        raise
    except OSError:  # NFS locks no folder
        os.close(lock)
        return None
    if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
        os.close(lock)
        raise FileNotFoundError(path)
    return lock


def _open(path: Path) -> int:
    return os.open(path, os.O_NOFOLLOW | (os.O_RDONLY if path.is_dir() else os.O_RDWR))  # NFS locks what is written
