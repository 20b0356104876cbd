"""Text that may come from anywhere, a file's name or another library's error, as it is shown: one printable line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def printable(text: str) -> str:
    """Return `text` with control characters, which a file's or column's name may have, written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def one_line(text: object, most: int | None = None) -> str:
    """Return what `text` says in one printable line; of more than `most` characters the end is cut and shown as ..."""
    line = printable(" ".join(str(text).split()))
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def complaint(error: ValidationError, unknown: str = "there is no such key") -> str:
    """Return what a schema complains of first, in one line: ``phases.0.lr: Input should be greater than 0``.

    Args:
        error: of a model that refused what it was given.
        unknown: what is said of a key that the model does not have.
    """
    first = error.errors()[0]
    said = unknown if first["type"] == "extra_forbidden" else first["msg"]
    return one_line(": ".join(filter(None, (".".join(map(str, first["loc"])), said))))


def mark(drawn: bool) -> str:
    """Return what stands behind every figure that comes from edgefer's own drawn faces; nothing for others."""
    return " (drawn faces)" if drawn else ""


def counted(number: int, noun: str) -> str:
    """Return ``1 thread``, ``2 threads``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
