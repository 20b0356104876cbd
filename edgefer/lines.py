"""Text that may come from anywhere, a file's name or another library's error, as it is shown: one printable line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  # what a spreadsheet takes for the beginning of one
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


def printable(text: str) -> str:
    """Return `text` with control characters, which a file's or column's name may have, written as escapes.

    So are line ends, marks that turn the direction of writing (Unicode's bidi controls) and what cannot be seen.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def printable_lines(text: str) -> str:
    """Return `text` as `printable` does, its line ends left as they are."""
    return "\n".join(map(printable, text.split("\n")))


def shell(word: object) -> str:
    """Return a word as it is typed into a shell; what is not printable as bash, ksh and zsh read it, by bytes."""
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def typed(words: Iterable[str]) -> str:
    """Return a command as it is typed into a shell, in one printable line."""
    return " ".join(map(shell, words))


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return f"\\{letter}" if letter in "'\\" else letter
    # By bytes: what \\u gives depends on the shell's locale, and a name need not be UTF-8.
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def cell(value: object) -> object:
    """Return a value for a table in CSV: text that a spreadsheet would take for a formula begins with an apostrophe.

    Numbers stay as they are, as text too. The convention is OWASP's (CSV injection).
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def one_line(text: object, most: int | None = None) -> str:
    """Return what `text` says in one printable line; of more than `most` characters the end is cut and shown as ..."""
    line = printable(" ".join(str(text).split()))
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def complaint(error: ValidationError, unknown: str = "unknown key") -> str:
    """Return what a schema complains of first, in one line: ``phases.0.lr: Input should be greater than 0``.

    Args:
        error: of a model that refused what it was given.
        unknown: what is said of a key that the model does not have.
    """
    first = error.errors()[0]
    said = unknown if first["type"] == "extra_forbidden" else first["msg"]
    return one_line(": ".join(filter(None, (".".join(map(str, first["loc"])), said))))


def mark(synthetic: bool) -> str:
    """Return what stands behind every figure that comes from edgefer's own synthetic faces; nothing for others."""
    return " (synthetic faces)" if synthetic else ""


def counted(number: int, noun: str) -> str:
    """Return ``1 thread``, ``2 threads``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
