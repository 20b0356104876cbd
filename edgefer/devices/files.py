"""Files in which a system says something of itself: many are not there, and what is there may be of any kind."""

from __future__ import annotations

from pathlib import Path


def text(path: Path) -> str:
    """Return a file's text, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
