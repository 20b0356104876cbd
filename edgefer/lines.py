"""Text that may come from anywhere, a file's name or another library's error, as it is shown: one printable line."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return `text` with control characters, which a file's or column's name may have, written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def one_line(text: object, most: int | None = None) -> str:
    """Return what `text` says in one printable line; of more than `most` characters the end is cut and shown as ..."""
    line = printable(" ".join(str(text).split()))
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."
