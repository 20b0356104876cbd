"""Handle pictures that kill the process without an exception: a decoder crashes, or memory runs out.

A note next to the files records which shards are started. For a shard that failed twice, it also records the next
picture. A picture that kills several processes is thus identified, and gets a row with an error.
"""

from __future__ import annotations

import json
from typing import Protocol

_TRIES = 2  # failed attempts at a shard before each picture is noted: machines also lose power
_DEADLY = 2  # killed processes before a picture is skipped


class NotesFolder(Protocol):
    """A store for notes, which are hidden files."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""

    def note(self, name: str) -> bytes | None:
        """Return a file's content, or None if it is missing."""

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""


class DeathWatch:
    """The note for one shard. `end` removes it.

    Args:
        folder: folder of the files.
        shard: name of the shard.
    """

    def __init__(self, folder: NotesFolder, shard: str) -> None:
        self._folder, self._name = folder, f".{shard}.begun"
        self._tries, self._next, self._deaths = self._read()
        if self._next is not None:
            self._deaths.append(self._next)
        self._tries, self._next = self._tries + 1, None
        self._write()

    def is_deadly(self, index: int) -> bool:
        """Return whether a picture has killed two processes."""
        return self._deaths.count(index) >= _DEADLY

    def before(self, index: int) -> None:
        """Record the next picture."""
        if self._tries > _TRIES:
            self._next = index
            self._write()

    def end(self) -> None:
        """Remove the note: the shard is written."""
        self._folder.remove(self._name)

    def _read(self) -> tuple[int, int | None, list[int]]:
        noted = self._folder.note(self._name)
        try:
            tries, following, deaths = json.loads(noted or b"[0, null, []]")
            return int(tries), None if following is None else int(following), [int(index) for index in deaths]
        except (TypeError, ValueError):  # truncated by a power failure
            return 0, None, []

    def _write(self) -> None:
        self._folder.put(self._name, json.dumps([self._tries, self._next, self._deaths]).encode())
