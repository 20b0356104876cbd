"""System files such as /proc: many may be missing or of any kind."""

from __future__ import annotations

from pathlib import Path


def text(path: Path) -> str:
    """Return a file's text, or an empty string if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
