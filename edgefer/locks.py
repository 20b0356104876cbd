"""Files and folders that a process holds, so that no two write one thing, and what a killed process left is known.

A lock is the operating system's (``flock``) on the file or folder itself: it ends with its process, however that ends,
and leaves no file. Where there are none (Windows, some network file systems) nothing is held, and what is left counts
as nobody's after a day.
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
    """Hold a file or folder that is there; it may be renamed meanwhile.

    Raises:
        BlockingIOError: somebody else holds it.
        FileNotFoundError: it is not there any more.
    """
    lock = _lock(path)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def awaited(path: Path, busy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a file or folder that is there and stays where it is, as soon as nobody else does.

    Args:
        path: of it.
        busy: is called where somebody does.
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
    """Remove a file or a folder with all that is in it, unless a process holds it or this one may not."""
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
    """Return the descriptor that holds `path`, or None where there are no such locks."""
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
