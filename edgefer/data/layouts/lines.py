"""Lines of a list next to pictures."""

from __future__ import annotations

from edgefer.data.listed import Finder
from edgefer.data.text import decoded
from edgefer.errors import InputError


def lines_of(finder: Finder, path: str, most: int) -> list[str]:
    """Return the non-empty lines of a text file, in any encoding and with any line ends.

    Raises:
        InputError: it has more than `most` bytes, or cannot be read.
    """
    content = finder.tree.read(path)
    if len(content) > most:
        raise InputError(f"{finder.tree.label(path)} is larger than {most:,} bytes")
    return [line for line in decoded(content).splitlines() if line.strip()]
