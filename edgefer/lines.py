"""Untrusted text, such as file names or other libraries' errors, as one printable line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  # start of a formula in a spreadsheet
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


def printable(text: str) -> str:
    """Return `text` with control characters escaped.

    Also escapes line ends, Unicode's bidi controls and invisible characters.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def printable_lines(text: str) -> str:
    """Like `printable`, but keep line ends."""
    return "\n".join(map(printable, text.split("\n")))


def shell(word: object) -> str:
    """Return a word quoted for a shell; unprintable characters as bytes, for bash, ksh and zsh."""
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def typed(words: Iterable[str]) -> str:
    """Return a command quoted for a shell, in one printable line."""
    return " ".join(map(shell, words))


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return f"\\{letter}" if letter in "'\\" else letter
    # By bytes: \\u depends on the shell's locale, and a name need not be UTF-8.
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def cell(value: object) -> object:
    """Return a value for a table in CSV: text that a spreadsheet would read as a formula gets an apostrophe.

    Numbers are unchanged, also as text. The convention is OWASP's (CSV injection).
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def one_line(text: object, most: int | None = None) -> str:
    """Return `text` in one printable line, truncated with ... after `most` characters."""
    line = printable(" ".join(str(text).split()))
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def complaint(error: ValidationError, unknown: str = "unknown key") -> str:
    """Return a schema's first complaint in one line: ``phases.0.lr: Input should be greater than 0``.

    Args:
        error: from a model.
        unknown: message for an unknown key.
    """
    first = error.errors()[0]
    said = unknown if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return one_line(": ".join(filter(None, (".".join(map(str, first["loc"])), said))))


def mark(synthetic: bool) -> str:
    """Return the mark after figures from synthetic faces, or an empty string."""
    return " (synthetic faces)" if synthetic else ""


def counted(number: int, noun: str) -> str:
    """Return ``1 thread``, ``2 threads``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
