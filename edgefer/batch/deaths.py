"""Pictures that end the process that reads them: a decoder crashes, or memory runs out, and there is no exception.

A note next to the files says which shards are begun. Of a shard that was begun twice in vain it also says which picture
is next, so that a picture that ends process after process is known, and gets a row with an error like any other.
"""

from __future__ import annotations

import json
from typing import Protocol

_TRIES = 2  # of a shard before each of its pictures is noted: whole machines are switched off too
_DEADLY = 2  # processes that a picture ended


class NotesFolder(Protocol):
    """Where notes are kept: hidden files."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""

    def note(self, name: str) -> bytes | None:
        """Return what a file holds, or None."""

    def remove(self, name: str) -> None:
        """Remove a file that may not be there."""


class DeathWatch:
    """The note of one shard. `end` removes it.

    Args:
        folder: of the files.
        shard: its name.
    """

    def __init__(self, folder: NotesFolder, shard: str) -> None:
        self._folder, self._name = folder, f".{shard}.begun"
        self._tries, self._next, self._deaths = self._read()
        if self._next is not None:
            self._deaths.append(self._next)
        self._tries, self._next = self._tries + 1, None
        self._write()

    def is_deadly(self, index: int) -> bool:
        """Return whether a picture has ended two processes."""
        return self._deaths.count(index) >= _DEADLY

    def before(self, index: int) -> None:
        """Note which picture is next."""
        if self._tries > _TRIES:
            self._next = index
            self._write()

    def end(self) -> None:
        """Forget it all: the shard is written."""
        self._folder.remove(self._name)

    def _read(self) -> tuple[int, int | None, list[int]]:
        noted = self._folder.note(self._name)
        try:
            tries, following, deaths = json.loads(noted or b"[0, null, []]")
            return int(tries), None if following is None else int(following), [int(index) for index in deaths]
        except (TypeError, ValueError):  # torn by a power cut
            return 0, None, []

    def _write(self) -> None:
        self._folder.put(self._name, json.dumps([self._tries, self._next, self._deaths]).encode())
